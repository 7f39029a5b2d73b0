// @ts-check
// Jobs beside one another: overlaid curves, what differs between their specs, and what came of each.

import { ApiError, get } from "./api.js";
import { CurveData, CurvesCard } from "./curves.js";
import { byId, copyButton, h, PAGES, problemCard, ROOT, say, show, tellFailure, writeState } from "./dom.js";
import { duration, icon, interval, middle, number, words } from "./format.js";
import { pause, reading } from "./reading.js";
import { applied, learn, nameOf, network, optimizer, titleOf as dataOf, units, variedBy } from "./summary.js";

const MOST = 20;
/** Fits of one job that are drawn at most. */
const DRAWN = 30;
const EVERY = 2000;
const ACTIVE = new Set(["queued", "running", "paused"]);

let ids = (new URLSearchParams(location.search).get("jobs") ?? "").split(",").filter(Boolean);
/** @type {Map<string, { job: any, fits: any[], data: CurveData }>} */
const known = new Map();
let card = /** @type {any} */ (null);
let showsAll = new URLSearchParams(location.search).has("all");

/** A job's name, with its id where two have the same. */
const titleOf = (job) => ([...known.values()].some((one) => one.job.id !== job.id && nameOf(one.job) === nameOf(job)) ? `${nameOf(job)} ${job.id.slice(-8)}` : nameOf(job));

async function read() {
  const problems = [];
  await Promise.all(ids.slice(0, MOST).map(async (id) => {
    const was = known.get(id);
    if (was && !ACTIVE.has(was.job.status)) return;
    try {
      const [job, fits] = await Promise.all([get(`/v1/jobs/${id}`), get(`/v1/jobs/${id}/fits`)]);
      await learn([job.dataset], true);
      known.set(id, { job, fits: fits.items, data: was?.data ?? new CurveData(id) });
    } catch (error) {
      if (!(error instanceof ApiError) || error.isPassing || error.status === 401) throw error;
      known.delete(id);
      problems.push(problemCard({ ...error.problem, title: `${id}: ${error.problem.title}` }));
    }
  }));
  byId("problems").replaceChildren(...problems);
}

/** @returns {{ job: any, fits: any[], data: CurveData }[]} */
const jobs = () => ids.flatMap((id) => known.get(id) ?? []);

const lossOf = ({ job }) => units(job).loss;

/** Jobs whose losses have the unit of the first one's: nats and squared units share no axis. */
function drawn() {
  const all = jobs().filter(({ fits }) => fits.some((fit) => fit.last));
  return all.filter((one) => lossOf(one) === lossOf(all[0]));
}

/** Which curves stand for a job: those of the fits that it concluded with, of all until it has. */
function shown({ job, fits }) {
  const numbers = job.outcome?.fits ?? [];
  const found = fits.filter((fit) => numbers.includes(fit.number));
  return (found.length ? found : fits).slice(0, DRAWN);
}

/** How many fits are drawn of jobs of which that is not all, in words. */
function undrawn() {
  const some = drawn().flatMap((one) => {
    const [count, all] = [shown(one).length, one.fits.length];
    return count < all ? `${one.job.outcome && count < DRAWN ? "" : "the first "}${count} of ${all} fits of ${middle(titleOf(one.job), 60)}` : [];
  });
  return some.length ? h("p.faint", {}, `Drawn are ${some.join(", ")}: those that the figures below are of.`) : null;
}

