// @ts-check
// A chart as a picture that stands alone: its sentence above, its legend below.

import { h } from "./dom.js";
import { save } from "./save.js";

const MOST_NAMED = 24;
/** Width of a picture, in CSS pixels: as wide as a page of a paper, whatever the screen is. */
const WIDTH = 1000;

/** Break a text into lines of at most `width` pixels. */
function wrapped(context, text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines[lines.length - 1] ? `${lines[lines.length - 1]} ${word}` : word;
    if (context.measureText(longer).width <= width || !lines[lines.length - 1]) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** Lines of the legend, each a list of entries that fit beside one another. */
function arranged(context, entries, width, room) {
  const rows = /** @type {any[][]} */ ([[]]);
  let used = 0;
  for (const entry of entries) {
    const needed = context.measureText(entry.name).width + room;
    if (used + needed > width && rows[rows.length - 1].length) {
      rows.push([]);
      used = 0;
    }
    rows[rows.length - 1].push({ ...entry, at: used });
    used += needed;
  }
  return rows;
}

/**
 * Draw a chart's canvas between its caption and its legend, on the ground of its card.
 * @param {HTMLCanvasElement} chart
 * @param {{ caption: string, notes: string[], lines: { name: string, color: string, heft?: number, dashed?: boolean, dotted?: boolean }[], ink: string, ground: string, ratio: number }} options
 */
function pictureOf(chart, { caption, notes, lines, ink, ground, ratio }) {
  const to = document.createElement("canvas");
  const context = /** @type {CanvasRenderingContext2D} */ (to.getContext("2d"));
  const [pad, step, font] = [12 * ratio, 19 * ratio, `${13 * ratio}px system-ui, sans-serif`];
  context.font = font;
  const width = chart.width - 2 * pad;
  const above = wrapped(context, caption, width);
  const named = lines.slice(0, MOST_NAMED);
  const rows = arranged(context, named, width, 48 * ratio);
  const below = [...(lines.length > named.length ? [`and ${lines.length - named.length} more`] : []), ...notes].flatMap((note) => wrapped(context, note, width));
  to.width = chart.width;
  to.height = chart.height + 2 * pad + step * (above.length + rows.length + below.length);
  context.fillStyle = ground;
  context.fillRect(0, 0, to.width, to.height);
  Object.assign(context, { font, fillStyle: ink, textBaseline: "middle", lineWidth: 2 * ratio });
  let y = pad + step / 2;
  const write = (text, x = pad) => context.fillText(text, x, y);
  for (const text of above) {
    write(text);
    y += step;
  }
  context.drawImage(chart, 0, y - step / 2);
  y += chart.height;
  for (const row of rows) {
    for (const one of row) {
      context.strokeStyle = one.color;
      context.lineWidth = (2 + 1.5 * (one.heft ?? 0)) * ratio;
      context.setLineDash(one.dashed ? [6 * ratio, 3 * ratio] : one.dotted ? [2 * ratio, 3 * ratio] : []);
      context.beginPath();
      context.moveTo(pad + one.at, y);
      context.lineTo(pad + one.at + 24 * ratio, y);
      context.stroke();
      write(one.name, pad + one.at + 30 * ratio);
    }
    y += step;
  }
  for (const text of below) {
    write(text);
    y += step;
  }
  return to;
}

/** What a picture's legend names: each line, or each kind of line where many look alike. @param {import("./chart.js").Chart} chart */
function keys(chart) {
  const families = chart.families();
  const word = (part) => ({ train: "training", val: "validation" })[part] ?? part;
  if (families.size) return [...families].flatMap(([kin, { lines, count }]) => lines.map((line) => ({ ...line, name: `${families.size > 1 ? `${kin}, ` : ""}${word(line.part)}${count[line.part] > 1 ? ` of ${count[line.part]} fits` : ""}` })));
  return (chart.content?.lines ?? []).filter((line) => !chart.hidden.has(line.group));
}

/** Save what is seen of a chart as a picture, on the card's ground. @param {import("./chart.js").Chart} chart */
export async function savePicture(chart, colors) {
  const box = h("div.hidden");
  document.body.append(box);
  const { hooks, ...options } = chart.options;
  const drawn = new /** @type {any} */ (window).uPlot({ ...options, width: WIDTH, height: Math.round(chart.height * 1.3), cursor: { show: false }, hooks: { draw: hooks.draw } }, chart.plot.data, box);
  if (chart.zoom) drawn.setScale("x", chart.zoom);
  await new Promise((resolve) => setTimeout(resolve)); // it draws in a task of its own
  const said = chart.marksSaid();
  const made = pictureOf(drawn.ctx.canvas, { caption: chart.content?.caption ?? "", notes: said.length ? [said.join("; ")] : [], lines: keys(chart), ink: colors.ink, ground: colors.bg, ratio: devicePixelRatio || 1 });
  drawn.destroy();
  box.remove();
  made.toBlob((blob) => blob && save(blob, `${chart.name.replaceAll(/[^\p{L}\p{N}-]+/gu, "-")}.png`));
}
