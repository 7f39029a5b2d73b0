// @ts-check
// What the buttons of a job's page do; only who presses one waits for this.

import { send, unbroken } from "./api.js";
import { post, remove } from "./changes.js";
import { PAGES, ROOT, say } from "./dom.js";
import { save } from "./save.js";

const SURE = {
  delete: () => "Delete this job, its curves and its models?",
  cancel: ({ status }) => `Cancel this job? Its epochs ${status === "paused" ? "are kept, and its best weights stay in its checkpoint: Train on goes on from there." : "and its best weights so far are kept."}`,
};

/** Order what a path of a job is called after: to pause, resume, cancel or delete it. */
export async function give(path, job, what) {
  if (SURE[what] && !window.confirm(SURE[what](job))) return;
  if (what === "extend") return extend(path, job);
  if (what === "delete") {
    await remove(path);
    location.href = `${ROOT}/`;
    return;
  }
  await post(`${path}/${what}`);
  say(`${what} was asked for`);
}

/** Go on in a job of more epochs. */
async function extend(path, job) {
  const now = job.spec.training.max_epochs;
  const text = window.prompt(`Go on in a new job, up to how many epochs? This one trained up to ${now}.`, String(2 * now));
  if (text !== null) location.href = `${PAGES}jobs/${(await post(`${path}/extend`, { max_epochs: Number(text) })).id}`;
}

/** Save what a path gives as a file; a link could not carry the key. */
export async function download(path, job) {
  const answer = await send(path);
  const given = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "");
  const [, part = "", kind = "json"] = /jobs\/[^/]+\/(\w+)(?:\.(\w+))?/.exec(path) ?? [];
  save(await unbroken(answer.blob()), given?.[1] ?? `${job.id}${part && `-${part}`}.${kind}`);
}
