// @ts-check
// One job: live curves, the gap, what is wrong with it in words, what its plan concluded, and what can be done with it.

import { ApiError, get, unbroken } from "./api.js";
import { CurveData, CurvesCard } from "./curves.js";
import { byId, copyButton, h, PAGES, problemCard, ROOT, say, show, table, tellFailure } from "./dom.js";
import { confusion, diagnosis, perClass, reliability, scores } from "./evaluation.js";
import { duration, icon, instant, interval, number, words } from "./format.js";
import { Live } from "./live.js";
import { planView } from "./plans.js";
import { applied, learn, nameOf, network, optimizer, titleOf, units } from "./summary.js";

const ID = decodeURIComponent(location.pathname.split("/").at(-1) ?? "");
const PATH = `/v1/jobs/${ID}`;
const ENDED = new Set(["succeeded", "failed", "cancelled"]);
/** Plans whose later fits follow from earlier ones: more epochs would be another job (jobs/plans/extendable.py). */
const IN_ROUNDS = new Set(["search", "nested_cv", "boosting"]);
const MOST_FITS = 200;
const BETWEEN_FITS = 1000;
const FIRST = ["train_loss", "val_loss"];

let job = /** @type {any} */ (null);
let fits = /** @type {any[]} */ ([]);
let fitsAt = -BETWEEN_FITS;
let chosen = 0;
let card = /** @type {any} */ (null);
const data = new CurveData(ID);

/** Draw the page's parts once; they are filled anew as the job changes. */
function frame() {
  card = new CurvesCard({ name: job.name ?? ID, sources: () => [{ data, fits: overlaid(), prefix: "", version: job.version }], units: units(job) });
  show(
    h("div", { id: "head" }),
    h("div", { id: "head-said" }),
    h("div", { id: "trouble" }),
    h("p", { id: "sentence" }),
    h("div", { id: "plan" }),
    h("div.columns", {}, h("div", {}, card.element, h("div", { id: "scores" })), h("div", {}, h("div", { id: "diagnosis" }), h("section.card", { "aria-label": "Facts" }, h("h2", {}, "Facts"), h("div", { id: "facts" })))),
    h("div", { id: "fits" }),
    h("div", { id: "classes" }),
    h("section.card.no-print", { "aria-label": "Take it with you" }, h("h2", {}, "Take it with you"), h("div", { id: "files-said" }), h("div", { id: "files" })),
    h("section.card.no-print", { "aria-label": "Spec" }, h("h2", {}, "Spec and story"), h("div", { id: "spec" })),
  );
}

/** Fits whose curves are drawn: all, or those that the address picks. */
function overlaid() {
  const picked = new Set((new URLSearchParams(location.search).get("fits") ?? "").split(",").map(Number).filter(Boolean));
  return picked.size ? fits.filter((fit) => picked.has(fit.number)) : fits;
}

async function changed(found) {
  const was = job;
  job = found;
  const hasEnded = ENDED.has(job.status);
  const isDue = !card || hasEnded || performance.now() - fitsAt > BETWEEN_FITS || !fits.length;
  // All at once: a page is as slow as what it waits for in turn.
  const [listed] = await Promise.all([isDue && get(`${PATH}/fits`), card || data.read(FIRST, { count: job.num_fits }), learn([job.dataset], true)]);
  if (listed) {
    fits = listed.items;
    fitsAt = performance.now();
  }
  if (!card) frame();
  drawHead();
  await card.update();
  if (was?.status !== job.status) say(`${job.name ?? "The job"} is ${job.status}`);
  if (isDue) drawRest();
}

function state(text, isThere, error) {
  const badge = byId("badge");
  if (!badge && error) tellFailure(byId("app"), error, h("h1", {}, "Job"));
  if (!badge) return;
  badge.hidden = ENDED.has(job?.status);
  badge.textContent = text;
  badge.className = `badge ${isThere ? "good" : "bad"}`;
}

