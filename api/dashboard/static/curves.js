// @ts-check
// Training and validation curves of a job's fits, the gap as a band of its own, and what a reader turns on them.

import { get } from "./api.js";
import { Chart, heft, hue, MANY } from "./chart.js";
import { h, problemCard, writeState } from "./dom.js";
import { number } from "./format.js";

const FEW = 8;
/** Points of all curves together: more than these are no finer on any screen. */
const POINTS = 20_000;
const LABELS = { loss: "loss", accuracy: "accuracy", rmse: "RMSE", r2: "R²", objective: "objective", learning_rate: "learning rate" };
/** The name of a fit that is the only one. */
const ONLY = "fit";
const SINGLE = new Set(["objective", "learning_rate"]);

/** Curves of one job, kept up to date by reading only what is new. */
export class CurveData {
  constructor(jobId) {
    this.jobId = jobId;
    /** @type {Map<number, any>} */
    this.fits = new Map();
    this.version = null;
    this.asked = "";
  }

  /** Read columns of fits: all of them anew where others are asked for than before, else what was written since, if the job's `version` says that something was. */
  async read(columns, { isFull = false, count = 1, version = Infinity } = {}) {
    const wanted = columns.join(",");
    const isNew = this.version === null || this.asked !== `${wanted}/${isFull}`;
    if (!isNew && /** @type {any} */ (this.version) >= version) return;
    const points = `&max_points=${isFull ? 100_000 : Math.max(100, Math.min(1000, Math.round(POINTS / Math.max(1, count))))}`;
    const answer = await get(`/v1/jobs/${this.jobId}/curves?columns=${wanted}${isNew ? points : `&after_version=${this.version}&max_points=100000`}`);
    if (isNew) this.fits = new Map();
    this.asked = `${wanted}/${isFull}`;
    this.version = answer.version;
    for (const part of answer.fits) this.merge(part, columns);
  }

  /** Put new rows behind those that are there; a rewritten epoch replaces itself and all behind it. */
  merge(part, columns) {
    const known = this.fits.get(part.number) ?? { number: part.number, label: part.label, epoch: [], ...Object.fromEntries(columns.map((name) => [name, []])) };
    const first = part.epoch[0];
    if (first !== undefined) {
      let keep = known.epoch.length;
      while (keep && known.epoch[keep - 1] >= first) keep--;
      known.epoch = known.epoch.slice(0, keep).concat(part.epoch);
      for (const name of columns) known[name] = known[name].slice(0, keep).concat(part[name] ?? new Array(part.epoch.length).fill(null));
    }
    known.best_epoch = part.best_epoch;
    known.last_epoch = part.last_epoch;
    this.fits.set(part.number, known);
  }
}

/** The card with the two charts. `units` says which figures there are, and names their axes; `group(fit)` tells which fits belong together. */
export class CurvesCard {
  /** @param {{ name: string, sources: () => { data: CurveData, fits: any[], prefix: string, version: number }[], units: Record<string, string> }} options */
  constructor({ name, sources, units }) {
    this.sources = sources;
    this.units = units;
    const query = new URLSearchParams(location.search);
    this.state = { metric: query.get("metric") ?? "loss", x: query.get("x") ?? "epoch", logY: query.has("logy"), logX: query.has("logx"), fromZero: query.has("zero"), smoothing: Math.min(0.99, Number(query.get("smooth")) || 0), mean: query.get("show") === "mean" };
    this.main = new Chart({ name });
    this.gap = new Chart({ name: `${name} gap`, height: 190 });
    this.main.mates = [this.gap];
    this.gap.mates = [this.main];
    this.controls = h("div.controls.no-print", {});
    this.said = h("div");
    this.element = h("section.card", { "aria-label": "Curves" }, h("h2", {}, "Curves"), this.controls, this.said, this.main.element, h("h3", {}, "Generalization gap"), this.gap.element);
    this.drawnControls = "";
    this.averages = /** @type {any} */ (null);
  }

  change(values) {
    Object.assign(this.state, values);
    const { metric, x, logY, logX, fromZero, smoothing, mean } = this.state;
    writeState({ metric: metric === "loss" ? "" : metric, x: x === "epoch" ? "" : x, logy: logY, logx: logX, zero: fromZero, smooth: smoothing || "", show: mean ? "mean" : "" });
    this.drawnControls = "";
    this.update().catch((error) => this.said.replaceChildren(problemCard(error.problem ?? error)));
  }

  columns() {
    const { metric, x } = this.state;
    const figures = SINGLE.has(metric) ? [metric] : [`train_${metric}`, `val_${metric}`];
    return x === "time" ? [...figures, "seconds"] : figures;
  }

