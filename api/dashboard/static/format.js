// @ts-check
// Numbers, times and names as people read them.

const ICONS = { queued: "◌", running: "▶", paused: "❙❙", succeeded: "✓", failed: "✗", cancelled: "⊘", pending: "◌", finished: "✓", diverged: "↯", pruned: "✂" };

const MINUS = "−";
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const BROKEN = new Intl.NumberFormat("en-US", { maximumFractionDigits: 8, minimumFractionDigits: 0 });

/** @param {number} value */
export const whole = (value) => WHOLE.format(value).replace("-", MINUS);

/** @param {number} value */
export const broken = (value, digits = 4) => BROKEN.format(Number(value.toPrecision(digits))).replace("-", MINUS);

/** @param {number} value */
export const exponential = (value, digits = 4) => value.toExponential(Math.max(0, digits - 2)).replace(/\.?0+e/, "e").replace(/^-/, MINUS).replace("e-", "e−").replace("e+", "e");

/** Four significant digits; an exponent below 1e-4 and from 1e6 on. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e6) return exponential(value, digits);
  return Number.isInteger(value) ? whole(value) : broken(value, digits);
}

const short = (value) => (Math.abs(value) >= 999.5 && Math.abs(value) < 1e9 ? whole(value) : number(value, 3));

/** A value with its 95 % interval, rounded as the service's sentences are (`shown` of jobs/plans/results.py). */
export function interval(one) {
  if (!one || one.value === null) return "–";
  const bounds = [one.low, one.high];
  if (bounds[0] === null || bounds[0] === undefined) return number(one.value);
  const decimals = Math.max(0, ...bounds.filter(Boolean).map((bound) => 2 - Math.floor(Math.log10(Math.abs(bound)))));
  return `${short(Number(one.value.toFixed(Math.min(100, decimals))))} [${bounds.map(short).join(", ")}]`;
}

export const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(share >= 0.9995 || share < 0.0005 ? 0 : 1)} %`);

/** Things with their number: 1 row, 2 rows. */
export const counted = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`;

/** Seconds as people say them. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 1) return `${(1000 * seconds).toFixed(0)} ms`;
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 5400) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** An instant in the reader's own zone, with the zone. */
export function instant(text) {
  return text === null ? "–" : new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

export const icon = (status) => ICONS[status] ?? "•";

/** Words of a code: `still_improving` is `still improving`. */
export const words = (code) => String(code).replaceAll("_", " ");

/** A long name shortened in its middle, where names differ least. */
export function middle(text, most = 40) {
  return text.length <= most ? text : `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(1 - Math.floor(most / 2))}`;
}
