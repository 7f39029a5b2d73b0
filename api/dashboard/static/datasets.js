// @ts-check
// What there is to learn from, and a way to bring more.

import { ApiError, get } from "./api.js";
import { headerOf } from "./csv.js";
import { byId, h, PAGES, problemCard, say, show } from "./dom.js";
import { number, percent } from "./format.js";
import { deleting } from "./deleting.js";
import { reading } from "./reading.js";
import { upload } from "./upload.js";

function row(one) {
  const numbers = [["Rows", number(one.num_rows)], ["Features", one.input_shape.map((size) => number(size)).join(" × ")], ["Classes", one.num_classes === null ? "–" : number(one.num_classes)]];
  return h("tr", {},
    h("th", { scope: "row", "data-label": "Dataset" }, one.available ? h("a", { href: `${PAGES}datasets/${one.id}` }, one.title) : one.title, h("span.id", {}, one.id), one.available ? null : h("span.trouble", {}, one.unavailable_reason)),
    h("td", { "data-label": "From" }, one.upload ? "uploaded" : "built in"),
    h("td", { "data-label": "Kind" }, one.kind),
    h("td", { "data-label": "Task" }, one.task),
    numbers.map(([label, value]) => h("td.number", { "data-label": label }, value)),
    h("td", {}, h("div.row", {}, one.available ? h("a.button", { href: `${PAGES}new?dataset=${one.id}`, "aria-label": `New job with ${one.title}` }, "New job") : null, one.upload ? deleting(one, () => reading(read)) : null)));
}

async function read() {
  const found = /** @type {any[]} */ ([]);
  const unavailable = /** @type {any[]} */ ([]);
  let cursor = "";
  do {
    const page = await get(`/v1/datasets?limit=100${cursor && `&cursor=${cursor}`}`);
    found.push(...page.items);
    unavailable.push(...page.unavailable);
    cursor = page.next_cursor ?? "";
  } while (cursor);
  const all = [...found.filter((one) => one.upload), ...found.filter((one) => !one.upload), ...unavailable];
  const heads = ["Dataset", "From", "Kind", "Task", "Rows", "Features", "Classes"].map((name, i) => h(i > 3 ? "th.number" : "th", { scope: "col" }, name));
  show(h("div.scroll", {}, h("table.cards", { id: "datasets" }, h("caption.hidden", {}, "Datasets"), h("thead", {}, h("tr", {}, heads, h("td", {}))), h("tbody", {}, all.map(row)))));
}

const NAMES = ["target", "task", "group", "time", "name"];
const FIELDS = ["file", ...NAMES, "rest"];

/** Say what is wrong with a field; nothing if empty. */
function fail(name, message) {
  byId(`${name}-error`).textContent = message;
  byId(name).setAttribute("aria-invalid", String(message !== ""));
  if (message) byId(name).closest("details")?.setAttribute("open", "");
}

/** Offer the names in a text's header where columns are asked for. */
async function offer() {
  const one = byId("file").files[0];
  const names = one && /\.(csv|tsv|txt)$/i.test(one.name) ? await headerOf(one) : [];
  if (byId("file").files[0] === one) byId("columns").replaceChildren(...names.map((name) => h("option", { value: name })));
}

/** The form as it is sent; null, with the fault shown, where it cannot be. */
function filled() {
  const form = new FormData();
  const stop = (name, message) => {
    fail(name, message);
    byId(name).focus();
    return null;
  };
  const [file] = byId("file").files;
  if (!file) return stop("file", "Choose a file first.");
  const named = NAMES.map((name) => [name, byId(name).value.trim()]).filter(([, value]) => value);
  try {
    form.append("schema", JSON.stringify({ ...Object.fromEntries(named), ...JSON.parse(byId("rest").value.trim() || "{}") }));
  } catch (error) {
    return stop("rest", `This is no JSON: ${/** @type {Error} */ (error).message}`);
  }
  form.append("file", file);
  return form;
}

/** Say every fault at the field that it is about, and go there; give what belongs to none. */
function tell(problem) {
  const said = new Map();
  for (const { pointer, message } of problem.errors ?? []) {
    const name = pointer === "file" ? pointer : NAMES.find((one) => pointer === `/${one}`) ?? "rest";
    said.set(name, [...(said.get(name) ?? []), name === "rest" && pointer ? `${pointer}: ${message}` : message]);
  }
  for (const [name, messages] of said) fail(name, messages.join("; "));
  const first = FIELDS.find((name) => said.has(name));
  if (first) byId(first).focus();
  return first ? [] : [problemCard(problem)];
}

/** Have the browser ask whether to leave: what is on its way would be lost. */
const ask = (event) => event.preventDefault();

async function submit(event) {
  event.preventDefault();
  for (const name of FIELDS) fail(name, "");
  byId("state").replaceChildren();
  const form = filled();
  if (!form) return;
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Sent" });
  const words = h("span");
  byId("state").replaceChildren(bar, words);
  byId("upload").disabled = true;
  addEventListener("beforeunload", ask);
  try {
    const made = await upload("/v1/datasets", form, (share) => {
      bar.value = share;
      words.textContent = share < 1 ? `${percent(share)} sent` : "Sent; it is being read…";
    });
    removeEventListener("beforeunload", ask);
    location.href = `${PAGES}datasets/${made.id}`;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    byId("state").replaceChildren(...tell(error.problem));
  } finally {
    removeEventListener("beforeunload", ask);
    byId("upload").disabled = false;
  }
}

function drop(event) {
  event.preventDefault();
  event.currentTarget.classList.toggle("over", event.type === "dragover");
  if (event.type !== "drop" || !event.dataTransfer.files.length) return;
  byId("file").files = event.dataTransfer.files;
  say(`${byId("file").files[0].name} was taken.`);
  offer();
}

for (const type of ["dragover", "dragleave", "drop"]) byId("form").addEventListener(type, drop);
byId("form").addEventListener("submit", submit);
byId("form").addEventListener("input", ({ target }) => FIELDS.includes(target.id) && fail(target.id, ""));
byId("file").addEventListener("change", offer);
reading(read);
