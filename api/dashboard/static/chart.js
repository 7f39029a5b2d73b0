// @ts-check
// The only module that knows uPlot: lines over a common axis, with marks, bands, zoom, a keyboard's crosshair and a readout beside it.

import { h } from "./dom.js";
import { drawMarks, FEW_MARKS, isDrawn, ticksOf, valueAt } from "./drawing.js";
import { counted, number } from "./format.js";

/** @typedef {import("./content.js").Content} Content */

/** Colors of jobs and fits (Okabe & Ito 2008), for light and for dark grounds. */
const HUES = [["#0072b2", "#56b4e9"], ["#d55e00", "#ff9a4d"], ["#00795a", "#34c99a"], ["#a8457f", "#e79bc6"], ["#8a6100", "#f0b429"], ["#2a6f97", "#9ad0f5"], ["#6f4e9c", "#bfa3e6"], ["#3d434b", "#d5d9df"]];
export const MANY = 12;
const FONT = "12px system-ui, sans-serif";
/** Hundreds of dashed lines take a browser half a second; training is faint among so many, and told apart by that. */
const MOST_DASHED = 60;

/** What changes without a new plot. */
const DATA = new Set(["x", "values", "raw", "exact", "sizes", "low", "high", "marks", "caption", "facts", "shaded"]);
/** Keys that read a chart. */
const KEYS = new Set(["ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End", "+", "-", "0", "Escape"]);

/** Marks in words. */
const MARKS = { best: "dotted: best epoch", stop: "broken: early stopping", diverged: "triangle: diverged", dot: "dots: best epochs" };

/** @type {any} */
let turns = null;

