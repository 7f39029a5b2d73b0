// @ts-check
// What changes something at the service.

import { send, unbroken } from "./api.js";

/** Send JSON, read JSON. */
export async function post(path, body, headers = {}) {
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  const answer = await send(path, { method: "POST", ...json, headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers } });
  return answer.status === 204 ? null : unbroken(answer.json());
}

export const remove = (path) => send(path, { method: "DELETE" });
