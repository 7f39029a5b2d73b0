// @ts-check
// Pages that are read until they are read, all in one way.

import { ApiError } from "./api.js";
import { byId, tellFailure } from "./dom.js";

/**
 * Read, again where what is wrong may pass by itself; undefined where it cannot. A hidden page waits.
 * @template T @param {() => Promise<T>} read @param {(error: ApiError) => void} [tell] says what is wrong; on the whole page if not given
 * @returns {Promise<T | undefined>}
 */
export async function reading(read, tell = (error) => tellFailure(byId("app"), error)) {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      tell(error);
      if (!error.isPassing) return undefined;
      await pause(error.wait);
    }
  }
}

/** Wait so many ms, and as long as the page is hidden. */
export async function pause(wait) {
  do await new Promise((resolve) => setTimeout(resolve, wait));
  while (document.hidden);
}
