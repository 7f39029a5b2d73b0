// @ts-check
// Averages for the eye alone: best epoch, gap and diagnosis come from raw values.

/**
 * Average exponentially with bias correction (Kingma & Ba 2015, section 3): v_t = beta v_(t-1) + (1 - beta) x_t, given as v_t / (1 - beta^t).
 * With beta = 0 the values are the raw ones, to the last bit. Where there is no value there is none in the result.
 * @param {(number | null)[]} values
 * @param {number} beta from 0 to less than 1
 */
export function smooth(values, beta) {
  if (beta === 0) return values;
  let average = 0;
  let correction = 1;
  return values.map((value) => {
    if (value === null || value === undefined) return null;
    average = beta * average + (1 - beta) * value;
    correction *= beta;
    return average / (1 - correction);
  });
}

/**
 * Fill what lies between two values on the straight line between them. Fits keep different epochs when their curves are thinned; a mean of those
 * alone that have an epoch would jump from one set of fits to another.
 * @param {(number | null)[]} values
 */
export function filled(values) {
  const whole = values.slice();
  let before = -1;
  values.forEach((value, i) => {
    if (value === null) return;
    const from = before >= 0 ? /** @type {number} */ (values[before]) : value;
    for (let k = before + 1; before >= 0 && k < i; k++) whole[k] = from + ((value - from) * (k - before)) / (i - before);
    before = i;
  });
  return whole;
}

/**
 * Mean and standard deviation over fits at each point, of those that have reached it.
 * @param {(number | null)[][]} columns equally long
 */
export function spread(columns) {
  const whole = columns.map(filled);
  const points = (columns[0] ?? []).map((_, i) => {
    const found = /** @type {number[]} */ (whole.map((column) => column[i]).filter((value) => value !== null));
    if (!found.length) return { mean: null, low: null, high: null };
    const mean = found.reduce((sum, value) => sum + value, 0) / found.length;
    const deviation = found.length > 1 ? Math.sqrt(found.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (found.length - 1)) : 0;
    return { mean, low: mean - deviation, high: mean + deviation };
  });
  return { mean: points.map((point) => point.mean), low: points.map((point) => point.low), high: points.map((point) => point.high) };
}
