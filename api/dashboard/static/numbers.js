// @ts-check
// A chart's numbers as a table, as they were measured.

import { valueAt } from "./drawing.js";
import { h } from "./dom.js";
import { number } from "./format.js";

const MOST_LINES = 16;
const MOST_ROWS = 500;

/**
 * @param {import("./content.js").Content} content
 * @param {Set<string>} hidden groups that are not shown
 */
export function numbersOf(content, hidden) {
  const lines = content.lines.filter((line) => !hidden.has(line.group)).slice(0, MOST_LINES);
  const step = Math.max(1, Math.ceil(content.x.length / MOST_ROWS));
  const places = content.x.map((_, i) => i).filter((i) => i % step === 0 || i === content.x.length - 1);
  const body = places.map((i) => h("tr", {}, h("th", { scope: "row" }, content.ticks?.[i] ?? number(content.x[i])), lines.map((line) => h("td.number", {}, number(valueAt(line, i))))));
  const table = h("table", {}, h("caption.hidden", {}, content.caption), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, content.xLabel), lines.map((line) => h("th.number", { scope: "col" }, line.name)))), h("tbody", {}, body));
  return h("div.scroll", { tabindex: "0", role: "region", "aria-label": `Numbers: ${content.caption}` }, table);
}
