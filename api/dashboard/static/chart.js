// @ts-check
// The only module that knows uPlot: lines over a common axis, with marks, bands, zoom, a keyboard's crosshair and a readout beside it.

import { h, say } from "./dom.js";
import { drawMarks, FEW_MARKS, valueAt } from "./drawing.js";
import { number } from "./format.js";

/**
 * @typedef {{ group: string, part: string, name: string, kin?: string, color: string, dashed?: boolean, dotted?: boolean, faint?: boolean, values: (number | null)[], raw?: (number | null)[], exact?: (number | null)[], sizes?: (number | null)[] }} Line
 * @typedef {{ low: (number | null)[], high: (number | null)[], color: string, group: string }} Band
 * @typedef {{ x: number, y?: number | null, kind: "best" | "stop" | "diverged", color: string }} Mark
 * @typedef {{ x: number[], xLabel: string, yLabel: string, lines: Line[], bands?: Band[], marks?: Mark[], gap?: boolean, logX?: boolean, logY?: boolean, fromZero?: boolean, zero?: boolean, points?: boolean, ticks?: (string | null)[], caption: string, shaded?: string, facts?: Record<string, string | number> }} Content
 */

/** Colors of jobs and fits (Okabe & Ito 2008), for light and for dark grounds. */
const HUES = [["#0072b2", "#56b4e9"], ["#d55e00", "#ff9a4d"], ["#00795a", "#34c99a"], ["#a8457f", "#e79bc6"], ["#8a6100", "#f0b429"], ["#2a6f97", "#9ad0f5"], ["#6f4e9c", "#bfa3e6"], ["#3d434b", "#d5d9df"]];
const MANY = 12;
/** Width of a picture, in CSS pixels: as wide as a page of a paper, whatever the screen is. */
const PICTURE = 1000;
/** Hundreds of dashed lines take a browser half a second; training is faint among so many, and told apart by that. */
const MOST_DASHED = 60;

/** How marks look, in words. */
const MARKS = { best: "dotted: best epoch", stop: "broken: early stopping", diverged: "triangle: diverged", dot: "dots: best epochs" };

