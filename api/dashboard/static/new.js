// @ts-check
// A job's form, built from what the service knows, with a preview of what the job would be.

import { ApiError, get, hasKey } from "./api.js";
import { post } from "./changes.js";
import { byId, copyButton, h, PAGES, problemCard, ROOT, say, show, table, tellFailure } from "./dom.js";
import { field, locate, make, readable } from "./form.js";
import { counted, duration, middle, number, words } from "./format.js";
import { reading } from "./reading.js";
import { lean, missing, pointers, readJson, same, segmentsOf, settled, valueAt, without } from "./schema.js";
import { applied, learn, nameOf, network, PLAIN } from "./summary.js";
import { requests } from "./twins.js";

const WAIT = 300;
/** @type {[string, string[]][]} */
const SECTIONS = [
  ["Data", ["dataset", "name", "seed"]],
  ["Preparation", ["preprocessing"]],
  ["Network", ["network"]],
  ["Optimizer & schedule", ["optimizer", "schedule", "loss"]],
  ["Training", ["training"]],
  ["Regularization", ["regularization"]],
  ["Early stopping", ["early_stopping"]],
  ["Split", ["split"]],
  ["Plan", ["plan"]],
  ["Evaluation", ["evaluation"]],
  ["Rest", []],
];
const FOLDED = new Set(["Preparation", "Regularization", "Early stopping", "Evaluation", "Rest"]);
const SPACE = { "/optimizer/learning_rate": { values: [0.001, 0.01, 0.1] } };
/** What a member of a union starts from where no default would do, and a map that was left out. */
const STARTS = {
  comparison: { variants: [{ label: "adam", set: { "/optimizer": { name: "adam" } } }, { label: "momentum", set: { "/optimizer": { name: "momentum" } } }] },
  search: { space: SPACE },
  nested_cv: { search: { space: SPACE } },
  axis: { "/network/hidden_units": { values: [[4], [16], [64]] } },
};
/** Not null where nothing was said, and yet changed by the service where a dataset asks for it. */
const ADAPTED = ["/split/shuffle", "/plan/inner_split/shuffle", "/training/kept_weights"];
/** What a plan may vary (SETTABLE of jobs/plans/maker.py). */
const VARIED = /^\/(network|optimizer|schedule|training|regularization|early_stopping|preprocessing)(\/|$)/;

/** Codes of faults of where something is to be set, whatever it is (OF_POINTERS of jobs/problems.py). */
const AT_KEY = new Set(["extra_forbidden", "cannot_vary", "no_such_field"]);

/** @type {any} */
let catalog;
let datasets = [];
/** @type {Map<string, import("./form.js").Control>} */
let controls = new Map();
let sent = "";
let key = "";
let asked = 0;
let timer = 0;
let failed = [];
/** Pointers to what was given and has no place in the form, until the reader goes on without. */
let lost = [];

const schema = () => catalog.job_schema;
const full = () => Object.fromEntries([...controls].map(([name, one]) => [name, one.read()]).filter(([, one]) => one !== undefined));

/** What is sent: what was chosen, and no default. */
function spec() {
  return lean(schema(), full(), schema().$defs);
}

