// @ts-check
// What a job concluded with, whatever its plan: which of its fits, and figures that are all of them.

import { counted, number } from "./format.js";

/** A mean over folds as a value with its interval. */
const mean = (one) => (one && one.mean !== null ? { value: one.mean, low: one.low, high: one.high } : null);
const over = (count, what = "fold") => (count > 1 ? `, mean over ${counted(count, what)}` : "");

/** Figures of parts of the rows, `{ val: { loss } }`, under their codes: `val_loss`. */
const coded = (parts) => Object.fromEntries(Object.entries(parts).flatMap(([part, found]) => Object.entries(found ?? {}).map(([name, one]) => [`${part}_${name}`, one])));

/** Means of the summary of folds, each with the interval of the mean. */
const means = (summary) => Object.fromEntries(Object.entries(summary ?? {}).map(([code, one]) => [code, mean(one)]));

/** Means over fits of what each of them came to, under their codes. */
function averaged(all) {
  const codes = Object.keys(all[0] ?? {}).filter((code) => all.every((one) => Number.isFinite(one[code])));
  return Object.fromEntries(codes.map((code) => [code, { value: all.reduce((sum, one) => sum + one[code], 0) / all.length }]));
}

/**
 * The numbers of the fits that a job's figures are of, those in words, and the figures by their codes. A test figure is of the fit or the
 * ensemble that was left, the one that saw no test row before.
 * @returns {{ numbers: number[], of: string, figures: Record<string, any> } | null} null before there is a result, and of bias and variance, which are of no network
 */
export function concluded({ plan, result }) {
  const all = result?.fits ?? [];
  const among = (numbers) => all.filter((fit) => numbers.includes(fit.number)).map((fit) => ({ ...coded({ train: fit.train, val: fit.val }), generalization_gap: fit.generalization_gap }));
  switch (result && plan) {
    case "fit": {
      const test = coded({ test: result.test });
      const folds = all.filter((fit) => fit.val).map((fit) => fit.number);
      if (result.val || !folds.length) return { numbers: [result.fit], of: "its fit", figures: { ...coded({ train: result.train, val: result.val }), ...test, generalization_gap: result.generalization_gap } };
      return { numbers: folds, of: `${folds.length > 1 ? `mean over ${number(folds.length)} folds` : "its fit"}${result.test ? "; test: the refit" : ""}`, figures: { ...means(result.summary), ...test } };
    }
    case "comparison": {
      const best = result.variants.find((one) => one.label === result.best);
      return best ? { numbers: best.fits, of: `variant ${best.label}${over(best.fits.length)}`, figures: { ...means(best.summary), val_loss: best.val_loss } } : null;
    }
    case "search": {
      const chosen = result.candidates.find((one) => one.number === result.choice.chosen);
      return chosen ? { numbers: chosen.fits, of: `candidate ${chosen.number}${over(chosen.fits.length)}${result.refit?.test ? "; test: its refit" : ""}`, figures: { ...averaged(among(chosen.fits)), [result.metric]: mean(chosen.score), ...coded({ test: result.refit?.test }) } } : null;
    }
    case "nested_cv": {
      const folds = result.folds.filter((fold) => fold.fit !== null);
      const outer = folds.map((fold) => coded({ val: Object.fromEntries(Object.entries(fold.outer ?? {}).map(([name, one]) => [name, one.value])) }));
      const numbers = folds.map((fold) => fold.fit);
      return { numbers, of: `the choices${over(numbers.length, "outer fold")}; validation: the outer rows`, figures: { ...averaged(among(numbers)), ...averaged(outer), [result.metric]: mean(result.outer_score) } };
    }
    case "bagging":
    case "boosting":
      return { numbers: result.model?.fits ?? [], of: `the vote of ${counted(result.model?.fits.length ?? 0, "member")}`, figures: coded({ train: result.train, val: result.val, test: result.test }) };
    case "learning_curve": {
      const last = result.points.at(-1);
      return last ? { numbers: last.fits, of: `${number(100 * last.fraction)} % of the rows${over(last.fits.length)}`, figures: { ...means(last.summary), val_loss: last.val_loss } } : null;
    }
    default:
      return null;
  }
}
