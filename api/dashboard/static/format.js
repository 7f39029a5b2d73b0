// @ts-check
// Numbers, times and names as people read them.

const ICONS = { queued: "◌", running: "▶", paused: "❙❙", succeeded: "✓", failed: "✗", cancelled: "⊘", pending: "◌", finished: "✓", diverged: "↯", pruned: "✂" };

const MINUS = "−";
const WHOLE = new Intl.NumberFormat("en-US");
const BROKEN = new Intl.NumberFormat("en-US", { maximumFractionDigits: 8, minimumFractionDigits: 0 });

/** @param {number} value */
const exponential = (value, digits = 4) => value.toExponential(Math.max(0, digits - 2)).replace(/^-/, MINUS).replace("e-", "e−").replace("e+", "e");

/** Four significant digits; an exponent below 1e-3 and from 1e6 on. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return exponential(value, digits);
  if (Number.isInteger(value)) return WHOLE.format(value).replace("-", MINUS);
  return BROKEN.format(Number(value.toPrecision(digits))).replace("-", MINUS);
}

/** Figures of one thing, as a column's lowest and mean: all with exponents, or none. */
export function alike(values) {
  const most = Math.max(...values.map((value) => Math.abs(value ?? 0)));
  const write = most < 1e-3 || most >= 1e9 ? exponential : (value) => (Math.abs(value) >= 1000 ? WHOLE.format(Math.round(value)) : BROKEN.format(Number(value.toPrecision(4)))).replace("-", MINUS);
  return values.map((value) => (value ? write(value) : number(value)));
}

/** A value with its 95 % interval. */
export function interval(one) {
  if (!one || one.value === null) return "–";
  return one.low === null || one.low === undefined ? number(one.value) : `${number(one.value)} [${number(one.low, 3)}, ${number(one.high, 3)}]`;
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

/** How long ago something was. */
export function ago(text) {
  const seconds = (Date.now() - Date.parse(text)) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

export const icon = (status) => ICONS[status] ?? "•";

/** Words of a code: `still_improving` is `still improving`. */
export const words = (code) => String(code).replaceAll("_", " ");

/** A long name shortened in its middle, where names differ least. */
export function middle(text, most = 40) {
  return text.length <= most ? text : `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(1 - Math.floor(most / 2))}`;
}