function drawHead() {
  const name = nameOf(job);
  document.title = `${job.status === "running" ? `${Math.floor(100 * job.progress)} % ` : ""}${name} - Holdout`;
  const isActive = !ENDED.has(job.status);
  const orders = [];
  const order = (label, what) => orders.push(h("button", { type: "button", id: `order-${what}`, onclick: () => press("head-said", "give", "", what) }, label));
  if (job.status === "running" || job.status === "queued") order(job.pause_requested_at ? "Pausing…" : "Pause", "pause");
  if (job.status === "paused" || job.pause_requested_at) order("Resume", "resume");
  if (isActive) order(job.cancel_requested_at ? "Cancelling…" : "Cancel", "cancel");
  if (["succeeded", "cancelled"].includes(job.status) && !IN_ROUNDS.has(job.plan) && !(fits.length && fits.every((fit) => fit.stop_reason === "early_stopping"))) order("Train on", "extend");
  if (!isActive) order("Delete", "delete");
  const old = byId("badge");
  const held = document.activeElement?.id;
  byId("head").replaceChildren(
    h("div.head", {}, h("h1", {}, name), h("div.row.no-print", {}, h("a.button", { href: `${PAGES}new?from=${ID}` }, "Run again with changes"), h("a.button", { href: `${PAGES}compare?jobs=${ID}` }, "Compare"), orders, copyButton("Copy link", () => location.href))),
    h("div.row", {}, h(`span.status.${job.status}`, { id: "status" }, h("span", { "aria-hidden": "true" }, `${icon(job.status)} `), job.status), isActive ? h("progress", { max: 1, value: job.progress, "aria-label": "Progress" }) : null, isActive ? h("span", {}, `${Math.floor(100 * job.progress)} %${left()}`) : h("span.faint", {}, `trained for ${duration(job.running_seconds)}`), job.phase === job.status ? null : h("span.faint", {}, job.phase), old ?? h("span", { id: "badge", class: "badge" }, "…")),
  );
  if (held) byId(held)?.focus();
  const sentence = job.result?.sentence ?? "";
  byId("sentence").textContent = job.plan === "comparison" ? sentence : `${sentence.slice(0, 1).toUpperCase()}${sentence.slice(1)}`; // a variant's label stays as it is
  const trouble = [];
  if (job.failure) trouble.push(problemCard(job.failure), h("p.no-print", {}, h("a.button", { href: `${PAGES}new?from=${ID}` }, "Change the spec and run it again")));
  for (const warning of job.warnings) trouble.push(h("div.notice", {}, h("strong", {}, "Warning: "), warning));
  byId("trouble").replaceChildren(...trouble);
}

/** How long it will take still, by how it went so far. */
function left() {
  if (job.status !== "running" || job.progress < 0.02 || !job.started_at) return "";
  const spent = job.running_seconds ?? (Date.now() - Date.parse(job.started_at)) / 1000 - job.paused_seconds;
  return spent > 2 ? `, about ${duration((spent / job.progress) * (1 - job.progress))} left` : "";
}

/** Do what a button asks for; say beside it why it did not work. */
async function press(place, what, path, how) {
  const said = byId(place);
  said.replaceChildren();
  try {
    await (await unbroken(import("./orders.js")))[what](PATH + path, job, how);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    said.replaceChildren(problemCard(error.problem));
    said.scrollIntoView({ block: "nearest" });
  }
}