/** A key for one body: sending it twice makes one job. Random numbers are there without HTTPS; UUIDs are not. */
function renew() {
  key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function dataset(label, _schema, value) {
  const known = datasets.some((one) => one.id === value);
  const option = (one) => h("option", { value: one.id, selected: one.id === value }, `${one.title} (${one.id}): ${number(one.num_rows)} rows, ${one.task}`);
  /** @type {[string, any[]][]} */
  const groups = [["Uploaded", datasets.filter((one) => one.upload)], ["Built in", datasets.filter((one) => !one.upload)]];
  const input = h("select", {}, value && !known ? h("option", { value, selected: true }, value) : null, groups.map(([name, found]) => (found.length ? h("optgroup", { label: name }, found.map(option)) : null)));
  const one = field(label, input, "", () => input.value);
  one.element.classList.add("wide");
  one.element.append(h("div", {}, h("a", { href: `${PAGES}datasets` }, "Look at them, or upload one")));
  return one;
}

/** Build the form anew, with a spec in it. */
function fill(given) {
  const defs = schema().$defs;
  const form = { defs, special: { dataset }, starts: STARTS, rules: new Map(catalog.items.filter((one) => one.category === "activation").map((one) => [`activation:${one.name}`, one.rule])) };
  const chosen = lean(schema(), { dataset: "digits", ...given }, defs);
  const named = new Set(SECTIONS.flatMap(([, keys]) => keys));
  controls = new Map();
  const sections = SECTIONS.map(([title, keys]) => {
    const mine = keys.length ? keys : Object.keys(schema().properties).filter((name) => !named.has(name));
    const isAlone = mine.length === 1;
    for (const name of mine) controls.set(name, make(form, name, schema().properties[name], chosen[name], { plain: isAlone }));
    const elements = mine.map((name) => /** @type {any} */ (controls.get(name)).element);
    const body = isAlone ? elements : h("div.fields", {}, elements);
    if (FOLDED.has(title)) return h("details.card", { open: mine.some((name) => name in chosen) }, h("summary", {}, h("h2", {}, title)), body);
    return h("section.card", {}, h("h2", {}, title), body);
  });
  show(...sections);
  lost = missing(chosen, full());
  tellLost();
  changed(0);
}

const written = (pointer) => readable(segmentsOf(pointer));

function tellLost() {
  const goOn = () => {
    lost = [];
    tellLost();
    byId("state").focus();
    changed(0);
  };
  const names = lost.flatMap((one, i) => [i ? ", " : "", h("code", {}, written(one))]);
  byId("lost").replaceChildren(lost.length ? h("div.notice.bad", { role: "alert", tabindex: "-1" }, h("p", {}, "Left out, as a job has no place for it: ", names, "."), h("button", { type: "button", onclick: goOn }, "Go on without")) : "");
}

/** Fill the form from elsewhere, with one step back. */
function refill(given, what) {
  const before = spec();
  const origin = [...byId("origin").childNodes];
  const isOther = !same(before, lean(schema(), given, schema().$defs)); // pressed twice, the step back is still one
  fill(given);
  byId("origin").replaceChildren();
  const undo = () => {
    fill(before);
    byId("origin").replaceChildren(...origin);
    byId("undo").replaceChildren();
    byId("state").focus();
    say("The form is as it was before.");
  };
  if (isOther) byId("undo").replaceChildren(h("p.notice.spread", {}, `The form was filled ${what}.`, h("button", { type: "button", onclick: undo }, "Undo")));
  say(`The form was filled ${what}.`);
}

function changed(wait = WAIT) {
  const body = JSON.stringify(spec());
  if (body !== sent) renew();
  sent = body;
  clearTimeout(timer);
  timer = setTimeout(preview, wait);
}

/** Say what is wrong for now, and check again soon. */
function tryAgain(error, advice) {
  byId("preview").replaceChildren(h("p.notice.bad", {}, `${error.status ? error.message : "The service does not answer."} ${advice}`));
  tell("bad", error.words);
  clearTimeout(timer);
  timer = setTimeout(preview, error.wait, true);
}

async function preview(isRetry = false) {
  const mine = ++asked;
  const now = spec();
  byId("pointers").replaceChildren(...pointers(full()).filter((one) => VARIED.test(one)).map((one) => h("option", { value: one })));
  if (!lost.length) history.replaceState(null, "", `${location.pathname}#spec=${encodeURIComponent(JSON.stringify(now))}`);
  twins(now);
  if (!isRetry) byId("state").textContent = "Checking…";
  try {
    const found = await post("/v1/previews", now);
    if (mine !== asked) return;
    mark([]);
    byId("preview").replaceChildren(...shown(found));
    if (lost.length) return tell("bad", `✗ ${lost.length} left out`, `Left out: ${lost.map(written).join(", ")}`);
    tell("good", "✓ It can run", `It can run: ${number(found.num_fits)} ${found.num_fits === 1 ? "fit" : "fits"}, ${number(found.num_parameters)} parameters`);
  } catch (error) {
    if (mine !== asked) return;
    if (!(error instanceof ApiError && error.isPassing)) return refused(error);
    tryAgain(error, "The form stays as it is, and is checked again soon.");
  }
}

function tell(kind, text, spoken = text) {
  byId("state").className = `verdict ${kind}`;
  byId("state").textContent = text;
  say(spoken);
}

/** Show what the service says is wrong, each at its field. */
function refused(error) {
  if (!(error instanceof ApiError)) throw error;
  const errors = error.problem.errors ?? [];
  mark(error.status === 422 ? errors : []);
  if (error.status !== 422 || !errors.length) {
    byId("preview").replaceChildren(problemCard(error.problem));
    return tell("bad", "✗ It was refused");
  }
  const links = failed.map(({ control, pointer, message }) => h("li", {}, h("button.plain.link", { type: "button", onclick: () => go(control) }, written(pointer) || "the whole"), `: ${message}`));
  byId("preview").replaceChildren(h("ul.problems", {}, links));
  tell("bad", `✗ ${errors.length} to mend`, `${errors.length} to mend: ${written(errors[0].pointer ?? "")} ${errors[0].message}`);
}

function mark(errors) {
  for (const { control } of failed) control.fail("");
  const root = /** @type {any} */ ({ child: (segment) => controls.get(segment), fail: () => {}, focus: byId("state") });
  failed = errors.map((one) => ({ ...locate(root, one.pointer ?? "", AT_KEY.has(one.code)), ...one }));
  for (const control of new Set(failed.map((one) => one.control))) {
    control.fail(failed.filter((one) => one.control === control).map((one) => (one.rest ? `${one.rest}: ${one.message}` : one.message)).join("; "));
    const folded = control.focus.closest("details");
    if (folded) folded.open = true;
  }
}

function go(control) {
  control.focus.focus();
  control.focus.scrollIntoView({ block: control.focus.offsetHeight > innerHeight / 2 ? "start" : "center" });
}

function shown(found) {
  const shape = (sizes) => sizes.map((one) => number(one)).join(" × ");
  const time = found.estimate ? `about ${duration(found.estimate.seconds)}${found.estimate.workers > 1 ? ` on ${found.estimate.workers} workers` : ""}` : "not known: no worker has measured itself yet";
  const isVaried = network(found.spec).endsWith("varied");
  const facts = [[isVaried ? "Parameters of the base" : "Parameters", number(found.num_parameters)], ["Fits", number(found.num_fits)], ["Steps", number(found.steps_planned)], ["Time", time]];
  const divided = found.divisions.slice(0, 12).map((one) => [one.label, ...["train", "val", "test"].map((part) => number(one.num_rows[part]))]);
  const layers = found.layers.map((one) => [one.name, words(one.kind), shape(one.output_shape), number(one.num_parameters)]);
  return [
    h("dl.facts", { id: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    ...found.warnings.map((one) => h("p.notice", {}, one)),
    table(`Rows${found.divisions.length > 12 ? ` (12 of ${found.divisions.length} divisions)` : ""}`, ["Division", "Train", "Validation", "Test"], divided, { numeric: new Set([1, 2, 3]) }),
    table(isVaried ? "Layers of the base network, which the plan varies" : "Layers", ["Layer", "Kind", "Output", "Parameters"], layers, { numeric: new Set([2, 3]) }),
  ];
}

function twins(now) {
  const texts = requests(now, `${location.origin}${ROOT}`, hasKey());
  const holder = byId("twins");
  const chosen = texts[holder.dataset.chosen] ? holder.dataset.chosen : "curl";
  const choices = Object.keys(texts).map((name) => h("button", { type: "button", "aria-pressed": String(name === chosen), onclick: () => {
    holder.dataset.chosen = name;
    twins(now);
    /** @type {any} */ (holder.querySelector('[aria-pressed="true"]')).focus();
  } }, name));
  holder.replaceChildren(h("div.row", { role: "group", "aria-label": "Request as" }, choices, copyButton("Copy", texts[chosen])), h("pre", { tabindex: "0", "aria-label": `Request as ${chosen}` }, h("code", {}, texts[chosen])));
}

async function submit(event) {
  event.preventDefault();
  if (byId("submit").disabled) return; // it is on its way
  clearTimeout(timer);
  asked += 1;
  changed();
  clearTimeout(timer);
  if (lost.length) return /** @type {any} */ (byId("lost").firstElementChild).focus();
  byId("submit").disabled = true;
  try {
    const job = await post("/v1/jobs", spec(), { "Idempotency-Key": key });
    location.href = `${PAGES}jobs/${job.id}`;
  } catch (error) {
    byId("submit").disabled = false;
    if (error instanceof ApiError && error.isPassing) return tryAgain(error, "Submit again once it does: a job that has arrived already is not made twice.");
    refused(error);
    go(failed[0]?.control ?? { focus: byId("submit") });
  }
}

/** Read a spec; a SyntaxError says why it is none. */
function specFrom(text) {
  const given = readJson(text);
  if (given === null || typeof given !== "object" || Array.isArray(given)) throw new SyntaxError("a spec is an object");
  return given;
}

function paste() {
  const input = byId("pasted");
  try {
    refill({ dataset: full().dataset, ...specFrom(input.value) }, "with what was pasted");
    byId("pasted-error").textContent = "";
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    byId("pasted-error").textContent = `This is no JSON of a spec: ${error.message}`;
    input.focus();
  }
}

/** What was chosen for a job, without what the service derived: for another dataset it derives anew. */
async function again(id) {
  const job = (await get(`/v1/jobs/${encodeURIComponent(id)}`)).spec;
  const chosen = lean(schema(), job, schema().$defs);
  const resolved = async (one) => (await post("/v1/previews", one)).spec;
  try {
    const open = [...settled(schema(), chosen, schema().$defs), ...ADAPTED];
    const found = await resolved(without(chosen, open));
    const left = without(chosen, open.filter((one) => same(valueAt(found, one), valueAt(job, one))));
    return same(await resolved(left), job) ? left : chosen;
  } catch (error) {
    if (!(error instanceof ApiError) || error.isPassing) throw error;
    return chosen; // it could not run today, and the form says why
  }
}

/** A job that compares what the diagnosis of one of a job's fits suggests with that fit as it is, on the same rows, weights and batches. */
async function trial(id, number) {
  const path = `/v1/jobs/${encodeURIComponent(id)}`;
  const [job, fit] = await Promise.all([get(path), get(`${path}/fits/${encodeURIComponent(number)}`)]);
  await learn([job.dataset]);
  const remedies = (PLAIN.has(job.plan) && fit.diagnosis?.remedies) || [];
  const link = [h("a", { href: `${PAGES}jobs/${job.id}` }, nameOf(job)), job.num_fits > 1 ? `, ${fit.label},` : ""];
  if (!remedies.length) {
    const why = !PLAIN.has(job.plan) ? [`the fits of ${words(job.plan)} are no jobs of their own`] : fit.diagnosis ? ["the diagnosis of ", link, ` is “${words(fit.diagnosis.verdict)}”, and suggests no change`] : [link, " has no diagnosis"];
    byId("origin").replaceChildren(h("p.notice", {}, "There is nothing to try: ", why, ". The form holds ", PLAIN.has(job.plan) ? "its spec." : ["the spec of ", link[0], "."]));
    return again(id);
  }
  const jump = h("button.plain.link", { type: "button", onclick: () => go(controls.get("plan")?.child("variants")) }, "Go to the variants");
  byId("origin").replaceChildren(h("p.notice", {}, `Compares ${counted(remedies.length, "change")} that the diagnosis of `, link, " suggests with the fit as it is. ", jump));
  const name = `what helps ${middle(nameOf(job), 100)}`;
  return { ...applied(job.spec, fit.overrides), name, plan: { name: "comparison", variants: [{ label: "unchanged", set: {} }, ...remedies] } };
}

/** What the address asks for: a spec, a job's spec or what may help one of its fits, on another dataset where it names one, or a dataset. */
async function wanted() {
  const query = new URLSearchParams(location.search);
  if (location.hash.startsWith("#spec=")) return fromHash();
  const job = query.get("from");
  const fit = query.get("fit");
  const tellUnread = (error) => tellFailure(byId("unread"), error, h("p", {}, "What the address asks for was not read:"));
  const found = job && (await reading(() => (fit ? trial(job, fit) : again(job)), tellUnread));
  if (found) byId("unread").replaceChildren();
  return { ...found, ...(query.get("dataset") ? { dataset: query.get("dataset") } : {}) };
}

function fromHash() {
  try {
    return specFrom(decodeURIComponent(location.hash.slice("#spec=".length)));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof URIError)) throw error;
    byId("unread").replaceChildren(problemCard({ title: "The address holds no spec", detail: error.message }));
    return {};
  }
}

function wire() {
  const form = byId("form");
  form.addEventListener("submit", submit);
  form.addEventListener("input", (event) => event.target.id !== "pasted" && changed());
  byId("paste").addEventListener("click", paste);
  for (const button of form.querySelectorAll("[data-spec]")) button.addEventListener("click", () => refill(JSON.parse(button.dataset.spec), `for “${button.textContent}”`));
  form.addEventListener("keypress", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input, select")) return;
    event.preventDefault(); // a job is made by its button, not in passing
    changed(0);
  });
  byId("submit").disabled = false;
}

async function start() {
  const found = await reading(() => Promise.all([get("/v1/techniques"), get("/v1/datasets?limit=100")]), (error) => {
    tellFailure(byId("app"), error);
    tell("bad", error.words);
  });
  if (!found) return;
  [catalog, { items: datasets }] = found;
  fill(await wanted());
  wire();
}

addEventListener("hashchange", () => location.reload());
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  renew();
  byId("submit").disabled = false;
});
start();
