// @ts-check
// Follow a job: by its stream of events, and by polling with the ETag while there is no stream.

import { ApiError, send, unbroken } from "./api.js";

const AGAIN = 5000;

/**
 * Call `onChange(job)` with the job each time it changed, `onState(text, isThere, error)` with how it is followed; ends when the job has.
 * Hidden pages ask for nothing.
 */
export class Live {
  constructor(jobId, onChange, onState) {
    this.path = `/v1/jobs/${jobId}`;
    this.etag = "";
    this.onChange = onChange;
    this.onState = onState;
    this.lastId = "";
    this.hasEnded = false;
    /** @type {ApiError | undefined} */
    this.error = undefined;
    this.woken = () => {};
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stream?.abort() : this.woken()));
  }

  /** Follow it to its end; give the error that ended it sooner, as it cannot pass by itself. @returns {Promise<ApiError | undefined>} */
  async run() {
    let triedAt = -AGAIN;
    for (;;) {
      if (document.hidden) {
        this.onState("Waiting", true);
        await new Promise((resolve) => (this.woken = () => resolve(undefined)));
      }
      const pause = await this.look();
      if (this.hasEnded) return this.error;
      if (performance.now() - triedAt >= AGAIN) {
        triedAt = performance.now();
        await this.follow();
      }
      if (!this.hasEnded && !document.hidden) await this.wait(pause);
    }
  }

  /** Read the job if it changed; give how long to wait, in ms. */
  async look() {
    try {
      const answer = await send(this.path, { headers: this.etag ? { "If-None-Match": this.etag } : {} });
      if (answer.status !== 304) {
        const job = await unbroken(answer.json());
        await this.onChange(job);
        this.etag = answer.headers.get("etag") ?? ""; // what could not be drawn is read again
        this.hasEnded = ["succeeded", "failed", "cancelled"].includes(job.status);
      }
      return Math.max(500, 1000 * Number(answer.headers.get("retry-after")));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.isPassing) this.onState(error.words, false, error);
      else {
        this.hasEnded = true;
        this.error = error;
        this.stream?.abort();
      }
      return error.wait;
    }
  }

  wait(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.woken = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }

  /** Hold the stream as long as it lasts. A frame with an id says that the job has a new version. */
  async follow() {
    this.stream = new AbortController();
    try {
      const headers = { Accept: "text/event-stream", ...(this.lastId ? { "Last-Event-ID": this.lastId } : {}) };
      const after = this.lastId || !this.etag ? "" : `?after_version=${/\d+/.exec(this.etag)?.[0] ?? 0}`;
      const answer = await send(`${this.path}/events${after}`, { headers, signal: this.stream.signal });
      if (answer.status === 204 || !answer.body) return;
      this.onState("Live", true);
      let rest = "";
      let looking = null;
      let again = false;
      const look = async () => {
        // One at a time, and what came meanwhile once more: a page is not to be behind by an epoch.
        if (looking) {
          again = true;
          return;
        }
        do {
          again = false;
          looking = this.look();
          await looking;
          await this.wait(150);
        } while (again && !this.hasEnded);
        looking = null;
      };
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const frames = (rest + value).split("\n\n");
        rest = frames.pop() ?? "";
        let isNew = false;
        for (const frame of frames) {
          const id = /^id: ?(\d+)$/m.exec(frame);
          if (id) {
            this.lastId = id[1];
            isNew = true;
          }
        }
        if (isNew) look();
      }
      while (looking) await this.wait(20);
      await this.look();
    } catch (error) {
      if (error instanceof ApiError && error.status === 429) this.onState("Polling: too many streams are open", true);
      else if (!this.stream.signal.aborted) this.onState(error instanceof ApiError ? error.words : "No connection, trying again", false, error);
    } finally {
      this.stream = null;
    }
  }
}