function drawRest() {
  const open = new Set([...document.querySelectorAll("details[open] > summary")].map((one) => one.textContent));
  const fit = fits.find((one) => one.number === chosen) ?? fits.find((one) => one.number === (job.result?.fit ?? job.outcome?.fits[0])) ?? fits[0];
  if (ENDED.has(job.status) && !byId("plan").childElementCount) byId("plan").replaceChildren(...[planView(job, units(job))].filter(Boolean));
  byId("fits").replaceChildren(...(fits.length > 1 ? [fitTable(fit)] : []));
  byId("diagnosis").replaceChildren(diagnosis(job, fit) ?? "");
  const evaluation = fit?.evaluation;
  byId("scores").replaceChildren(...(evaluation ? [h("section.card", { "aria-label": "Scores" }, h("h2", {}, fits.length > 1 ? `Scores of ${fit.label}` : "Scores"), scores(evaluation))] : []));
  const classes = evaluation ? [confusion(evaluation), reliability(evaluation), perClass(evaluation)].filter(Boolean) : [];
  byId("classes").replaceChildren(...(classes.length ? [h("section.card", { "aria-label": "Classes" }, h("h2", {}, fits.length > 1 ? `Classes, ${fit.label}` : "Classes"), classes)] : []));
  byId("facts").replaceChildren(facts(fit));
  byId("files").replaceChildren(...files(fit));
  byId("spec").replaceChildren(...story());
  for (const one of document.querySelectorAll("details > summary")) if (open.has(one.textContent)) /** @type {HTMLDetailsElement} */ (one.parentElement).open = true;
}

/** Figures of the epoch whose weights are kept: boosting keeps the last ones, most plans the best. */
const kept = (fit) => (fit.kept_epoch !== null && fit.kept_epoch === fit.last_epoch ? fit.last : fit.best);

function fitTable(current) {
  const rows = fits.slice(0, MOST_FITS).map((fit) => [
    h("button.plain", { type: "button", "aria-pressed": null, "aria-label": `Show ${fit.label}`, onclick: () => {
      chosen = fit.number;
      drawRest();
      /** @type {HTMLElement | null} */ (byId("fits").querySelector("[aria-current]"))?.focus();
    }, "aria-current": fit === current ? "true" : null }, fit.label),
    h(`span.status.${fit.status}`, {}, `${icon(fit.status)} ${fit.status}`),
    `${(fit.kept_epoch ?? fit.best_epoch) ?? "–"} / ${fit.last_epoch ?? "–"}`,
    number(kept(fit)?.train_loss),
    number(kept(fit)?.val_loss),
    fit.generalization_gap ? interval(fit.generalization_gap) : number(kept(fit)?.generalization_gap),
    fit.diagnosis ? words(fit.diagnosis.verdict) : "–",
  ]);
  const more = fits.length > MOST_FITS ? h("p.faint", {}, `${fits.length - MOST_FITS} more are in the JSON.`) : null;
  return h("section.card", { "aria-label": "Fits" }, h("h2", {}, `${fits.length} fits`), table("Figures of the kept weights; press a name for its scores and diagnosis", ["fit", "status", "kept / last epoch", "training loss", "validation loss", "gap", "diagnosis"], rows, { numeric: new Set([2, 3, 4, 5]) }), more);
}