const isDark = () => {
  const theme = document.documentElement.dataset.theme;
  return theme && !matchMedia("(forced-colors: active)").matches ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

/** Colors as the theme has them now; custom properties of `light-dark()` are not resolved by themselves. */
function palette() {
  const probe = h("span.hidden.swatch");
  document.body.append(probe);
  const resolved = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const [ink, faint, line, bg, bad] = ["ink", "faint", "line", "card", "bad"].map(resolved);
  probe.remove();
  return { ink, faint, line, bg, bad, warm: translucent(hue(1), 0.2), cool: translucent(hue(0), 0.2) };
}

/** The color of the i-th of several. */
export const hue = (i) => HUES[i % HUES.length][isDark() ? 1 : 0];

/** How much wider those lines are that have a color again. */
export const heft = (i) => Math.floor(i / HUES.length) % 3;

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
    /** @type {number | null} */
    this.at = null;
    this.needed = 0;
    this.isFitting = false;
    /** @type {Chart[]} */
    this.mates = [];
    const id = `caption-${Math.random().toString(36).slice(2, 8)}`;
    this.box = h("div.plot", { tabindex: "0", role: "img", "aria-labelledby": id, "aria-roledescription": "chart; arrow keys read it" });
    this.box.style.minHeight = `${height}px`;
    this.caption = h("figcaption", { id });
    this.readout = h("div.readout", {});
    this.legend = h("ul.marks", {});
    this.tools = h("div.controls.no-print", {}, h("button", { type: "button", onclick: () => this.turn("zoom", 0.5) }, "Zoom in"), h("button", { type: "button", onclick: () => this.turn("zoom", 2) }, "Zoom out"), (this.reset = h("button", { type: "button", disabled: true, onclick: () => this.setZoom(null) }, "Whole")), h("button", { type: "button", onclick: () => this.turn("save", palette()) }, "PNG"));
    this.numbers = h("details.no-print", {}, h("summary", {}, "Numbers as a table"));
    this.numbers.addEventListener("toggle", () => this.turn("tabulate"));
    this.element = h("figure", { "data-drawn": "0" }, this.caption, h("div.chart", {}, h("div", {}, this.box, this.tools), h("div", {}, this.readout, this.legend)), this.numbers);
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("blur", () => this.point(null));
    new ResizeObserver(() => {
      this.plot?.setSize({ width: this.box.clientWidth, height: this.height });
      this.fit();
    }).observe(this.box);
    document.addEventListener("theme", () => {
      this.shape = "";
      if (this.given) this.set(this.given);
    });
  }

  /** Draw; zoom, crosshair and what is hidden stay as they are. @param {Content} given */
  set(given) {
    const fitting = given.logX ? positive(given) : given;
    const isCalm = fitting.lines.some((line) => !line.wild && !this.hidden.has(line.group));
    const retoned = (part) => ({ ...part, color: toned(part.color), wild: isCalm && part.wild });
    const content = { ...fitting, lines: fitting.lines.map(retoned), bands: fitting.bands?.map(retoned), marks: fitting.marks?.map(retoned) };
    const x = this.content?.x[this.at ?? -1] ?? Infinity;
    const at = content.x.findIndex((one) => one >= x);
    this.at = at < 0 ? null : at;
    this.content = content;
    this.given = given;
    this.caption.textContent = content.caption;
    for (const [name, value] of Object.entries(content.facts ?? {})) this.element.dataset[name] = String(value);
    const shape = JSON.stringify([content, [...this.hidden]], (name, value) => (DATA.has(name) ? Boolean(value) : value));
    const data = this.columns(content);
    if (shape !== this.shape || !this.plot) {
      this.shape = shape;
      this.build(content, data);
    }
    this.fit(data);
    this.tell();
    if (this.numbers.open) this.turn("tabulate");
  }

  /** A break is where a value has no place, none where none is; what diverged goes as far as lines can. @param {Content} content */
  columns(content) {
    const calm = content.lines.filter((line) => !line.wild).flatMap((line) => line.values);
    const most = content.logY ? Infinity : 1e4 * calm.reduce((found, value) => Math.max(found, Math.abs(value ?? 0)), 1e-9);
    const usable = (values, { wild }) => values.map((value) => (value === null ? undefined : content.logY && value <= 0 ? null : wild ? Math.max(-most, Math.min(most, value)) : value));
    const drawn = content.lines.flatMap((line) => [line.values, ...(line.raw ? [line.raw] : [])].map((values) => usable(values, line)));
    const bands = (content.bands ?? []).flatMap((band) => [usable(band.high, band), usable(band.low, band)]);
    return [content.x, ...drawn, ...bands];
  }

  /** @param {Content} content */
  build(content, data) {
    const colors = palette();
    const series = /** @type {any[]} */ ([{}]);
    const bands = [];
    const [isMany, isDense] = [content.lines.length > MANY, content.lines.length > MOST_DASHED];
    for (const line of content.lines) {
      const { group, part, color, sizes } = line;
      const shared = { group, dash: isDense ? undefined : line.dashed ? [7, 4] : line.dotted ? [2, 3] : undefined, show: !this.hidden.has(group), auto: !line.wild };
      series.push({ ...shared, part, stroke: line.faint ? translucent(color, 0.35) : color, sizes, width: sizes ? 0 : (isMany ? 1 : 2) + 1.5 * (line.heft ?? 0), points: { show: (content.points ?? false) && !sizes, size: 7 } });
      if (line.raw) series.push({ ...shared, stroke: translucent(color, 0.3), width: 1, points: { show: false } });
    }
    for (const { group, wild, color } of content.bands ?? []) {
      const edge = { group, isEdge: true, stroke: "transparent", width: 0, show: !this.hidden.has(group), auto: !wild, points: { show: false } };
      const at = series.push({ ...edge }, { ...edge });
      bands.push({ series: [at - 2, at - 1], fill: translucent(color, 0.18) });
    }
    const [train, val] = ["train", "val"].map((part) => series.findIndex((one) => one.part === part));
    if (content.gap && train > 0 && val > 0) bands.push({ series: [val, train], fill: colors.warm, dir: -1 }, { series: [train, val], fill: colors.cool, dir: -1 });
    const axis = { stroke: colors.ink, grid: { stroke: colors.line, width: 1 }, ticks: { stroke: colors.line, width: 1 }, font: FONT, labelFont: "13px system-ui, sans-serif" };
    // Ticks are our own: uPlot has none beyond 1e16.
    const ticking = (pixels, isLog, isX) => ({ incrs: (_plot, _axis, low, high) => [Math.max(5, high - low)], splits: (_plot, _axis, low, high, step, space) => ticksOf(low, high, (space * (high - low)) / step / pixels, isLog, isX && this.content?.x.every(Number.isInteger)), filter: (_plot, found) => found, values: (_plot, found) => found.map((one) => number(one, 12).replace(/\.?0+e/, "e")) });
    const ticks = content.ticks;
    this.options = {
      width: this.box.clientWidth || 600,
      height: this.height,
      series,
      bands,
      legend: { show: false },
      scales: {
        x: { time: false, distr: content.logX ? 3 : 1, range: (_plot, low, high) => spanned(low, high, content) },
        y: { distr: content.logY ? 3 : 1, range: (_plot, low, high) => limits(low, high, content) },
      },
      axes: [
        { ...axis, label: content.xLabel, labelSize: 22, ...ticking(50, content.logX, true), ...(ticks && { splits: () => ticks.map((_, i) => i), values: () => ticks.map((text) => text ?? "") }) },
        { ...axis, label: content.yLabel, labelSize: 24, size: (plot, found) => this.room(plot, found ?? []), ...ticking(34, content.logY, false) },
      ],
      focus: { alpha: 0.18 },
      cursor: { drag: { setScale: false, x: true, y: false }, focus: { prox: content.lines.some((line) => line.group !== content.lines[0].group) ? 18 : -1 }, points: { one: isMany }, bind: { dblclick: () => () => this.setZoom(null) } },
      hooks: {
        draw: [(plot) => {
          drawMarks(plot, /** @type {Content} */ (this.content), colors, this.hidden);
          this.tellMarks();
          this.element.dataset.drawn = String(Number(this.element.dataset.drawn) + 1);
        }],
        setSelect: [(plot) => this.selected(plot)],
        setCursor: [(plot) => this.moved(plot)],
        setSeries: [(_plot, place) => this.focus(place)],
      },
    };
    this.plot?.destroy();
    this.plot = new /** @type {any} */ (window).uPlot(this.options, data, this.box);
  }

  /** Bring data, zoom and crosshair onto the plot, at once. */
  fit(data = this.plot?.data) {
    const { plot, zoom, at } = this;
    if (!plot) return;
    this.isFitting = true; // the crosshair stays at its epoch
    plot.batch(() => {
      plot.setData(data, !zoom);
      if (zoom) plot.setScale("x", zoom);
    });
    this.isFitting = false;
    if (at !== null) this.point(at);
  }

  /** Room for the widest tick; mates have as much. */
  room({ ctx }, texts) {
    ctx.save();
    ctx.font = FONT;
    const needed = Math.ceil(Math.max(30, ...texts.map((text) => ctx.measureText(text).width))) + 18;
    ctx.restore();
    const isNew = needed !== this.needed;
    this.needed = needed;
    for (const mate of isNew ? this.mates : []) queueMicrotask(() => {
      mate.plot?.redraw(true, true);
      mate.fit();
    });
    return Math.max(needed, ...this.mates.map((mate) => mate.needed));
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
    this.fit();
    if (!isTold) for (const mate of this.mates) mate.setZoom(zoom, true);
  }

  /** What is told where no crosshair is: the last place in view. */
  last() {
    const xs = this.content?.x ?? [];
    const beyond = xs.findIndex((x) => x > (this.zoom?.max ?? Infinity));
    return Math.max(0, (beyond < 0 ? xs.length : beyond) - 1);
  }

  /** What readers do on a chart; only they wait for it. */
  async turn(what, value = /** @type {any} */ (null), isAlone = false) {
    turns ??= import("./turns.js"); // one promise: keys keep their order
    (await turns)[what](this, value, isAlone);
  }

  key(event) {
    if (!KEYS.has(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.turn("press", event.key);
  }

  /** Put the crosshair at a point of the axis, or away. */
  point(at) {
    const { plot } = this;
    if (!plot) return;
    const x = plot.data[0][at ?? -1];
    const { min, max } = plot.scales.x;
    plot.setCursor(x >= min && x <= max ? { left: Math.max(0, plot.valToPos(x, "x")), top: plot.bbox.height / 2 / (devicePixelRatio || 1) } : { left: -10, top: -10 });
  }

  moved(plot) {
    if (this.isFitting) return;
    this.at = plot.cursor.idx ?? null;
    this.tell();
    for (const mate of this.mates) if (mate.at !== this.at) mate.point(this.at);
  }

  focus(place) {
    const group = this.plot.series[place ?? -1]?.group ?? null;
    if (group === this.focused) return;
    this.focused = group;
    this.tell();
  }

  /** Fill the readout: values at the crosshair, else the last ones. It is the legend too. */
  tell() {
    const content = this.content;
    if (!content) return;
    const at = this.at ?? this.last();
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
      const button = () => h("button.plain", { type: "button", title: "Click hides it, Alt and click shows it alone", onclick: (event) => this.turn("toggle", group, event.altKey) }, this.hidden.has(group) ? `${group} (hidden)` : group);
      const row = (line, name) => h("tr", {}, h("th", { scope: "row" }, swatchOf(line), name), h("td.number", {}, number(valueAt(line, at))));
      if (group === "fit") return shown.map((line) => row(line, line.part));
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
    const { marks = [], lines, shaded, logX, logY } = /** @type {Content} */ (this.content);
    const isShown = (one) => !this.hidden.has(one.group);
    const isFew = marks.length <= FEW_MARKS;
    const kinds = new Set(marks.filter((mark) => isShown(mark) && (isDrawn(mark, logY) || (isFew && mark.kind !== "diverged"))).map(({ kind }) => (isFew || kind !== "best" ? kind : "dot")));
    const said = Object.entries(MARKS).filter(([kind]) => kinds.has(/** @type {any} */ (kind))).map(([, text]) => text);
    if (shaded) said.push(`shaded: ${shaded}`);
    if (logX && this.given?.x.length !== this.content?.x.length) said.push("0 has no place on a logarithmic axis");
    const lost = logY ? lines.filter(isShown).flatMap((line) => (line.exact ?? line.values).filter((value) => value !== null && value <= 0)).length : 0;
    if (lost) said.push(`${counted(lost, "value")} of 0 or less ${lost === 1 ? "has" : "have"} no place on a logarithmic axis`);
    const { min = null, max = null } = this.plot?.scales.y ?? {};
    const off = new Set(lines.filter((line) => line.wild && isShown(line) && max !== null && line.values.some((value) => value !== null && (value > max || value < min))).map((line) => line.group));
    if (off.size) said.push(`diverged and left the chart: ${off.size > 3 ? `${off.size} fits` : [...off].join(" and ")}`);
    return said;
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
  const swatch = h(`span.swatch${line.dashed ? ".dashed" : line.dotted ? ".dotted" : ""}`, { "aria-hidden": "true" });
  swatch.style.color = line.color;
  swatch.style.height = `${3 + 2 * (line.heft ?? 0)}px`;
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
  if (low === null || high === null || low === undefined) return [content.logY ? 0.1 : 0, 1];
  if (content.logY) {
    const room = (high / low) ** 0.06 || 1;
    return low === high ? [low / 2, high * 2] : [low / room, high * room];
  }
  const floor = content.fromZero || content.zero ? Math.min(0, low) : low;
  const top = content.zero ? Math.max(0, high) : high;
  const room = (top - floor || Math.abs(top) || 1) * 0.06;
  return [content.fromZero && floor === 0 ? 0 : floor - room, top + room];
}
