// @ts-check
// `/ui/jobs/latest`, a lasting address of what was submitted last.

import { get } from "./api.js";
import { PAGES } from "./dom.js";
import { reading } from "./reading.js";

/** Go to the newest job; false if there is none. */
export async function goToLatest() {
  const page = await reading(() => get("/v1/jobs?limit=1&fields=id"));
  if (page?.items.length) location.replace(`${PAGES}jobs/${page.items[0].id}${location.search}`);
  return page?.items.length !== 0;
}
