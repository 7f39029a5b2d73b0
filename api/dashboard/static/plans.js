// @ts-check
// What each plan concludes, as tables and charts of its own.

import { Chart, hue } from "./chart.js";
import { h, table } from "./dom.js";
import { interval, number, words } from "./format.js";
import { figure as named } from "./summary.js";

const NUMERIC = new Set([1, 2, 3, 4, 5, 6, 7]);
const estimate = (one) => (!one || one.mean === null || one.mean === undefined ? "–" : one.std === null ? number(one.mean) : `${number(one.mean)} ± ${number(one.std, 2)}`);
const within = (one) => (!one || one.low === null || one.low === undefined ? "–" : `${number(one.low, 3)} to ${number(one.high, 3)}`);
/** A caption that says what ± is, where one of its figures has one. */
const explained = (caption, found) => (found.some((one) => (one?.std ?? null) !== null) ? `${caption}; ± is one standard deviation over folds` : caption);
const isScore = (metric) => /accuracy|r2/.test(metric);
/** What is on the axis of a metric: `val_rmse` is the RMSE, with its unit. */
const axisOf = (metric, units) => units[metric.split("_")[1]];
const setting = (value) => (typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? number(value) : String(value));

/** A chart of values at points of an axis, with an interval where there is one; dots where nothing lies between the points. */
function axisChart(name, xLabel, yLabel, points, series, caption, { logX = false, ticks = null, dots = false } = {}) {
  const chart = new Chart({ name, height: 320 });
  const lines = series.map((one, i) => ({ group: one.name, part: one.name, name: one.name, color: hue(i), dashed: !dots && one.dashed, values: one.values, sizes: dots ? one.values.map(() => 5) : undefined }));
  const bands = series.flatMap((one, i) => (one.low ? [{ group: one.name, color: hue(i), low: one.low, high: one.high }] : []));
  setTimeout(() => chart.set({ x: points, xLabel, yLabel, lines, bands, shaded: bands.length ? "95 % interval of the mean" : "", logX, points: true, ticks, caption }));
  return chart.element;
}

/** Figures in a sentence, those that there are. */
const listed = (found) => ["loss", "accuracy", "rmse", "r2"].filter((name) => found[name]).map((name) => `${named(name)} ${interval(found[name])}`).join(", ");

/** The score of a validation scheme over its folds. */
function folds(result, units) {
  const figures = Object.entries(result.summary).filter(([, one]) => one && one.count > 1);
  const parts = [table(explained(`Over ${result.divisions.length} folds`, figures.map(([, one]) => one)), ["", "mean ± sd", "95 % interval of the mean"], figures.map(([name, one]) => [named(name), estimate(one), within(one)]), { numeric: NUMERIC })];
  const fits = result.fits.filter((fit) => fit.val);
  const numbers = fits.map((_, i) => i);
  const worst = fits.find((fit) => fit.number === result.worst_fit);
  parts.push(axisChart("folds", "fold", units.loss, numbers, [{ name: "training", values: fits.map((fit) => fit.train?.loss ?? null) }, { name: "validation", values: fits.map((fit) => fit.val.loss), dashed: true }], `Loss of each fold${worst ? `; the worst is ${worst.label}` : ""}.`, { ticks: fits.map((fit) => fit.label), dots: true }));
  if (result.pooled) parts.push(h("p", {}, `All ${number(result.pooled.rows)} validation rows pooled: ${listed(result.pooled)}.`));
  return parts;
}

function comparison(result) {
  const second = /** @type {[string, (one: any) => string]} */ (result.variants.some((one) => one.summary?.val_accuracy) ? ["accuracy", (one) => estimate(one.summary?.val_accuracy)] : ["R²", (one) => estimate(one.summary?.val_r2)]);
  const rows = result.variants.map((one) => [one.rank === null ? "–" : String(one.rank), one.why ? [one.label, h("span.trouble", {}, one.why)] : one.label, interval(one.val_loss), second[1](one), estimate(one.summary?.generalization_gap), one.difference ? interval(one.difference) : one.rank === 1 ? "best" : "–", one.is_distinguishable === null || one.is_distinguishable === undefined ? "–" : one.is_distinguishable ? "worse" : "not told apart"]);
  return [table(explained("Ranking by validation loss; differences are to the best, on the same rows, with 95 % intervals", result.variants.map((one) => one.summary?.val_loss)), ["rank", "variant", "validation loss", `validation ${second[0]}`, "gap (loss)", "difference", "beside the best"], rows, { numeric: new Set([2, 3, 4, 5]) })];
}