  /** Read what is new, and draw. */
  async update() {
    const asked = (this.asking = (this.asking ?? 0) + 1);
    const sources = this.sources();
    const fits = sources.flatMap((source) => source.fits);
    const metrics = Object.keys(this.units);
    if (!metrics.includes(this.state.metric)) this.state.metric = "loss";
    const columns = this.columns();
    const count = Math.max(1, fits.length);
    if (count > FEW) this.state.x = "epoch";
    const reads = sources.map((source) => source.data.read(this.columns(), { isFull: this.state.x === "time", count, version: source.version }));
    if (this.state.smoothing || this.state.mean) this.averages ??= await import("./smoothing.js"); // only who averages waits for it
    await Promise.all(reads);
    if (asked !== this.asking) return;
    this.said.replaceChildren();
    this.drawControls(metrics, count, sources);
    this.draw(sources, columns);
  }

  drawControls(metrics, count, sources) {
    const shape = JSON.stringify([metrics, count > 1, count > FEW]);
    if (shape === this.drawnControls) return;
    this.drawnControls = shape;
    const { state } = this;
    const select = (id, label, value, options, change) => h("label", { for: id }, `${label} `, h("select", { id, onchange: (event) => change(event.target.value) }, options.map(([name, text]) => h("option", { value: name, selected: name === value }, text))));
    const toggle = (label, name) => h("button", { type: "button", "aria-pressed": String(state[name]), onclick: () => this.change({ [name]: !state[name] }) }, label);
    const told = h("output", { for: "smoothing" }, state.smoothing.toFixed(2));
    const slider = h("input", { id: "smoothing", type: "range", min: 0, max: 0.99, step: 0.01, value: state.smoothing });
    slider.addEventListener("input", () => {
      state.smoothing = Number(slider.value);
      told.textContent = state.smoothing.toFixed(2);
      this.update();
    });
    slider.addEventListener("change", () => writeState({ smooth: state.smoothing || "" }));
    const held = document.activeElement?.closest(".controls") === this.controls ? document.activeElement : null;
    const again = held && (held.id ? `#${held.id}` : held.textContent);
    this.controls.replaceChildren(
      select("metric", "Figure", state.metric, metrics.map((one) => [one, LABELS[one]]), (metric) => this.change({ metric })),
      count > FEW ? "" : select("x-axis", "Against", state.x, [["epoch", "epoch"], ["time", "training time"]], (x) => this.change({ x })),
      toggle("log y", "logY"),
      toggle("log x", "logX"),
      toggle("from 0", "fromZero"),
      count > sources.length || count > FEW ? toggle("mean ± sd", "mean") : "",
      h("label", { for: "smoothing" }, "Smoothing ", slider, told),
    );
    if (again) (again.startsWith("#") ? this.controls.querySelector(again) : [...this.controls.querySelectorAll("button")].find((one) => one.textContent === again))?.focus();
  }