/** Every leaf of a spec by its pointer. */
function leaves(value, path = "", found = new Map()) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) found.set(path, JSON.stringify(value));
  else for (const [name, one] of Object.entries(value)) leaves(one, `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, found);
  return found;
}

/** The leaves of a job's spec; what its plan varies is as its fits had it, and "varied" where they had several values. */
function settled({ job, fits }) {
  const found = leaves(job.spec);
  const pointers = variedBy(job.spec.plan);
  const sets = [...new Set(fits.map((fit) => JSON.stringify(fit.overrides)))];
  const specs = sets.map((one) => leaves(applied(job.spec, JSON.parse(one))));
  for (const leaf of new Set([found, ...specs].flatMap((spec) => [...spec.keys()]))) {
    if (!pointers.some((pointer) => leaf === pointer || leaf.startsWith(`${pointer}/`))) continue;
    const values = new Set(specs.map((spec) => spec.get(leaf) ?? "–"));
    found.set(leaf, values.size === 1 ? [...values][0] : "varied");
  }
  return found;
}

/** A pointer or JSON that breaks between its words. */
const breakable = (text) => text.split(/(?<=[/_,:])/).flatMap((word) => [word, h("wbr")]);

/** Parameters of a job's networks: a number, or from which to which where its plan varies them. */
function parameters({ fits }) {
  const sizes = fits.map((fit) => fit.num_parameters).filter((size) => size !== null);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  return !sizes.length ? "–" : least === most ? number(least) : `${number(least)} to ${number(most)}`;
}

function table() {
  const all = jobs();
  const specs = all.map(settled);
  const pointers = [...new Set(specs.flatMap((spec) => [...spec.keys()]))].filter((pointer) => pointer !== "/name" && !pointer.startsWith("/metadata"));
  const given = (spec, pointer) => (spec.get(pointer) === "null" ? "–" : (spec.get(pointer) ?? "–")); // null has no fields, and its pointer is that of what has
  const differing = pointers.filter((pointer) => new Set(specs.map((spec) => given(spec, pointer))).size > 1);
  const listed = showsAll ? pointers : differing;
  const row = (name, cells, best = /** @type {number[]} */ ([])) => h("tr", {}, h("th", { scope: "row" }, name), cells.map((one, i) => h("td.number", {}, one, best.includes(i) ? h("span.good", {}, " (best)") : null)));
  const ends = all.map(({ job }) => job.outcome);
  const rowSets = all.map(({ job }) => JSON.stringify([job.dataset, job.spec.split, job.spec.seed]));
  /** Who is best, where all that have the figure were measured on the same rows; nobody is best of equals. */
  const best = (values, sign) => {
    const having = values.flatMap((value, i) => (value === null ? [] : [i]));
    const most = Math.max(...having.map((i) => sign * values[i]));
    const found = having.filter((i) => sign * values[i] === most);
    return new Set(having.map((i) => rowSets[i])).size === 1 && found.length < having.length ? found : [];
  };
  const rows = [row("data", all.map(({ job }) => middle(dataOf(job.dataset), 28))), row("network", all.map(({ job }) => network(job.spec))), row("optimizer", all.map(({ job }) => optimizer(job.spec))), row("status", all.map(({ job }) => `${icon(job.status)} ${job.status}`))];
  if (all.some(({ fits }) => fits.length > 1)) rows.push(row("figures are of", ends.map((end) => end?.of ?? "–")));
  for (const [code, label, sign] of /** @type {[string, string, number][]} */ ([["val_loss", "validation loss", -1], ["val_accuracy", "validation accuracy", 1], ["val_r2", "validation R²", 1], ["train_loss", "training loss", 0], ["train_accuracy", "training accuracy", 0], ["train_r2", "training R²", 0], ["test_loss", "test loss, measured once", -1], ["test_accuracy", "test accuracy", 1], ["test_r2", "test R²", 1], ["generalization_gap", "generalization gap", 0]])) {
    const found = ends.map((end) => end?.figures[code] ?? null);
    const values = found.map((one) => one?.value ?? null);
    if (values.some((value) => value !== null)) rows.push(row(label, found.map(interval), sign ? best(values, sign) : []));
  }
  const only = (of) => all.map(({ fits }, i) => {
    const own = fits.length === 1 ? fits : fits.filter((fit) => ends[i]?.fits.includes(fit.number));
    return own.length === 1 ? of(own[0]) : fits.length ? "several fits" : "–";
  });
  rows.push(row("best epoch / last", only((fit) => `${fit.best_epoch ?? "–"} / ${fit.last_epoch ?? "–"}`)), row("diagnosis", only((fit) => (fit.diagnosis ? words(fit.diagnosis.verdict) : "–"))), row("parameters", all.map(parameters)), row("trained for", all.map(({ job }) => duration(job.running_seconds))));
  const head = all.map(({ job }) => h("th.number", { scope: "col" }, h("a", { href: `${PAGES}jobs/${job.id}`, title: nameOf(job) }, middle(titleOf(job), 32)), " ", h("button.plain.no-print", { type: "button", "aria-label": `Take ${titleOf(job)} away`, onclick: () => take(job.id) }, "×")));
  const body = listed.map((pointer) => row(h("code", {}, breakable(pointer)), specs.map((spec) => breakable(given(spec, pointer)))));
  const divider = h("tr", {}, h("th", { colspan: all.length + 1, scope: "rowgroup" }, h("div.row", {}, showsAll ? "Every field of the specs" : `What differs in the specs: ${differing.length || "nothing"}`, h("button.no-print", { type: "button", id: "all-fields", onclick: () => {
    showsAll = !showsAll;
    writeState({ all: showsAll });
    draw();
    byId("all-fields").focus();
  } }, showsAll ? "Only what differs" : "Show all fields"))));
  return h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Comparison" }, h("table", { id: "comparison" }, h("caption.hidden", {}, "Jobs beside one another"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span.hidden", {}, "Figure")), head)), h("tbody", {}, rows, divider, body)));
}

/** Whether the fits began with the same weights on the same rows: then their difference is the settings' alone. */
function start() {
  const firsts = jobs().map(({ data, fits }) => data.fits.get(fits[0]?.number)?.train_loss?.[0] ?? null);
  if (firsts.length < 2 || firsts.some((one) => one === null)) return null;
  const isSame = new Set(firsts).size === 1;
  return h("p.notice", {}, isSame ? h("strong.good", {}, "Same start: ") : h("strong", {}, "Different starts: "), isSame ? "at epoch 0 the training losses are equal to the last bit, so these jobs began with the same weights on the same rows." : "at epoch 0 the training losses differ: network, rows, preparation or seed are not the same, and differences are not those of the other settings alone.");
}

function markdown() {
  const text = (cell) => [...cell.childNodes].filter((one) => one.nodeName !== "BUTTON").map((one) => one.textContent).join("").trim().replaceAll("|", "\\|") || " ";
  const rows = [...document.querySelectorAll("#comparison tr:not(:has([colspan]))")].map((row) => `| ${[...row.children].map(text).join(" | ")} |`);
  return [rows[0], `|${" --- |".repeat(jobs().length + 1)}`, ...rows.slice(1)].join("\n");
}

/** Names of jobs that are in the table and not in the chart. */
function leftOut() {
  const [shown, all] = [drawn(), jobs().filter(({ fits }) => fits.some((fit) => fit.last))];
  const others = all.filter((one) => !shown.includes(one));
  return others.length ? h("p.notice", {}, h("strong", {}, "Different losses: "), `the curves are those of ${lossOf(shown[0])}. ${others.map(({ job }) => middle(titleOf(job), 40)).join(", ")} ${others.length === 1 ? "has" : "have"} ${lossOf(others[0])}, which shares no axis with it.`) : null;
}

function draw() {
  const all = jobs();
  byId("table").replaceChildren(all.length ? table() : h("p.empty", {}, "Choose jobs in ", h("a", { href: `${ROOT}/` }, "the list"), ", or add one below."));
  byId("start").replaceChildren(...[start(), leftOut(), undrawn()].filter(Boolean));
}

function take(id) {
  ids = ids.filter((one) => one !== id);
  writeState({ jobs: ids.join(",") });
  say("taken away");
  again();
}

async function add(select) {
  if (!select.value) return;
  ids = [...ids, select.value];
  writeState({ jobs: ids.join(",") });
  byId("adding").replaceChildren();
  await again();
}

async function choices() {
  const found = (await get("/v1/jobs?limit=50&fields=id,name,plan,dataset")).items.filter((job) => !ids.includes(job.id));
  await learn(found.map((job) => job.dataset));
  const select = h("select", { id: "add", onchange: (event) => add(event.target) }, h("option", { value: "" }, "choose…"), found.map((job) => h("option", { value: job.id }, `${middle(nameOf(job), 60)} (${job.id.slice(-8)})`)));
  byId("adding").replaceChildren(h("label", { for: "add" }, "Add a job "), select);
}

async function refresh() {
  await read();
  const all = jobs();
  if (all.length) {
    if (!card) {
      card = new CurvesCard({ name: "comparison", sources: () => drawn().map((one) => ({ data: one.data, fits: shown(one), prefix: titleOf(one.job), version: one.job.version })), units: {} });
      byId("curves").replaceChildren(card.element);
    }
    card.units = units((drawn()[0] ?? all[0]).job);
    await card.update().catch((error) => {
      if (error.status !== 404) throw error; // it was deleted just now, and is not there when read again
    });
  }
  byId("curves").hidden = !all.length;
  draw();
}

/** Read what is shown, and once what may be added. */
const again = () => reading(() => Promise.all([refresh(), byId("add") || choices()]), (error) => tellFailure(byId("problems"), error));

async function run() {
  show(h("div", { id: "problems" }), h("div.row.no-print", {}, h("span", { id: "adding" }), copyButton("Copy link", () => location.href), copyButton("Copy as Markdown", markdown), h("button", { type: "button", onclick: () => window.print() }, "Print")), h("div", { id: "start" }), h("div", { id: "curves" }), h("section.card", { "aria-label": "Side by side" }, h("h2", {}, "Side by side"), h("div", { id: "table" })));
  while (await again()) {
    do await pause(EVERY);
    while (!jobs().some(({ job }) => ACTIVE.has(job.status)));
  }
}

run().catch((error) => {
  byId("problems")?.replaceChildren(problemCard({ title: "This page failed", detail: String(error) }));
  throw error;
});
