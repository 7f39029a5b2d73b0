// @ts-check
// What charts are given, as types alone: no page loads this file.

/**
 * `wild` is a line of what diverged: others set the range, and it leaves the chart at the edge. `heft` tells lines of one color apart by their width.
 * @typedef {{ group: string, part: string, name: string, kin?: string, color: string, heft?: number, wild?: boolean, dashed?: boolean, dotted?: boolean, faint?: boolean, values: (number | null)[], raw?: (number | null)[], exact?: (number | null)[], sizes?: (number | null)[] }} Line
 * @typedef {{ low: (number | null)[], high: (number | null)[], color: string, group: string, wild?: boolean }} Band
 * @typedef {{ x: number, y?: number | null, kind: "best" | "stop" | "diverged", color: string, group?: string }} Mark
 * @typedef {{ x: number[], xLabel: string, yLabel: string, lines: Line[], bands?: Band[], marks?: Mark[], gap?: boolean, logX?: boolean, logY?: boolean, fromZero?: boolean, zero?: boolean, points?: boolean, ticks?: (string | null)[], caption: string, shaded?: string, facts?: Record<string, string | number> }} Content
 */

export {};
