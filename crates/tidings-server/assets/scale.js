// Axes and numbers for people.

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

// `1536000` is `{number: "1.54", unit: "MB"}`: three figures, units of 1000.
export function bytes(value) {
  if (!Number.isFinite(value)) return { number: "–", unit: "" };
  let unit = 0;
  let size = Math.max(0, value);
  while (size >= 999.5 && unit < BYTE_UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const decimals = unit === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return { number: size.toFixed(decimals), unit: BYTE_UNITS[unit] };
}

export function bytesPerSecond(value) {
  const { number, unit } = bytes(value);
  return { number, unit: unit && `${unit}/s` };
}

export function percent(value) {
  if (!Number.isFinite(value)) return { number: "–", unit: "" };
  return { number: value >= 99.95 ? "100" : value.toFixed(1), unit: "%" };
}

// `{number, unit}` as one text with a no-break space.
export function text({ number, unit }) {
  return unit === "" ? number : `${number}\u00a0${unit}`;
}

// The same for an axis, whose numbers are round: `5.00` is `5`.
export function roundText({ number, unit }) {
  return text({ number: String(Number(number)), unit });
}

// `93784` seconds are `1 d 2 h`: the two greatest units that count.
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0\u00a0s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}\u00a0${unit}`)
    .join(" ");
}

// The least "round" number (1, 2 or 5 times a power of ten) that is not below `value`.
export function roundUp(value) {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((step) => step * power >= value * (1 - 1e-9));
  return factor * power;
}

// Where an axis from 0 to `top` is ruled: `top` is a round number, and three to five lines fit.
export function valueTicks(top) {
  const leading = Math.round(top / 10 ** Math.floor(Math.log10(top)));
  const parts = leading === 5 ? 5 : 4;
  return Array.from({ length: parts + 1 }, (_, i) => (top * i) / parts);
}

// Moments within [from, to] that are whole multiples of `stepMs`, so that they travel with time.
export function timeTicks(from, to, stepMs) {
  const ticks = [];
  for (let at = Math.ceil(from / stepMs) * stepMs; at <= to; at += stepMs) ticks.push(at);
  return ticks;
}

// The slopes at each point of a curve that never swings past its points (Fritsch and Carlson,
// "Monotone Piecewise Cubic Interpolation", 1980). `xs` rises.
export function slopes(xs, ys) {
  const count = xs.length;
  if (count < 2) return new Array(count).fill(0);
  const rise = [];
  for (let i = 0; i < count - 1; i += 1) rise.push((ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i]));
  const slope = [rise[0]];
  for (let i = 1; i < count - 1; i += 1) {
    slope.push(rise[i - 1] * rise[i] <= 0 ? 0 : (rise[i - 1] + rise[i]) / 2);
  }
  slope.push(rise[count - 2]);
  for (let i = 0; i < count - 1; i += 1) {
    if (rise[i] === 0) {
      slope[i] = 0;
      slope[i + 1] = 0;
      continue;
    }
    const a = slope[i] / rise[i];
    const b = slope[i + 1] / rise[i];
    const size = Math.hypot(a, b);
    if (size > 3) {
      slope[i] = (3 * a * rise[i]) / size;
      slope[i + 1] = (3 * b * rise[i]) / size;
    }
  }
  return slope;
}