  draw(sources, columns) {
    const { metric, smoothing, mean, x: axis } = this.state;
    const { spread } = this.averages ?? {};
    const smooth = (values) => (smoothing ? this.averages.smooth(values, smoothing) : values);
    const isTime = axis === "time" && columns.includes("seconds");
    const curves = sources.flatMap((source) => source.fits.flatMap((fit) => {
      const curve = source.data.fits.get(fit.number);
      return curve && curve.epoch.length ? [{ fit, curve, source, x: isTime ? elapsed(curve.seconds) : curve.epoch }] : [];
    }));
    const xs = [...new Set(curves.flatMap((one) => one.x))].sort((a, b) => a - b);
    const place = new Map(xs.map((x, i) => [x, i]));
    const on = (one, column) => {
      const values = new Array(xs.length).fill(null);
      one.x.forEach((x, i) => (values[/** @type {number} */ (place.get(x))] = one.curve[column]?.[i] ?? null));
      return values;
    };
    const isSingle = SINGLE.has(metric);
    const parts = isSingle ? [[LABELS[metric], LABELS[metric]]] : [["train", "training"], ["val", "validation"]];
    const variants = [...new Set(curves.map((one) => variant(one)))];
    const isAlone = curves.length === 1;
    const isOfOne = variants.length === 1;
    const color = (one, part) => (isOfOne ? hue(part === "val" ? 1 : 0) : hue(variants.indexOf(variant(one))));
    // Fits that have one color are told apart by pointing at them; the legend names what the colors mean.
    const count = (one) => curves.filter((other) => variant(other) === variant(one)).length;
    const isCrowded = !mean && curves.length > MANY && curves.some((one) => count(one) > 1);
    const kin = (one) => (isCrowded ? variant(one) : undefined);
    const column = (part) => (isSingle ? metric : `${part}_${metric}`);
    const lines = [];
    const bands = [];
    const gaps = [];
    const gapBands = [];
    const marks = [];
    const gapMarks = [];
    const shown = mean && curves.length > variants.length ? variants.map((name) => ({ name, of: curves.filter((one) => variant(one) === name) })) : curves.map((one) => ({ name: named(one, curves), of: [one] }));
    for (const { name, of } of shown) {
      const shared = { group: name, kin: of.length > 1 ? undefined : kin(of[0]), heft: heft(variants.indexOf(variant(of[0]))), wild: of.some(({ fit }) => fit.status === "diverged") };
      const titled = (word) => (name === ONLY ? word : `${name}, ${word}`);
      for (const [part, word] of parts) {
        const tone = color(of[0], part);
        const found = of.map((one) => on(one, column(part)));
        const averaged = of.length > 1 ? spread(found) : null;
        const values = averaged ? averaged.mean : found[0];
        if (values.every((value) => value === null)) continue;
        if (averaged && part !== "train") bands.push({ ...shared, color: tone, low: averaged.low, high: averaged.high });
        lines.push({ ...shared, part, name: titled(word), color: tone, dashed: part === "val", faint: shown.length > FEW && part === "train", values: smooth(values), exact: values, raw: smoothing > 0 && shown.length <= FEW ? values : undefined });
      }
      if (isSingle) continue;
      for (const one of of) marks.push(...marksOf(one, one.curve[column(one.curve[column("val")]?.some((value) => value !== null) ? "val" : "train")], color(one, "val"), name));
      const differences = of.map((one) => gapOf(on(one, column("train")), on(one, column("val")), metric));
      const averaged = of.length > 1 ? spread(differences) : null;
      const values = averaged ? averaged.mean : differences[0];
      if (values.every((value) => value === null)) continue;
      const tone = isOfOne ? hue(3) : color(of[0], "val");
      if (averaged) gapBands.push({ ...shared, color: tone, low: averaged.low, high: averaged.high });
      gaps.push({ ...shared, part: "gap", name: titled("gap"), color: tone, values: smooth(values), exact: values });
      for (const one of of) gapMarks.push(...marksOf(one, gapOf(one.curve[column("train")], one.curve[column("val")], metric), tone, name));
    }
    const xLabel = isTime ? "seconds of training" : "epoch";
    const common = { x: xs, xLabel, logX: this.state.logX };
    const isGap = isAlone && !this.state.logY && gaps.some(({ exact }) => exact.filter((value) => value !== null).length > 1);
    const deviation = bands.length ? `± one standard deviation${isSingle ? "" : " of validation"}` : "";
    const best = isAlone ? curves[0].curve.best_epoch : null;
    this.main.set({ ...common, yLabel: this.units[metric], lines, bands, marks, gap: isGap, shaded: isGap ? "the gap" : deviation, logY: this.state.logY, fromZero: this.state.fromZero, caption: sentence(curves, metric), facts: { series: lines.length, epochs: xs.length, bestEpoch: best ?? "", smoothing } });
    this.gap.element.hidden = isSingle || !gaps.length;
    this.gap.element.previousElementSibling.hidden = this.gap.element.hidden;
    if (gaps.length) this.gap.set({ ...common, yLabel: isScore(metric) ? "train − validation" : "validation − train", lines: gaps, bands: gapBands, shaded: gapBands.length ? "± one standard deviation" : "", marks: gapMarks, zero: true, caption: gapSentence(curves, metric), facts: { series: gaps.length } });
  }
}

/** What fits belong together: variants of a comparison, candidates of a search, jobs beside one another. */
function variant({ fit, source }) {
  const one = fit.place?.variant ?? fit.place?.candidate ?? fit.place?.value ?? fit.place?.fraction ?? "";
  return `${source.prefix}${source.prefix && one !== "" ? ", " : ""}${one === "" ? "" : typeof one === "number" ? settingOf(fit.label) : one}` || "all fits";
}

/** What of a label is not the place among the rows: `fold 1, learning_rate=0.1, inner fold 2` is of learning_rate=0.1. */
const settingOf = (label) => label.split(", ").filter((part) => !/^(inner )?(fold|resample|repeat)\b/.test(part)).join(", ");

function named(one, curves) {
  const { fit, source } = one;
  const name = curves.length === 1 && !source.prefix && source.fits.length === 1 && variant(one) === "all fits" ? ONLY : [source.prefix, source.fits.length > 1 || !source.prefix ? fit.label : ""].filter(Boolean).join(", ");
  return curves.some((other) => other !== one && other.fit.label === fit.label && other.source === source) ? `${name} #${fit.number}` : name;
}

