// @ts-check
// One dataset: what is in it, what was found in it, what was learned from it.

import { ago } from "./ago.js";
import { get, send, unbroken } from "./api.js";
import { byId, copyButton, h, PAGES, show, table, tellFailure } from "./dom.js";
import { broken, counted, exponential, instant, middle, number, percent, whole, words } from "./format.js";
import { deleting } from "./deleting.js";
import { reading } from "./reading.js";

const id = decodeURIComponent(location.pathname.split("/").pop() ?? "");
const path = `/v1/datasets/${encodeURIComponent(id)}`;
const FIELDS = "id,name,status,plan,created_at,result";

/** A text that may be of any length, shortened; all of it is in its title. */
const short = (text, most = 40) => (text.length <= most ? text : h("span", { title: text }, middle(text, most)));

/** Figures of one thing, as a column's lowest and mean: all with exponents, or none. */
function alike(values) {
  const most = Math.max(...values.map((value) => Math.abs(value ?? 0)));
  const write = most < 1e-3 || most >= 1e9 ? exponential : (value) => (Math.abs(value) >= 1000 ? whole(value) : broken(value));
  return values.map((value) => (value ? write(value) : number(value)));
}

const present = (pairs) => pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
const facts = (pairs) => h("dl.facts", {}, present(pairs).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
const card = (title, ...children) => h("section.card", {}, h("h2", {}, title), children);

function summary(one) {
  const rows = one.predefined_rows ? Object.entries(one.predefined_rows).map(([part, count]) => `${part} ${number(count)}`).join(", ") : null;
  return facts([
    ["Id", h("code", {}, one.id)], ["Kind", one.kind], ["Task", one.task], ["Rows", number(one.num_rows)], [one.kind === "table" ? "Features" : "Shape", one.input_shape.map((size) => number(size)).join(" × ")],
    ["Target", one.target_unit ? `${one.target_name} (${one.target_unit})` : one.target_name], ["Classes", one.num_classes && number(one.num_classes)],
    ["Group", one.group_name && `${one.group_name}, ${counted(one.num_groups, "group")}`], ["Time", one.time_name], ["Its own division", rows],
    ["Duplicate rows", one.upload?.profile?.num_duplicate_rows ? number(one.upload.profile.num_duplicate_rows) : null],
    ["File", one.upload && `${one.upload.file_name}, ${counted(one.upload.num_bytes, "byte")}`], ["Uploaded", one.upload && instant(one.upload.created_at)],
    ["Source", one.source], ["Licence", one.licence], ["SHA-256", one.content_hash && h("code.id", {}, one.content_hash)],
  ]);
}

function balance(one) {
  if (!one.class_counts) return null;
  const rows = one.class_counts.slice(0, 100).map((count, i) => [one.class_labels?.[i] ?? String(i), number(count), [h("meter", { max: one.num_rows, value: count, "aria-hidden": "true" }), percent(count / one.num_rows)]]);
  return card("Classes", table(`Rows of each class${one.class_counts.length > 100 ? " (first 100)" : ""}`, ["Class", "Rows", "Share"], rows, { numeric: new Set([1, 2]) }));
}

function columns(one) {
  const profiled = one.upload?.profile?.columns;
  if (profiled?.length) {
    const often = (column) => (column.most_frequent /* an object's words that are whole numbers come first, whatever order was sent */ ? Object.entries(column.most_frequent).sort(([, a], [, b]) => b - a).slice(0, 4).map(([word, count]) => `${middle(word)} (${number(count)})`).join(", ") : "");
    const rows = profiled.map((column) => [column.name, words(column.role), column.kind, number(column.num_missing), number(column.num_distinct), ...alike([column.low, column.mean, column.high, column.deviation]), often(column), column.notes.join("; ")]);
    return card("Columns", table("What was found in each column", ["Column", "Role", "Kind", "Missing", "Distinct", "Lowest", "Mean", "Highest", "Deviation", "Most frequent", "Notes"], rows, { numeric: new Set([3, 4, 5, 6, 7, 8]) }));
  }
  if (!one.columns) return null;
  return card("Columns", table("Features", ["Column", "Kind", "Missing", "Words"], one.columns.map((column) => [column.name, column.kind, number(column.num_missing), short(column.categories.join(", "), 300)]), { numeric: new Set([2]) }));
}

function preview(one) {
  const rows = one.upload?.profile?.preview ?? [];
  if (!rows.length) return null;
  const names = one.upload.profile.columns.map((column) => column.name).filter((name) => name in rows[0]); // the keys of `rows` are not in order where they are whole numbers
  return card("First rows", table("As they came in the file", ["Row", ...names.map((name) => short(name))], rows.map((row, i) => [String(i + 1), ...names.map((name) => (row[name] === null ? h("span.faint", {}, "missing") : short(row[name], 80)))])));
}

async function picture(one) {
  const blob = await unbroken((await send(`${path}/preview.png`)).blob());
  byId("picture").replaceChildren(h("img.picture", { src: URL.createObjectURL(blob), alt: one.kind === "table" ? `Histograms of columns of ${one.title}, by class` : `Some rows of ${one.title}` }));
}

async function jobs() {
  const page = await get(`/v1/jobs?dataset=${encodeURIComponent(id)}&limit=20&fields=${FIELDS}`);
  const rows = page.items.map((job) => [
    [h("a", { href: `${PAGES}jobs/${job.id}` }, short(job.name ?? `${words(job.plan)} ${job.id.slice(-8)}`, 48)), h("div.faint", {}, h("time", { datetime: job.created_at, title: instant(job.created_at) }, ago(job.created_at)))],
    h("span", { class: `status ${job.status}` }, job.status), number(job.result?.val?.loss?.value ?? job.result?.summary?.val_loss?.mean)]);
  byId("jobs").replaceChildren(rows.length ? table(page.has_more ? "The newest 20" : "All of them", ["Job", "Status", "Validation loss"], rows, { numeric: new Set([2]) }) : h("p.faint", {}, "None yet."));
}

async function draw() {
  const one = await get(path);
  document.title = `${one.title} - Holdout`;
  /** @type {any} */ (document.querySelector("h1")).textContent = one.title;
  const schema = one.upload && JSON.stringify(one.upload.schema, null, 2);
  const parts = [
    h("p.row", {}, h("a.button.primary", { href: `${PAGES}new?dataset=${one.id}` }, "New job with this dataset"), one.upload ? deleting(one, () => (location.href = `${PAGES}datasets`)) : null),
    one.upload?.profile?.warnings.map((warning) => h("p.notice", {}, warning)) ?? [],
    h("div.columns", {},
      h("div", {}, card("Facts", one.description ? h("p", {}, one.description) : null, summary(one)), balance(one)),
      h("div", {}, card("A look at it", h("div", { id: "picture" }, h("p.skeleton", {}, "Drawing…"))), card("Jobs", h("div", { id: "jobs" })))),
    columns(one), preview(one),
    schema && card("Schema", h("p.row", {}, "With all that was found out filled in; it may be sent again. ", copyButton("Copy", schema)), h("details", {}, h("summary", {}, "Show it"), h("pre", { tabindex: "0" }, h("code", {}, schema)))),
  ];
  show(...parts.flat().filter(Boolean));
  return one;
}

const one = await reading(draw, (error) => tellFailure(byId("app"), error, h("p", {}, h("a", { href: `${PAGES}datasets` }, "All datasets"))));
const tellAt = (place) => (error) => (error.isPassing ? tellFailure(byId(place), error) : byId(place).replaceChildren(h("p.faint", {}, error.message)));
if (one) await Promise.all([reading(() => picture(one), tellAt("picture")), reading(jobs, tellAt("jobs"))]);
