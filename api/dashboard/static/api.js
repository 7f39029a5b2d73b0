// @ts-check
// The API as pages read it: with the reader's key, and not more often than something changed.

const ROOT = document.documentElement.dataset.root ?? "";
/** Where the tab keeps the key. */
export const KEY = "holdout-key";
let refused = () => {};

/** An answer that is no success, or none (status 0): what the API says of it. */
export class ApiError extends Error {
  /** @param {number} status @param {Record<string, any>} problem */
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.problem = problem;
    /** Whether it may pass by itself: no connection, too many requests, a service that is not ready. */
    this.isPassing = !status || status === 429 || status >= 500;
    /** How long to wait then, in ms. */
    this.wait = 1000 * Math.min(30, problem.retry_after || 2);
    this.words = `${problem.title ?? "Not read"}${this.isPassing ? ", trying again" : ""}`;
  }
}

const away = () => new ApiError(0, { title: "No connection", detail: "The service does not answer; what is shown may be old." });

/** Read an answer whole; a connection may break within it. @template T @param {Promise<T>} reading @returns {Promise<T>} */
export const unbroken = (reading) => reading.catch(() => Promise.reject(away()));

/** What can go into a header: all that a key is made of. */
export const isKey = (text) => /^[!-~]+$/.test(text);

/** What the reader has given as the key; empty if nothing, or if no header can carry it. @returns {string} */
export function key() {
  try {
    const kept = sessionStorage.getItem(KEY) ?? "";
    return isKey(kept) ? kept : "";
  } catch {
    return "";
  }
}

export const hasKey = () => key() !== "";

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
    throw options.signal?.aborted ? error : away();
  }
  if (answer.ok || answer.status === 304) return answer;
  if (answer.status === 401) refused();
  const problem = await answer.json().catch(() => ({ title: `Status ${answer.status}`, detail: answer.statusText || "The service does not say why." }));
  throw new ApiError(answer.status, { ...problem, retry_after: Number(answer.headers.get("retry-after")) || null });
}

/** Read JSON. */
export async function get(path, options = {}) {
  return unbroken((await send(path, { ...options, headers: { Accept: "application/json", ...options.headers } })).json());
}
