// @ts-check
// What a chart has beside its lines: marks of epochs, lone points, discs, the line at zero.

/** Up to so many marks have lines of their own. */
export const FEW_MARKS = 8;
const MOST_LONE = 24;

/** Whether a mark has a point of its own, beside its line. */
export const isDrawn = (mark, logY) => (mark.y ?? null) !== null && !(logY && mark.y <= 0);

/** Round places of an axis, two or more where it has them: powers of ten on one of logarithms, where these are enough. */
export function ticksOf(low, high, room, isLog, isWhole) {
  const most = Math.max(5, Math.floor(room));
  if (isLog) {
    const [first, last] = [low, high].map((end) => Math.floor(Math.log10(end) + 1e-9));
    const powers = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
    const found = powers.flatMap((power) => (last - first > 2 ? [power] : [power, 2 * power, 5 * power])).filter((one) => one >= low * (1 - 1e-9) && one <= high * (1 + 1e-9));
    const step = Math.ceil(found.length / most);
    if (found.length > 1) return found.filter((_, i) => i % step === 0);
  }
  const size = 10 ** Math.floor(Math.log10((high - low) / most));
  const rounded = ([1, 2, 5].find((by) => high - low <= by * size * most) ?? 10) * size;
  const step = isWhole ? Math.max(1, rounded) : rounded;
  const from = Math.ceil((isWhole ? Math.max(0, low) : low) / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - from + 1) }, (_, i) => (from + i) * step);
}

/** What a line says at a point: the value as it was measured, however it is drawn. */
export const valueAt = (line, at) => (line.exact ?? line.values)[at] ?? null;

/**
 * @param {any} plot uPlot's
 * @param {import("./content.js").Content} content
 * @param {Record<string, string>} colors
 * @param {Set<string>} hidden groups that are not shown
 */
export function drawMarks(plot, content, colors, hidden) {
  const ratio = devicePixelRatio || 1;
  const { ctx, bbox } = plot;
  const edge = 8 * ratio;
  ctx.save();
  ctx.setLineDash([]); // uPlot leaves its last line's
  ctx.beginPath();
  ctx.rect(bbox.left - edge, bbox.top - edge, bbox.width + 2 * edge, bbox.height + 2 * edge);
  ctx.clip();
  const line = (dash, x, y, toX, toY) => {
    ctx.setLineDash(dash.map((one) => one * ratio));
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(toX, toY);
    ctx.stroke();
    ctx.setLineDash([]); // discs have whole edges
  };
  const [right, bottom] = [bbox.left + bbox.width, bbox.top + bbox.height];
  ctx.lineWidth = ratio;
  if (content.zero) {
    const y = plot.valToPos(0, "y", true);
    ctx.strokeStyle = colors.ink;
    line([], bbox.left, y, right, y);
  }
  plot.series.forEach((one, place) => {
    const values = plot.data[place];
    if (!place || !one.show || one.isEdge || plot.series.length > MOST_LONE || values.length > 4000) return;
    ctx.fillStyle = one.stroke();
    const there = values.flatMap((value, i) => (value === undefined ? [] : [i]));
    const isThere = (i) => (values[i] ?? null) !== null;
    there.forEach((i, k) => {
      if (!isThere(i) || (!one.sizes && (isThere(there[k - 1]) || isThere(there[k + 1])))) return;
      disc(ctx, plot.valToPos(plot.data[0][i], "x", true), plot.valToPos(values[i], "y", true), (one.sizes?.[i] ?? 3) * ratio, one.sizes && colors.bg);
    });
  });
  const isFew = (content.marks ?? []).length <= FEW_MARKS;
  for (const mark of content.marks ?? []) {
    if (hidden.has(mark.group ?? "") || mark.x < plot.scales.x.min || mark.x > plot.scales.x.max) continue;
    const x = plot.valToPos(mark.x, "x", true);
    ctx.strokeStyle = mark.kind === "diverged" ? colors.bad : colors.faint;
    if (isFew) line({ best: [2, 4], stop: [6, 4], diverged: [2, 2] }[mark.kind], x, bbox.top, x, bottom);
    if (!isDrawn(mark, content.logY)) continue;
    const y = plot.valToPos(mark.y, "y", true);
    ctx.fillStyle = mark.kind === "diverged" ? colors.bad : mark.color;
    if (mark.kind === "diverged") triangle(ctx, x, Math.max(bbox.top, Math.min(bottom, y)), 7 * ratio);
    else disc(ctx, x, y, (isFew ? 5 : 2.5) * ratio, isFew ? colors.bg : null);
  }
  ctx.restore();
}

/** @param {string | null} [edge] */
function disc(ctx, x, y, radius, edge = null) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.fill();
  if (!edge) return;
  ctx.strokeStyle = edge;
  ctx.lineWidth = radius / 3;
  ctx.stroke();
}

function triangle(ctx, x, y, size) {
  ctx.beginPath();
  ctx.moveTo(x, y - size);
  ctx.lineTo(x + size, y + size);
  ctx.lineTo(x - size, y + size);
  ctx.fill();
}