const isDark = () => {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

/** Colors as the theme has them now; custom properties of `light-dark()` are not resolved by themselves. */
function palette() {
  const probe = h("span", { class: "hidden" });
  document.body.append(probe);
  const resolved = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { ink: resolved("--ink"), faint: resolved("--faint"), line: resolved("--line"), bg: resolved("--card"), bad: resolved("--bad"), warm: isDark() ? "rgba(255,154,77,0.22)" : "rgba(213,94,0,0.16)", cool: isDark() ? "rgba(86,180,233,0.22)" : "rgba(0,114,178,0.16)" };
  probe.remove();
  return found;
}

/** The color of the i-th of several. */
export const hue = (i) => HUES[i % HUES.length][isDark() ? 1 : 0];

/** A color of the other theme as this theme has it: what was drawn is drawn anew when the theme changes. */
const toned = (color) => HUES.find((pair) => pair.includes(color))?.[isDark() ? 1 : 0] ?? color;

const translucent = (color, alpha) => `${color}${Math.round(alpha * 255).toString(16).padStart(2, "0")}`;

export class Chart {
  /** @param {{ name: string, height?: number }} options */
  constructor({ name, height = 340 }) {
    this.name = name;
    this.height = height;
    /** @type {Set<string>} */
    this.hidden = new Set();
    /** @type {{ min: number, max: number } | null} */
    this.zoom = null;
    /** @type {any} */
    this.plot = null;
    /** @type {Content | null} */
    this.content = null;
    /** @type {Content | null} */
    this.given = null;
    /** @type {any} */
    this.options = null;
    this.shape = "";
    this.focused = null;
    this.at = null;
    /** @type {Chart[]} */
    this.mates = [];
    const id = `caption-${Math.random().toString(36).slice(2, 8)}`;
    this.box = h("div.plot", { tabindex: "0", role: "img", "aria-labelledby": id, "aria-roledescription": "chart; arrow keys read it" });
    this.box.style.minHeight = `${height}px`;
    this.caption = h("figcaption", { id });
    this.readout = h("div.readout", {});
    this.legend = h("ul.marks", {});
    this.tools = h("div.controls.no-print", {}, h("button", { type: "button", onclick: () => this.zoomBy(0.5) }, "Zoom in"), h("button", { type: "button", onclick: () => this.zoomBy(2) }, "Zoom out"), (this.reset = h("button", { type: "button", disabled: true, onclick: () => this.setZoom(null) }, "Whole")), h("button", { type: "button", onclick: () => this.png() }, "PNG"));
    this.numbers = h("details.no-print", {}, h("summary", {}, "Numbers as a table"));
    this.numbers.addEventListener("toggle", () => this.fillNumbers());
    this.element = h("figure", { "data-drawn": "0" }, this.caption, h("div.chart", {}, h("div", {}, this.box, this.tools), h("div", {}, this.readout, this.legend)), this.numbers);
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("blur", () => this.point(null));
    new ResizeObserver(() => this.plot?.setSize({ width: this.box.clientWidth, height: this.height })).observe(this.box);
    document.addEventListener("theme", () => {
      this.shape = "";
      if (this.given) this.set(this.given);
    });
  }

  /** Draw; zoom, crosshair and what is hidden stay as they are. @param {Content} given */
  set(given) {
    const retoned = (part) => ({ ...part, color: toned(part.color) });
    const fitting = given.logX ? positive(given) : given;
    const content = { ...fitting, lines: fitting.lines.map(retoned), bands: fitting.bands?.map(retoned), marks: fitting.marks?.map(retoned) };
    this.content = content;
    this.given = given;
    const lines = content.lines;
    this.caption.textContent = content.caption;
    for (const [name, value] of Object.entries(content.facts ?? {})) this.element.dataset[name] = String(value);
    const shape = JSON.stringify([content.xLabel, content.yLabel, content.logX, content.logY, content.fromZero, content.gap, content.points, [...this.hidden], lines.map((line) => [line.group, line.part, line.color, line.faint, Boolean(line.raw)]), (content.bands ?? []).map((band) => band.group), content.ticks]);
    const data = this.columns(content);
    if (shape !== this.shape || !this.plot) {
      this.shape = shape;
      this.build(content, data);
    } else {
      this.plot.setData(data, this.zoom === null);
      if (this.zoom) this.plot.setScale("x", this.zoom);
    }
    this.tell();
    if (this.numbers.open) this.fillNumbers();
  }

  /** @param {Content} content */
  columns(content) {
    const usable = (values) => (content.logY ? values.map((value) => (value !== null && value > 0 ? value : null)) : values);
    const drawn = content.lines.flatMap((line) => [usable(line.values), ...(line.raw ? [usable(line.raw)] : [])]);
    const bands = (content.bands ?? []).flatMap((band) => [usable(band.high), usable(band.low)]);
    return [content.x, ...drawn, ...bands];
  }

  /** @param {Content} content */
  build(content, data) {
    const colors = palette();
    const series = [{}];
    const bands = [];
    const places = new Map();
    for (const line of content.lines) {
      const many = content.lines.length > MANY;
      const dash = content.lines.length > MOST_DASHED ? undefined : line.dashed ? [7, 4] : line.dotted ? [2, 3] : undefined;
      const isShown = !this.hidden.has(line.group);
      places.set(`${line.group}/${line.part}`, series.length);
      series.push(/** @type {any} */ ({ label: line.name, group: line.group, stroke: line.faint ? translucent(line.color, 0.35) : line.color, sizes: line.sizes, width: line.sizes ? 0 : many ? 1 : 2, dash, show: isShown, spanGaps: true, points: { show: (content.points ?? false) && !line.sizes, size: 7 } }));
      if (line.raw) series.push(/** @type {any} */ ({ label: `${line.name}, raw`, group: line.group, stroke: translucent(line.color, 0.3), width: 1, dash, show: isShown, spanGaps: true, points: { show: false } }));
    }
    for (const band of content.bands ?? []) {
      const isShown = !this.hidden.has(band.group);
      const at = series.length;
      for (const edge of ["high", "low"]) series.push(/** @type {any} */ ({ label: `${band.group}, ${edge}`, group: band.group, isEdge: true, stroke: "transparent", width: 0, show: isShown, spanGaps: true, points: { show: false } }));
      bands.push({ series: [at, at + 1], fill: translucent(band.color, 0.18) });
    }
    const shown = [...new Set(content.lines.map((line) => line.group))].filter((group) => !this.hidden.has(group));
    if (content.gap && shown.length === 1) {
      const [train, val] = [places.get(`${shown[0]}/train`), places.get(`${shown[0]}/val`)];
      if (train && val) bands.push({ series: [val, train], fill: colors.warm, dir: -1 }, { series: [train, val], fill: colors.cool, dir: -1 });
    }
    const axis = { stroke: colors.ink, grid: { stroke: colors.line, width: 1 }, ticks: { stroke: colors.line, width: 1 }, font: "12px system-ui, sans-serif", labelFont: "13px system-ui, sans-serif" };
    const isFocusing = new Set(content.lines.map((line) => line.group)).size > 1;
    const ticks = content.ticks;
    const options = {
      width: this.box.clientWidth || 600,
      height: this.height,
      series,
      bands,
      legend: { show: false },
      scales: {
        x: { time: false, distr: content.logX ? 3 : 1, range: (_plot, low, high) => spanned(low, high, content) },
        y: content.logY ? { distr: 3 } : { range: (_plot, low, high) => limits(low, high, content) },
      },
      axes: [
        { ...axis, label: content.xLabel, labelSize: 22, ...(ticks ? { splits: () => ticks.map((_, i) => i), values: () => ticks.map((text) => text ?? "") } : { values: (_plot, found) => found.map((one) => (one === null ? "" : number(one))) }) },
        { ...axis, label: content.yLabel, labelSize: 24, size: 64, values: (_plot, found) => found.map((one) => (one === null ? "" : number(one))) },
      ],
      focus: { alpha: 0.18 },
      cursor: { drag: { setScale: false, x: true, y: false }, focus: { prox: isFocusing ? 18 : -1 }, points: { one: content.lines.length > MANY }, bind: { dblclick: () => () => this.setZoom(null) } },
      hooks: {
        draw: [(plot) => {
          drawMarks(plot, /** @type {Content} */ (this.content), colors);
          this.element.dataset.drawn = String(Number(this.element.dataset.drawn) + 1);
        }],
        setSelect: [(plot) => this.selected(plot)],
        setCursor: [(plot) => this.moved(plot)],
        setSeries: [(_plot, place) => this.focus(place)],
      },
    };
    this.options = options;
    this.plot?.destroy();
    this.plot = new /** @type {any} */ (window).uPlot(options, data, this.box);
    if (this.zoom) this.plot.setScale("x", this.zoom);
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < 6) return;
    this.setZoom({ min: plot.posToVal(left, "x"), max: plot.posToVal(left + width, "x") });
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  setZoom(zoom, isTold = false) {
    this.zoom = zoom;
    this.reset.disabled = zoom === null;
    const x = this.content?.x ?? [];
    if (this.plot && x.length) {
      if (zoom) this.plot.setScale("x", zoom);
      else this.plot.setData(this.plot.data, true);
    }
    if (!isTold) for (const mate of this.mates) mate.setZoom(zoom, true);
  }

  zoomBy(factor) {
    const { min, max } = this.plot.scales.x;
    const middle = this.at === null ? (min + max) / 2 : this.plot.data[0][this.at];
    const half = ((max - min) * factor) / 2;
    const [first, last] = [this.plot.data[0][0], this.plot.data[0].at(-1)];
    const [low, high] = [Math.max(first, middle - half), Math.min(last, middle + half)];
    this.setZoom(low <= first && high >= last ? null : { min: low, max: high });
  }

  key(event) {
    const length = this.plot?.data[0].length ?? 0;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (!length) return;
    if (step !== undefined) this.point(Math.max(0, Math.min(length - 1, this.at === null ? (step > 0 ? 0 : length - 1) : this.at + step)), true);
    else if (event.key === "Home") this.point(0, true);
    else if (event.key === "End") this.point(length - 1, true);
    else if (event.key === "+") this.zoomBy(0.5);
    else if (event.key === "-") this.zoomBy(2);
    else if (event.key === "0" || event.key === "Escape") this.setZoom(null);
    else return;
    event.preventDefault();
  }

  /** Put the crosshair at a point of the axis. */
  point(at, isSpoken = false) {
    const plot = this.plot;
    if (!plot) return;
    if (at === null) {
      plot.setCursor({ left: -10, top: -10 });
      return;
    }
    plot.setCursor({ left: plot.valToPos(plot.data[0][at], "x"), top: plot.bbox.height / 2 / (devicePixelRatio || 1) });
    if (isSpoken) say(this.spoken(at));
  }

  moved(plot) {
    this.at = plot.cursor.idx ?? null;
    this.tell();
    for (const mate of this.mates) if (mate.at !== this.at) mate.point(this.at);
  }

  focus(place) {
    const group = place === null || place === undefined ? null : (this.plot.series[place]?.group ?? null);
    if (group === this.focused) return;
    this.focused = group;
    this.tell();
  }

  toggle(group, isAlone) {
    const groups = [...new Set((this.content?.lines ?? []).map((line) => line.group))];
    if (isAlone) this.hidden = this.hidden.size === groups.length - 1 && !this.hidden.has(group) ? new Set() : new Set(groups.filter((one) => one !== group));
    else if (!this.hidden.delete(group)) this.hidden.add(group);
    if (this.given) this.set(this.given);
  }

  spoken(at) {
    const content = /** @type {Content} */ (this.content);
    const parts = content.lines.filter((line) => !this.hidden.has(line.group) && valueAt(line, at) !== null).slice(0, 6);
    return `${content.ticks?.[at] ?? `${content.xLabel} ${number(content.x[at])}`}: ${parts.map((line) => `${line.name} ${number(valueAt(line, at))}`).join(", ")}`;
  }

  /** Fill the readout: values at the crosshair, else the last ones. It is the legend too. */
  tell() {
    const content = this.content;
    if (!content) return;
    const at = this.at ?? content.x.length - 1;
    const groups = new Map();
    for (const line of content.lines) {
      if (!groups.has(line.group)) groups.set(line.group, []);
      groups.get(line.group).push(line);
    }
    const families = this.families();
    const isMany = groups.size > MANY || families.size > 0;
    const wanted = isMany ? [...groups].filter(([group]) => group === this.focused).slice(0, 1) : [...groups];
    const held = document.activeElement?.closest(".readout") === this.readout ? document.activeElement?.textContent : null;
    const rows = wanted.flatMap(([group, lines]) => {
      const shown = lines.filter((line) => !this.hidden.has(group) && !line.faint);
      const button = () => h("button.plain", { type: "button", title: "Click hides it, Alt and click shows it alone", onclick: (event) => this.toggle(group, event.altKey) }, this.hidden.has(group) ? `${group} (hidden)` : group);
      const row = (line, name) => h("tr", {}, h("th", { scope: "row" }, swatchOf(line), name), h("td.number", {}, number(valueAt(line, at))));
      if (groups.size === 1) return shown.map((line) => row(line, line.part));
      if (shown.length === 1 && lines.length === 1) return [row(shown[0], button())];
      return [h("tr", {}, h("th", { colspan: "2", scope: "colgroup" }, button())), ...shown.map((line) => row(line, line.part))];
    });
    const title = content.x.length ? (content.ticks?.[at] ?? `${content.xLabel} ${number(content.x[at])}`) : "";
    for (const [kin, { lines, groups: own, count }] of [...families].slice(0, MANY).reverse()) {
      const name = families.size > 1 ? kin : "";
      if (name) rows.unshift(h("tr", {}, h("th", { scope: "row", colspan: "2" }, lines.map(swatchOf), own.size > 1 ? `${name}, ${own.size} fits` : name)));
      else rows.unshift(...lines.map((line) => h("tr", {}, h("th", { scope: "row", colspan: "2" }, swatchOf(line), `${line.part} of ${count[line.part]} fits`))));
    }
    const note = isMany && !wanted.length ? h("p.faint", {}, `${groups.size} curves: point at one`) : null;
    this.readout.replaceChildren(h("table", {}, h("caption", {}, title), h("tbody", {}, rows)), note ?? "");
    this.tellMarks();
    if (held) [...this.readout.querySelectorAll("button")].find((one) => one.textContent === held)?.focus();
  }

  /** What lines and ground beside the curves mean. */
  tellMarks() {
    const said = this.marksSaid();
    this.legend.hidden = !said.length;
    this.legend.replaceChildren(...said.map((text) => h("li", {}, text)));
  }

  marksSaid() {
    const { marks = [], shaded, logX } = /** @type {Content} */ (this.content);
    const kinds = marks.length <= FEW_MARKS ? new Set(marks.map((mark) => mark.kind)) : new Set(marks.some((mark) => mark.kind === "best") ? ["dot"] : []);
    const said = Object.entries(MARKS).filter(([kind]) => kinds.has(kind)).map(([, text]) => text);
    if (shaded) said.push(`shaded: ${shaded}`);
    if (logX && this.given?.x.length !== this.content?.x.length) said.push("0 has no place on a logarithmic axis");
    return said;
  }

  async fillNumbers() {
    const { numbersOf } = await import("./numbers.js"); // only who opens them waits for it
    if (!this.content || !this.numbers.open) return;
    this.numbers.querySelector(".scroll")?.remove(); // the summary stays, and the focus on it
    this.numbers.append(numbersOf(this.content, this.hidden));
  }

  /** Save what is seen as a picture, on the card's ground. */
  async png() {
    const content = /** @type {Content} */ (this.content);
    const colors = palette();
    const box = h("div.hidden");
    document.body.append(box);
    const { hooks, ...options } = this.options;
    const drawn = new /** @type {any} */ (window).uPlot({ ...options, width: PICTURE, height: Math.round(this.height * 1.3), cursor: { show: false }, hooks: { draw: hooks.draw } }, this.plot.data, box);
    if (this.zoom) drawn.setScale("x", this.zoom);
    await new Promise((resolve) => setTimeout(resolve)); // it draws in a task of its own
    const said = this.marksSaid();
    const { pictureOf, save } = await import("./picture.js"); // only who wants one waits for it
    const made = pictureOf(drawn.ctx.canvas, { caption: content.caption, notes: said.length ? [said.join("; ")] : [], lines: this.keys(), ink: colors.ink, ground: colors.bg, ratio: devicePixelRatio || 1 });
    drawn.destroy();
    box.remove();
    made.toBlob((blob) => blob && save(blob, `${this.name.replaceAll(/[^\p{L}\p{N}-]+/gu, "-")}.png`));
  }

  /** Lines by what they have their color of, a variant or a job: the first group of each. */
  families() {
    const found = new Map();
    for (const line of this.content?.lines ?? []) {
      if (line.kin === undefined || this.hidden.has(line.group)) continue;
      const known = found.get(line.kin) ?? { group: line.group, lines: [], groups: new Set(), count: {} };
      if (known.group === line.group) known.lines.push(line);
      known.groups.add(line.group);
      known.count[line.part] = (known.count[line.part] ?? 0) + 1;
      found.set(line.kin, known);
    }
    return found;
  }

  /** What a picture's legend names: each line, or each kind of line where many look alike. */
  keys() {
    const families = this.families();
    const word = (part) => ({ train: "training", val: "validation" })[part] ?? part;
    if (families.size) return [...families].flatMap(([kin, { lines, count }]) => lines.map((line) => ({ ...line, name: `${families.size > 1 ? `${kin}, ` : ""}${word(line.part)}${count[line.part] > 1 ? ` of ${count[line.part]} fits` : ""}` })));
    return (this.content?.lines ?? []).filter((line) => !this.hidden.has(line.group));
  }
}

/** A content for an axis of logarithms: what has no place on it, epoch 0, is left out. */
function positive(content) {
  const from = content.x.findIndex((x) => x > 0);
  if (from === 0) return content;
  const cut = (values) => values?.slice(from < 0 ? content.x.length : from);
  const line = (one) => ({ ...one, values: cut(one.values), raw: cut(one.raw), exact: cut(one.exact), sizes: cut(one.sizes) });
  return { ...content, x: cut(content.x), ticks: cut(content.ticks), lines: content.lines.map(line), bands: content.bands?.map((one) => ({ ...one, low: cut(one.low), high: cut(one.high) })), marks: content.marks?.filter((mark) => mark.x > 0) };
}

function swatchOf(line) {
  const swatch = h(line.dashed || line.dotted ? "span.swatch.dashed" : "span.swatch", { "aria-hidden": "true" });
  swatch.style.borderTopColor = line.color;
  return swatch;
}

/** A lone point has an axis, too, and no disc is cut at an edge. */
function spanned(low, high, content) {
  const [only, ...others] = content.x;
  if (only === undefined) return [1, 2];
  const last = others.at(-1);
  if (last !== undefined) {
    if (low > only || high < last || !content.lines.some((line) => line.sizes)) return [low, high];
    const room = content.logX ? (last / only) ** 0.03 : (last - only) * 0.03;
    return content.logX ? [only / room, last * room] : [only - room, last + room];
  }
  return content.logX ? [only / 2, only * 2] : [only - 1, only + 1];
}

/** Leave some room above and below; nothing is clipped. */
function limits(low, high, content) {
  if (low === null || high === null || low === undefined) return [0, 1];
  const floor = content.fromZero || content.zero ? Math.min(0, low) : low;
  const top = content.zero ? Math.max(0, high) : high;
  const room = (top - floor || Math.abs(top) || 1) * 0.06;
  return [content.fromZero && floor === 0 ? 0 : floor - room, top + room];
}
