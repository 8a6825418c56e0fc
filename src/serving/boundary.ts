import type { Tensor } from './tensors.ts';

/** Of larger answers nothing is said: images and texts are no rows of classes, and the look would cost. */
const ELEMENTS_MAX = 4096;
const SUM_TOLERANCE = 1e-3;
const MARGIN = 0.05;
/** Of any large batch some rows are near a boundary: one that was made to be there has more. */
const SHARE = 0.3;

/**
 * Claims that a model was unsure: of the rows of its outputs that are tables of probabilities (rows that sum to 1), at least
 * three in ten have their two largest less than 0.05 apart. Outputs that are no such table say nothing. `runs`: the
 * outputs of each run that one request took.
 */
export function isNearBoundary(runs: readonly (readonly Tensor[])[]): boolean {
  let rows = 0;
  let near = 0;
  for (const outputs of runs) {
    for (const { shape, data } of outputs) {
      const classes = shape.at(-1) ?? 0;
      if (!(data instanceof Float32Array || data instanceof Float64Array)) continue;
      if (classes < 2 || data.length === 0 || data.length > ELEMENTS_MAX) continue;
      const found = nearRows(data, classes);
      if (found === undefined) continue;
      near += found;
      rows += data.length / classes;
    }
  }
  return near > 0 && near >= SHARE * rows;
}

/** Rows with a small margin; undefined as soon as one row is no distribution. */
function nearRows(data: Float32Array | Float64Array, classes: number): number | undefined {
  let near = 0;
  for (let start = 0; start < data.length; start += classes) {
    let sum = 0;
    let first = 0;
    let second = 0;
    for (let at = start; at < start + classes; at++) {
      const value = data[at] as number;
      if (!(value >= 0)) return undefined;
      sum += value;
      if (value > first) {
        second = first;
        first = value;
      } else if (value > second) second = value;
    }
    if (Math.abs(sum - 1) > SUM_TOLERANCE) return undefined;
    if (first - second < MARGIN) near++;
  }
  return near;
}
