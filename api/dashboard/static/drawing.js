// @ts-check
// What a chart has beside its lines: marks of epochs, lone points, discs, the line at zero.

/** Up to so many marks have lines of their own. */
export const FEW_MARKS = 8;
const MOST_LONE = 24;

/** What a line says at a point: the value as it was measured, however it is drawn. */
export const valueAt = (line, at) => (line.exact ?? line.values)[at] ?? null;

/**
 * @param {any} plot uPlot's
 * @param {import("./chart.js").Content} content
 * @param {Record<string, string>} colors
 */
export function drawMarks(plot, content, colors) {
  const ratio = devicePixelRatio || 1;
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top - 8 * ratio, bbox.width, bbox.height + 8 * ratio);
  ctx.clip();
  const vertical = (x, dash) => {
    ctx.setLineDash(dash.map((one) => one * ratio));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
  };
  ctx.lineWidth = ratio;
  if (content.zero) {
    const y = plot.valToPos(0, "y", true);
    ctx.strokeStyle = colors.ink;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  plot.series.forEach((one, place) => {
    if (!place || !one.show || one.isEdge || plot.series.length > MOST_LONE) return;
    const values = plot.data[place];
    ctx.fillStyle = one.stroke();
    if (one.sizes) {
      values.forEach((value, i) => value !== null && disc(ctx, plot.valToPos(plot.data[0][i], "x", true), plot.valToPos(value, "y", true), one.sizes[i] * ratio, colors.bg));
      return;
    }
    values.forEach((value, i) => {
      if (value === null || value === undefined || (values[i - 1] ?? null) !== null || (values[i + 1] ?? null) !== null || values.length > 4000) return;
      disc(ctx, plot.valToPos(plot.data[0][i], "x", true), plot.valToPos(value, "y", true), 3 * ratio);
    });
  });
  const isFew = (content.marks ?? []).length <= FEW_MARKS;
  for (const mark of content.marks ?? []) {
    const x = plot.valToPos(mark.x, "x", true);
    ctx.strokeStyle = mark.kind === "diverged" ? colors.bad : colors.faint;
    if (isFew && mark.kind !== "best") vertical(x, mark.kind === "stop" ? [6, 4] : [2, 2]);
    if (isFew && mark.kind === "best") vertical(x, [2, 4]);
    if (mark.y === null || mark.y === undefined || (content.logY && mark.y <= 0)) continue;
    const y = plot.valToPos(mark.y, "y", true);
    ctx.fillStyle = mark.kind === "diverged" ? colors.bad : mark.color;
    if (mark.kind === "diverged") triangle(ctx, x, y, 7 * ratio);
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