/** Candidates in a table that sorts by any column. */
function search(result, units, space) {
  const pointers = [...new Set(result.candidates.flatMap((one) => Object.keys(one.settings)))];
  const columns = [...pointers.map((pointer) => ({ title: pointer.split("/").at(-1) ?? pointer, of: (one) => one.settings[pointer], text: (one) => (one.settings[pointer] === undefined ? "–" : setting(one.settings[pointer])) })), { title: named(result.metric), of: (one) => one.score?.mean ?? null, text: (one) => (one.score || !one.rungs.length ? estimate(one.score) : `${number(one.rungs.at(-1).score)} at epoch ${one.rungs.at(-1).epoch}`) }, { title: "gap (loss)", of: (one) => one.generalization_gap, text: (one) => number(one.generalization_gap) }, { title: "parameters", of: (one) => one.num_parameters, text: (one) => number(one.num_parameters) }, { title: "status", of: (one) => one.status, text: (one) => words(one.status) }];
  const caption = explained(`${result.candidates.length} candidates, by ${words(result.method)} search${result.candidates.some((one) => one.status === "pruned") ? "; those stopped early have the score of their last epoch and no rank" : ""}`, result.candidates.map((one) => one.score));
  const box = h("div", {});
  let by = pointers.length;
  let sign = isScore(result.metric) ? -1 : 1;
  const draw = () => {
    const rows = [...result.candidates].sort((a, b) => {
      const [x, y] = [columns[by].of(a), columns[by].of(b)];
      if (x === null || x === undefined || y === null || y === undefined) return Number(x === null || x === undefined) - Number(y === null || y === undefined);
      return (x < y ? -1 : x > y ? 1 : 0) * sign;
    });
    const head = columns.map((column, i) => h("th.number", { scope: "col", "aria-sort": i === by ? (sign > 0 ? "ascending" : "descending") : null }, h("button.plain", { type: "button", onclick: () => {
      sign = i === by ? -sign : 1;
      by = i;
      draw();
      box.querySelectorAll("thead button")[i].focus();
    } }, column.title, i === by ? (sign > 0 ? " ↑" : " ↓") : "")));
    const body = rows.map((one) => {
      const note = one.number === result.choice.chosen ? " (chosen)" : one.number === result.choice.best ? " (best)" : "";
      return h(one.number === result.choice.chosen ? "tr.best" : "tr", {}, h("th", { scope: "row" }, `${one.number}${note}`), columns.map((column) => h("td.number", {}, column.text(one))));
    });
    box.replaceChildren(h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Candidates" }, h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "candidate"), head)), h("tbody", {}, body))));
  };
  draw();
  const parts = [box];
  const numeric = pointers.filter((pointer) => result.candidates.every((one) => typeof one.settings[pointer] === "number") && new Set(result.candidates.map((one) => one.settings[pointer])).size > 2);
  for (const pointer of numeric.slice(0, 3)) {
    const found = result.candidates.filter((one) => one.score || one.rungs.length).sort((a, b) => a.settings[pointer] - b.settings[pointer]);
    const xs = [...new Set(found.map((one) => one.settings[pointer]))];
    const isRandom = result.method !== "grid";
    const logX = space[pointer].values ? xs[0] > 0 && xs[xs.length - 1] / xs[0] > 30 : Boolean(space[pointer].log);
    const best = (name, of) => ({ name, values: xs.map((x) => found.filter((one) => one.settings[pointer] === x).map(of).filter((value) => value !== undefined).sort((a, b) => (isScore(result.metric) ? b - a : a - b))[0] ?? null) });
    const series = [best(isRandom ? "finished" : "best of its value", (one) => one.score?.mean), best("stopped early", (one) => (one.score ? undefined : one.rungs.at(-1).score))];
    parts.push(axisChart(`search ${pointer}`, pointer.split("/").at(-1), axisOf(result.metric, units), xs, series.filter((one) => one.values.some((value) => value !== null)), `${named(result.metric)} against ${pointer}: ${isRandom ? "every candidate" : "the best candidate of each value"}.`, { logX, dots: isRandom || xs.length < 4 }));
  }
  const { choice, refit } = result;
  parts.push(h("p", {}, `Chosen: candidate ${choice.chosen} (${Object.entries(choice.settings).map(([pointer, value]) => `${pointer} = ${setting(value)}`).join(", ")}) by the rule “${words(choice.rule)}”${choice.threshold ? `: not worse than ${number(choice.threshold)}, which is the best one's score and its standard error ${number(choice.standard_error)}` : ""}.`));
  if (refit?.test) parts.push(h("p", {}, `Fitted anew on all training rows: test ${listed(refit.test)}.`));
  return parts;
}

function nested(result, units) {
  const rows = result.folds.map((fold) => [fold.label, fold.label_of_choice ?? "–", number(fold.inner_score), number(fold.outer_score), number(fold.optimism)]);
  return [
    table(explained(`${named(result.metric)} of each outer fold: what its search chose, believed and was worth`, [result.outer_score]), ["fold", "choice", "believed (inner)", "worth (outer)", "optimism"], rows, { numeric: new Set([2, 3, 4]) }),
    h("dl.facts", {}, [["inner score", result.inner_score], ["outer score", result.outer_score], ["optimism", result.optimism]].map(([name, one]) => [h("dt", {}, name), h("dd", {}, `${estimate(one)} (95 % interval ${within(one)})`)])),
    result.pooled && h("p", {}, `All ${number(result.pooled.rows)} outer rows pooled: ${listed(result.pooled)}.`),
    axisChart("nested", "fold", axisOf(result.metric, units), rows.map((_, i) => i), [{ name: "believed (inner)", values: result.folds.map((fold) => fold.inner_score) }, { name: "worth (outer)", values: result.folds.map((fold) => fold.outer_score) }], `The ${named(result.metric)} that the searches believed and what they were worth.`, { ticks: result.folds.map((fold) => fold.label), dots: true }),
  ];
}

/** What an ensemble came to on each part of the rows. */
function ensemble(result, units) {
  const parts = [["train", "training"], ["val", "validation"], ["test", `test, ${number(result.test_rows)} rows`]].filter(([part]) => result[part]);
  const rows = Object.keys(units).filter((name) => parts.some(([part]) => result[part][name])).map((name) => [units[name], ...parts.map(([part]) => interval(result[part][name]))]);
  return table("The ensemble, with 95 % intervals", ["", ...parts.map(([, label]) => label)], rows, { numeric: NUMERIC });
}

function bagging(result, units) {
  const figure = result.val?.accuracy || result.curve.some((one) => one.val?.accuracy) ? "accuracy" : "rmse";
  const parts = [ensemble(result, units)];
  const facts = [["mean member, validation loss", result.mean_member?.val && number(result.mean_member.val.loss)], ["what the vote gains", result.loss_gain?.val && interval(result.loss_gain.val)], ["disagreement", result.disagreement === null ? null : number(result.disagreement)], ["out of bag", result.out_of_bag?.figures && `${listed(result.out_of_bag.figures)} on ${number(result.out_of_bag.rows)} rows`]];
  parts.push(h("dl.facts", {}, facts.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  if (result.curve.length > 1) parts.push(axisChart("members", "members that vote", units[figure], result.curve.map((one) => one.members), [{ name: "ensemble", values: result.curve.map((one) => one.val?.[figure] ?? null) }], `Validation ${named(figure)} of the first members together.`));
  parts.push(h("details", {}, h("summary", {}, "Standings of the members"), table("Members and the ensemble", ["", "validation loss", `validation ${named(figure)}`, "test loss"], result.standings.map((one) => [one.label, number(one.val?.loss), number(one.val?.[figure]), number(one.test?.loss)]), { numeric: NUMERIC })));
  return parts;
}

function boosting(result, units) {
  const figure = result.rounds.some((one) => one.train?.accuracy !== undefined && one.train?.accuracy !== null) ? "accuracy" : "rmse";
  const xs = result.rounds.map((one) => one.round);
  const value = (part) => result.rounds.map((one) => one[part]?.[figure] ?? null);
  return [
    ensemble(result, units),
    axisChart("rounds", "round", units[figure], xs, [{ name: "ensemble, training", values: value("train") }, { name: "ensemble, validation", values: value("val"), dashed: true }, { name: "member, validation", values: value("member_val"), dashed: true }], `${result.algorithm}: the ensemble after each round beside its newest member.`),
    table("Rounds", ["round", "weighted error", "vote (alpha)", "largest weight", "effective rows", `ensemble, validation ${named(figure)}`], result.rounds.map((one) => [String(one.round), number(one.error), number(one.alpha), number(one.largest_weight), number(one.effective_rows), number(one.val?.[figure])]), { numeric: NUMERIC }),
  ];
}

const TERMS = { error: "error", variance: "variance", bias: "bias", bias_squared_plus_noise: "bias² with noise", bias_squared: "bias²", noise: "noise", cross_term: "cross term", variance_unbiased: "variance where it errs not", variance_biased: "variance where it errs" };

function biasVariance(result, units) {
  const at = result.points.map((_, i) => i);
  const term = (name) => result.points.map((one) => one.terms?.[name] ?? null);
  const series = Object.entries(TERMS).map(([name, label], i) => ({ name: label, values: term(name), dashed: i > 2 })).filter((one) => one.values.some((value) => value !== null));
  const best = result.points[result.best];
  const has = (name) => series.some((one) => one.name === TERMS[name]);
  const sum = has("bias") ? "bias + variance where it errs not − variance where it errs" : `variance + bias² with noise${has("cross_term") ? ", and bias² with noise = bias² + noise + cross term" : ""}`;
  const terms = h("p.faint", {}, `error = ${sum}.`);
  if (result.axis === null) return [h("dl.facts", {}, series.map((one) => [h("dt", {}, one.name), h("dd", {}, number(one.values[0]))])), terms];
  return [
    axisChart("bias and variance", result.axis, result.points[0]?.terms?.loss === "zero_one" ? "0-1 loss" : units.loss.replace(/^.*\(/, "squared error ("), at, series, best ? `The error is smallest at ${best.label}.` : "Bias and variance along the axis.", { ticks: result.points.map((one) => setting(one.value)) }),
    table(`Decomposition over ${result.resamples} resamples`, [result.axis, "parameters", ...series.map((one) => one.name)], result.points.map((one, i) => [setting(one.value), number(one.num_parameters), ...series.map((line) => number(line.values[i]))]), { numeric: NUMERIC }),
    terms,
  ];
}

function learningCurve(result, units) {
  const points = result.points.filter((one) => one.val_loss || one.summary);
  const part = (name, edge) => points.map((one) => one.summary?.[name]?.[edge] ?? null);
  const val = points.map((one) => one.val_loss?.value ?? one.summary?.val_loss?.mean ?? null);
  return [
    axisChart("learning curve", "training rows", units.loss, points.map((one) => one.mean_rows), [{ name: "training", values: part("train_loss", "mean") }, { name: "validation", values: val, dashed: true, low: points.map((one) => one.val_loss?.low ?? null), high: points.map((one) => one.val_loss?.high ?? null) }], `Training and validation loss by training rows${result.last_change ? `; the last step changed the validation loss by ${interval(result.last_change)}` : ""}.`),
    table(explained("By number of rows", points.map((one) => one.summary?.val_loss)), ["rows", "training loss", "validation loss", "gap"], points.map((one) => [number(one.mean_rows), estimate(one.summary?.train_loss), interval(one.val_loss), estimate(one.summary?.generalization_gap)]), { numeric: NUMERIC }),
  ];
}

/** What stands in the plan's card; null where a single fit says it all. */
export function planView(job, units) {
  const result = job.result;
  if (!result) return null;
  const made = { fit: () => (result.divisions?.length > 1 ? folds(result, units) : null), comparison: () => comparison(result), search: () => search(result, units, job.spec.plan.space), nested_cv: () => nested(result, units), bagging: () => bagging(result, units), boosting: () => boosting(result, units), bias_variance: () => biasVariance(result, units), learning_curve: () => learningCurve(result, units) }[job.plan]?.();
  return made ? h("section.card", { "aria-label": "What the plan concluded" }, h("h2", {}, { fit: "Folds", comparison: "Comparison", search: "Search", nested_cv: "Nested cross-validation", bagging: "Bagging", boosting: "Boosting", bias_variance: "Bias and variance", learning_curve: "Learning curve" }[job.plan]), made) : null;
}