function elapsed(seconds) {
  let sum = 0;
  return seconds.map((value) => (sum += value ?? 0));
}

const isScore = (metric) => metric === "accuracy" || metric === "r2";

/** The gap as the service defines it: validation minus training for losses and errors, training minus validation for scores. */
function gapOf(train, val, metric) {
  const sign = isScore(metric) ? -1 : 1;
  return train.map((value, i) => (value === null || val[i] === null ? null : sign * (val[i] - value)));
}

function marksOf({ fit, curve, x }, values, color, group) {
  const found = [];
  const best = curve.epoch.indexOf(curve.best_epoch);
  const last = x.length - 1;
  const hasDiverged = fit.status === "diverged";
  if (best >= 0 && !(hasDiverged && !last)) found.push({ x: x[best], y: values[best], kind: "best", color, group });
  if (fit.stop_reason === "early_stopping") found.push({ x: x[last], y: null, kind: "stop", color, group });
  if (hasDiverged) found.push({ x: x[last], y: values[last], kind: "diverged", color, group });
  return found;
}

const isUntrained = ({ fit, curve }) => fit.status === "diverged" && curve.epoch.length < 2;

function sentence(curves, metric) {
  if (!curves.length) return "No epoch has been measured yet.";
  const label = LABELS[metric];
  if (SINGLE.has(metric)) return `${label} of ${curves.length === 1 ? "the fit" : `${curves.length} fits`}.`;
  if (curves.length > 1) return sentenceOfMany(curves, metric);
  const [{ fit, curve }] = curves;
  const name = named(curves[0], curves);
  const whose = name === ONLY ? "" : ` of ${name}`;
  const best = curve.epoch.indexOf(curve.best_epoch);
  const last = curve.epoch.at(-1);
  const [val, train] = [curve[`val_${metric}`] ?? [], curve[`train_${metric}`] ?? []];
  const isMeasured = val.some((value) => value !== null);
  const hasDiverged = fit.status === "diverged";
  const end = hasDiverged ? " Then it diverged." : fit.stop_reason === "early_stopping" ? " Early stopping ended it." : "";
  if (isUntrained(curves[0])) return `${whose ? name : "It"} diverged in the first epoch; what is drawn is the network before any update.`;
  if (best >= 0 && isMeasured) return `The best epoch${whose} is ${curve.best_epoch} of ${last}: validation ${label} ${number(val[best])}, training ${label} ${number(train[best])}.${end}`;
  const so = `At epoch ${last} the training ${label}${whose} is ${number(train.at(-1) ?? null)}`;
  if (!isMeasured) return `${so}.${end}`;
  const found = val.filter((value) => value !== null);
  const most = isScore(metric) ? Math.max(...found) : Math.min(...found);
  return `${so}, the validation ${label} ${number(val.at(-1))}; the best so far is ${number(most)} at epoch ${curve.epoch[val.indexOf(most)]}.${end}`;
}

function sentenceOfMany(curves, metric) {
  if (curves.every(isUntrained)) return `All ${curves.length} fits diverged in the first epoch; what is drawn is the network before any update.`;
  const calm = curves.filter(({ fit }) => fit.status !== "diverged");
  const lost = curves.length - calm.length;
  const head = `${curves.length} fits${lost ? `, ${calm.length ? lost : "all"} of which diverged` : ""}.`;
  const found = calm.map((one) => ({ name: named(one, curves), value: one.curve[`val_${metric}`]?.[one.curve.epoch.indexOf(one.curve.best_epoch)] ?? null })).filter((one) => one.value !== null).sort((a, b) => a.value - b.value);
  if (!found.length) return head;
  const ends = [found[0], ...found.slice(1).slice(-1)].map((one) => `${number(one.value)} (${one.name})`);
  return `${head} At their best epochs the validation ${LABELS[metric]}${lost ? " of the others" : ""} ${ends[1] ? `goes from ${ends.join(" to ")}` : `is ${ends[0]}`}.`;
}

function gapSentence(curves, metric) {
  if (curves.length !== 1) return `Gap of each of ${curves.length} fits; above zero, rows that were not trained on do worse.`;
  const [{ curve }] = curves;
  const gaps = gapOf(curve[`train_${metric}`] ?? [], curve[`val_${metric}`] ?? [], metric);
  const best = gaps[curve.epoch.indexOf(curve.best_epoch)] ?? null;
  const last = gaps.at(-1) ?? null;
  if (best === null || gaps.length < 2) return "Above zero, rows that were not trained on do worse.";
  return `The gap is ${number(best)} at the best epoch and ${number(last)} at the last; above zero, rows that were not trained on do worse.`;
}
