// @ts-check
// The API as pages read it: with the reader's key, and not more often than something changed.

const ROOT = document.documentElement.dataset.root ?? "";
const KEY = "holdout-key";
let refused = () => {};
let memory = "";

/** An answer that is no success: what the API says of it. */
export class ApiError extends Error {
  /** @param {number} status @param {Record<string, any>} problem */
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** What the reader has given as the key; empty if nothing. @returns {string} */
export function key() {
  try {
    return sessionStorage.getItem(KEY) ?? memory;
  } catch {
    return memory;
  }
}

export const hasKey = () => key() !== "";

export function keepKey(value) {
  memory = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // kept as long as the page is open, then
  }
}

export function forgetKey() {
  memory = "";
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // it was never kept
  }
}

/** Ask for a key, as the service does. */
export const refuse = () => refused();

/** What to do when the service asks for a key. */
export function onRefused(whatToDo) {
  refused = whatToDo;
}

/** Where a path of the API is. */
export const address = (path) => `${ROOT}${path}`;

/**
 * Send a request; give the answer if it is a success (or 304).
 * @param {string} path
 * @param {RequestInit} [options]
 */
export async function send(path, options = {}) {
  const headers = new Headers(options.headers);
  if (hasKey()) headers.set("Authorization", `Bearer ${key()}`);
  let answer;
  try {
    answer = await fetch(address(path), { ...options, headers, cache: "no-store", redirect: "error" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, { title: "No connection", detail: "The service does not answer; what is shown may be old." });
  }
  if (answer.ok || answer.status === 304) return answer;
  if (answer.status === 401) refused();
  const problem = await answer.json().catch(() => ({ title: `Status ${answer.status}`, detail: answer.statusText }));
  throw new ApiError(answer.status, { ...problem, retry_after: Number(answer.headers.get("retry-after")) || null });
}

/** Read JSON. */
export async function get(path, options = {}) {
  return (await send(path, { ...options, headers: { Accept: "application/json", ...options.headers } })).json();
}

/** Send JSON, read JSON. */
export async function post(path, body, headers = {}) {
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  const answer = await send(path, { method: "POST", ...json, headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers } });
  return answer.status === 204 ? null : answer.json();
}

export const remove = (path) => send(path, { method: "DELETE" });

/** Something read again and again: `read()` gives null while it is as it was. */
export class Polled {
  /** @param {string} path */
  constructor(path) {
    this.path = path;
    this.etag = "";
    this.retryAfter = 0;
  }

  async read() {
    const answer = await send(this.path, { headers: { Accept: "application/json", ...(this.etag ? { "If-None-Match": this.etag } : {}) } });
    this.retryAfter = Number(answer.headers.get("retry-after")) || 0;
    if (answer.status === 304) return null;
    this.etag = answer.headers.get("etag") ?? "";
    return answer.json();
  }
}

/** Save what a path gives as a file; a link could not carry the key. */
export async function download(path, name) {
  const answer = await send(path);
  const given = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "");
  save(await answer.blob(), given?.[1] ?? name);
}

/** Save a blob as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
