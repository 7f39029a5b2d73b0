// @ts-check
// What readers do on a chart: go from point to point by keys, and hear what is there; zoom; hide lines; take the numbers or a picture.

import { say } from "./dom.js";
import { valueAt } from "./drawing.js";
import { number } from "./format.js";
import { numbersOf } from "./numbers.js";
import { savePicture } from "./picture.js";

const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
const MOST_SPOKEN = 6;

export { savePicture as save };

/** Fill the table of numbers, if it is open. @param {import("./chart.js").Chart} chart */
export function tabulate({ content, hidden, numbers }) {
  numbers.querySelector(".scroll")?.remove(); // the summary stays, and the focus on it
  if (content && numbers.open) numbers.append(numbersOf(content, hidden));
}

/** Do what a key says. @param {import("./chart.js").Chart} chart */
export function press(chart, key) {
  if (!chart.plot?.data[0].length) return;
  const step = STEPS[key];
  if (step !== undefined) go(chart, step);
  else if (key === "+") zoom(chart, 0.5);
  else if (key === "-") zoom(chart, 2);
  else chart.setZoom(null);
}

/** Show a share of what is in view, about the crosshair. @param {import("./chart.js").Chart} chart */
export function zoom(chart, factor) {
  const { data, scales } = chart.plot;
  const { min, max } = scales.x;
  const [first, last] = [data[0][0], data[0].at(-1)];
  const middle = chart.at === null ? (min + max) / 2 : data[0][chart.at];
  const half = ((max - min) * factor) / 2;
  const [low, high] = [Math.max(first, middle - half), Math.min(last, middle + half)];
  chart.setZoom(low <= first && high >= last ? null : { min: low, max: high });
}

/** Hide a group or show it again; or show it alone, and all again. @param {import("./chart.js").Chart} chart */
export function toggle(chart, group, isAlone) {
  const groups = [...new Set((chart.content?.lines ?? []).map((line) => line.group))];
  if (isAlone) chart.hidden = chart.hidden.size === groups.length - 1 && !chart.hidden.has(group) ? new Set() : new Set(groups.filter((one) => one !== group));
  else if (!chart.hidden.delete(group)) chart.hidden.add(group);
  if (chart.given) chart.set(chart.given);
}

/** Move the crosshair; where none is, to the right from the first point in view, to the left from the last, which is told already. */
function go(chart, step) {
  const xs = chart.plot.data[0];
  const { zoom: view } = chart;
  const from = chart.at ?? (step > 0 ? xs.findIndex((x) => !view || x >= view.min) - 1 : chart.last());
  const at = Math.max(0, Math.min(xs.length - 1, from + step));
  const x = xs[at];
  if (view) {
    const edge = Math.max(view.min, Math.min(view.max, x));
    const moved = (end) => (chart.content?.logX ? (end * x) / edge : end + x - edge);
    if (edge !== x) chart.setZoom({ min: moved(view.min), max: moved(view.max) });
  }
  chart.point(at);
  say(spoken(chart, at));
}

function spoken({ content, hidden }, at) {
  const parts = content.lines.filter((line) => !hidden.has(line.group) && valueAt(line, at) !== null).slice(0, MOST_SPOKEN);
  return `${content.ticks?.[at] ?? `${content.xLabel} ${number(content.x[at])}`}: ${parts.map((line) => `${line.name} ${number(valueAt(line, at))}`).join(", ")}`;
}
