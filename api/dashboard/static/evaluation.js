// @ts-check
// What a fit's kept weights are worth: scores with intervals, confusion matrix, reliability diagram, diagnosis in words.

import { Chart, hue } from "./chart.js";
import { h, PAGES, table } from "./dom.js";
import { interval, number, percent, words } from "./format.js";
import { figure, PLAIN } from "./summary.js";

const SPLITS = [["train", "training"], ["val", "validation"], ["test", "test"]];
const FIGURES = [["loss", "loss"], ["accuracy", "accuracy"], ["rmse", "RMSE"], ["r2", "R²"], ["mae", "mean absolute error"], ["macro_f1", "macro F1"], ["roc_auc", "ROC AUC"], ["expected_calibration_error", "calibration error (ECE)"], ["baseline_loss", "loss of guessing"], ["rows", "rows"]];
const MOST_CLASSES = 30;

const cell = (one) => (one === null || one === undefined ? "–" : typeof one === "object" ? interval(one) : number(one));

/** Figures of each split beside one another. */
export function scores(evaluation) {
  const splits = SPLITS.filter(([name]) => evaluation[name]);
  const figures = FIGURES.filter(([name]) => splits.some(([split]) => (evaluation[split][name] ?? null) !== null));
  const gaps = [["generalization_gap", "gap (loss)"], ["accuracy_gap", "gap (accuracy)"], ["rmse_gap", "gap (RMSE)"], ["r2_gap", "gap (R²)"], ["test_gap", "gap to test (loss)"]].filter(([name]) => evaluation[name]);
  return [
    table("Scores of the kept weights; brackets are 95 % bootstrap intervals", ["", ...splits.map(([, label]) => label)], figures.map(([name, label]) => [label, ...splits.map(([split]) => cell(evaluation[split][name]))]), { numeric: new Set([1, 2, 3]) }),
    gaps.length ? h("dl.facts", {}, gaps.map(([name, label]) => [h("dt", {}, label), h("dd", {}, interval(evaluation[name]))])) : null,
  ];
}

/** Rows are true classes, columns are predictions; the share of a row is its shade, and the count stands in it. */
export function confusion(evaluation) {
  const [split, label] = SPLITS.filter(([name]) => evaluation[name]?.confusion_matrix).at(-1) ?? [];
  if (!split) return null;
  const { confusion_matrix: counts, per_class: classes } = evaluation[split];
  if (counts.length > MOST_CLASSES) return h("p.faint", {}, `The confusion matrix of ${counts.length} classes is in the fit's JSON.`);
  const names = classes.map((one) => one.label);
  const rows = counts.map((row, i) => {
    const sum = row.reduce((a, b) => a + b, 0) || 1;
    return h("tr", {}, h("th", { scope: "row" }, names[i]), row.map((count, j) => {
      const one = h("td", { title: `${names[i]} taken for ${names[j]}: ${count} of ${sum}` }, count || h("span.faint", {}, "·"));
      const share = count / sum;
      one.style.background = i === j ? `color-mix(in srgb, var(--good) ${(share * 30).toFixed(0)}%, transparent)` : `color-mix(in srgb, var(--bad) ${Math.min(60, share * 300).toFixed(0)}%, transparent)`;
      return one;
    }));
  });
  const right = counts.reduce((sum, row, i) => sum + row[i], 0);
  const all = counts.flat().reduce((a, b) => a + b, 0);
  const worst = counts.flatMap((row, i) => row.map((count, j) => ({ count: i === j ? 0 : count, i, j }))).sort((a, b) => b.count - a.count)[0];
  const said = worst?.count ? ` Most often ${names[worst.i]} is taken for ${names[worst.j]} (${worst.count}).` : "";
  return h("figure", {}, h("figcaption", {}, `${right} of ${all} ${label} rows are classified right.${said}`), h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Confusion matrix" }, h("table.confusion", {}, h("caption", {}, `Confusion matrix, ${label} rows`), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "true \\ predicted"), names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows))));
}

/** Precision, recall and F1 by class. */
export function perClass(evaluation) {
  const [split, label] = SPLITS.filter(([name]) => evaluation[name]?.per_class).at(-1) ?? [];
  if (!split) return null;
  const rows = evaluation[split].per_class.map((one) => [one.label, number(one.rows), number(one.precision), number(one.recall), number(one.f1)]);
  return h("details", {}, h("summary", {}, `By class, ${label} rows`), table(`Scores by class, ${label} rows`, ["class", "rows", "precision", "recall", "F1"], rows, { numeric: new Set([1, 2, 3, 4]) }));
}

/** Accuracy against confidence: on the diagonal, a network that is 80 % sure is right in 80 % of cases. */
export function reliability(evaluation) {
  const found = SPLITS.filter(([name]) => evaluation[name]?.reliability?.length);
  if (!found.length) return null;
  const xs = [...new Set([0, 1, ...found.flatMap(([name]) => evaluation[name].reliability.map((bin) => bin.confidence))])].sort((a, b) => a - b);
  const chart = new Chart({ name: "reliability", height: 300 });
  const lines = /** @type {import("./content.js").Line[]} */ (found.map(([name, label], i) => {
    const at = new Map(evaluation[name].reliability.map((bin) => [bin.confidence, bin]));
    const most = Math.max(...evaluation[name].reliability.map((bin) => bin.rows));
    const size = (bin) => (bin ? 3 + 8 * Math.sqrt(bin.rows / most) : null);
    return { group: label, part: name, name: label, color: hue(i), values: xs.map((x) => at.get(x)?.accuracy ?? null), sizes: xs.map((x) => size(at.get(x))) };
  }));
  lines.push({ group: "perfect calibration", part: "perfect", name: "perfect calibration", color: hue(7), dotted: true, values: xs.map((x) => x) });
  const [last, label] = /** @type {[string, string]} */ (found.at(-1));
  const error = evaluation[last].expected_calibration_error;
  const sparse = evaluation[last].reliability.map((bin) => `${percent(bin.confidence)} sure: right in ${percent(bin.accuracy)} of ${bin.rows}`).join("; ");
  setTimeout(() => chart.set({ x: xs, xLabel: "confidence", yLabel: "accuracy", lines, caption: `Reliability: on ${label} rows confidence and accuracy differ by ${number(error)} on average (ECE); the larger a disc, the more rows. ${sparse}.` }));
  return chart.element;
}

/** The verdict with the rule and the numbers behind it. */
export function diagnosis(job, fit) {
  const found = fit?.diagnosis;
  if (!found) return null;
  const { remedies } = found;
  const compared = remedies.length && PLAIN.has(job.plan) ? h("p.no-print", {}, h("a.button", { href: `${PAGES}new?from=${job.id}&fit=${fit.number}` }, "Compare what helps"), h("span.faint", {}, ` ${remedies.map((one) => one.label).join(", ")}`)) : null;
  return h("section.card", { "aria-label": "Diagnosis" },
    h("h2", {}, job.num_fits > 1 ? `Diagnosis of ${fit.label}` : "Diagnosis"),
    h(`p.verdict.${found.verdict}`, {}, words(found.verdict)),
    h("p", {}, `${found.rule[0].toUpperCase()}${found.rule.slice(1)}${/[.!]$/.test(found.rule) ? "" : "."}`),
    h("p", {}, found.why),
    h("p", {}, h("strong", {}, "What to try: "), found.advice),
    compared,
    h("details", {}, h("summary", {}, "Numbers behind it"), h("dl.facts", {}, Object.entries(found.numbers).map(([name, value]) => [h("dt", {}, figure(name)), h("dd", {}, number(value))]))));
}