function facts(fit) {
  const spec = fit ? { ...applied(job.spec, fit.overrides), plan: {} } : job.spec;
  const rows = fit?.num_rows ?? {};
  const isRefit = fits.length > 1 && fit && !rows.val;
  const found = [
    fits.length > 1 && fit ? ["Of", fit.label] : null,
    ["Data", h("a", { href: `${PAGES}datasets/${job.dataset}`, title: job.dataset }, titleOf(job.dataset))],
    ["Rows", ["train", "val", "test"].filter((name) => rows[name]).map((name) => `${number(rows[name])} ${name}`).join(", ") || "–"],
    ["Network", `${network(spec)}${fit ? `, ${number(fit.num_parameters)} parameters` : ""}`],
    ["Optimizer", `${optimizer(spec)}, ${words(spec.schedule.name)} schedule`],
    ["Batch", String(spec.training.batch_size)],
    ["Epochs", isRefit ? `${fit.last_epoch ?? "–"}, as many as were best` : `up to ${spec.training.max_epochs}`],
    ["Early stopping", isRefit ? "none: a refit has no validation rows" : spec.early_stopping ? `${words(spec.early_stopping.monitor)}, patience ${spec.early_stopping.patience}` : "none"],
    ["Split", words(spec.split.name)],
    ["Plan", words(job.plan)],
    ["Seed", String(spec.seed)],
    ["Submitted", h("time", { datetime: job.created_at }, instant(job.created_at))],
    ["Queued", duration(job.queued_seconds)],
    job.continues ? ["Continues", h("a", { href: `${PAGES}jobs/${job.continues}` }, job.continues)] : null,
    ...Object.entries(job.metadata).map(([name, value]) => [name, value]),
    ...(job.environment ? Object.entries(job.environment).filter(([, value]) => typeof value !== "object").map(([name, value]) => [words(name), String(value)]) : []),
  ];
  return h("dl.facts", {}, found.filter(Boolean).map((/** @type {any} */ [name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function files(fit) {
  const file = (label, path) => h("button", { type: "button", onclick: () => press("files-said", "download", path) }, label);
  const of = fits.length > 1 && fit ? `fit=${fit.number}&` : "";
  const hasModel = fit?.has_model;
  const models = hasModel ? [["safetensors", "Weights (safetensors)"], ["onnx", "Network (ONNX)"], ["zip", "Everything (ZIP)"]].map(([format, label]) => file(label, `/model?${of}format=${format}`)) : [h("span.faint", {}, "No weights are kept yet.")];
  const concluded = fits.length > 1 && job.result?.model ? [file("What the job concluded with (ONNX)", "/model?format=onnx"), file("The same (ZIP)", "/model?format=zip")] : [];
  return [
    h("h3", {}, of ? `Model of ${fit.label}` : "Model"), h("div.row", {}, models, concluded),
    h("h3", {}, "Report"), h("div.row", {}, file("PNG", "/report.png"), file("SVG", "/report.svg"), h("button", { type: "button", onclick: () => window.print() }, "Print or PDF")),
    h("h3", {}, "Numbers"), h("div.row", {}, file("Curves (CSV)", "/curves.csv"), file("Curves (JSON)", "/curves?max_points=100000"), job.result ? file("Result (JSON)", "/result") : null, file("Fits (JSON)", "/fits"), file("The job as the API gives it", "")),
  ];
}

function story() {
  const body = JSON.stringify(job.spec);
  const curl = `curl -s ${location.origin}${ROOT}/v1/jobs -H 'Content-Type: application/json' -d '${body.replaceAll("'", "'\\''")}'`;
  return [
    h("div.row", {}, copyButton("Copy spec", () => JSON.stringify(job.spec, null, 2)), copyButton("Copy as curl", curl), copyButton("Copy id", ID)),
    h("details", {}, h("summary", {}, "Resolved spec, every default filled in"), h("pre", { tabindex: "0" }, JSON.stringify(job.spec, null, 2))),
    h("details", {}, h("summary", {}, "Story"), table("Changes of status", ["status", "at"], job.transitions.map((one) => [one.status, instant(one.at)]))),
    job.environment ? h("details", {}, h("summary", {}, "Environment"), h("pre", { tabindex: "0" }, JSON.stringify(job.environment, null, 2))) : null,
  ].filter(Boolean);
}

async function follow() {
  if (ID === "latest") return (await (await import("./latest.js")).goToLatest()) || missing();
  const error = await new Live(ID, changed, state).run();
  if (error?.status === 404) missing();
  else state(error?.words ?? "", !error, error);
}

function missing() {
  const title = job ? "This job was deleted" : "No such job";
  document.title = `${title} - Holdout`;
  say(title);
  show(h("h1", {}, title), h("p", {}, job ? "" : "There is no job of this id, or it is not yours. ", h("a", { href: `${ROOT}/` }, "All jobs")));
}

follow().catch((error) => {
  show(problemCard({ title: "This page failed", detail: String(error) }));
  throw error;
});
