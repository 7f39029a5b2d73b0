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
 * Mean and standard deviation over fits at each point, of those that have a value there.
 * @param {(number | null)[][]} columns equally long
 */
export function spread(columns) {
  const length = columns[0]?.length ?? 0;
  const mean = new Array(length).fill(null);
  const low = new Array(length).fill(null);
  const high = new Array(length).fill(null);
  for (let i = 0; i < length; i++) {
    let count = 0;
    let sum = 0;
    for (const column of columns) {
      const value = column[i] ?? null;
      if (value === null) continue;
      sum += value;
      count++;
    }
    if (!count) continue;
    const centre = sum / count;
    let squares = 0;
    for (const column of columns) {
      const value = column[i] ?? null;
      if (value !== null) squares += (value - centre) ** 2;
    }
    const deviation = count > 1 ? Math.sqrt(squares / (count - 1)) : 0;
    mean[i] = centre;
    low[i] = centre - deviation;
    high[i] = centre + deviation;
  }
  return { mean, low, high };
}
