import assert from "node:assert/strict";
import { test } from "node:test";

import { bytes, bytesPerSecond, duration, percent, roundText, roundUp, slopes, text, timeTicks, valueTicks } from "../scale.js";

const nbsp = "\u00a0";

test("bytes have three figures and the unit that fits", () => {
  const written = [0, 999, 999.6, 1000, 1536, 15_360, 153_600, 999_999, 24.68e9, 5e18].map((n) => text(bytes(n)));
  assert.deepEqual(written, ["0 B", "999 B", "1.00 kB", "1.00 kB", "1.54 kB", "15.4 kB", "154 kB", "1.00 MB", "24.7 GB", "5000 PB"].map((s) => s.replace(" ", nbsp)));
});

test("an axis leaves out decimals that say nothing", () => {
  const written = [bytes(5e6), bytes(2500), percent(50), percent(100)].map(roundText);
  assert.deepEqual(written, ["5 MB", "2.5 kB", "50 %", "100 %"].map((s) => s.replace(" ", nbsp)));
});

test("what is not a number is a dash without a unit", () => {
  for (const value of [undefined, null, NaN, "5"]) {
    assert.equal(text(bytesPerSecond(value)), "–");
    assert.equal(text(percent(value)), "–");
    assert.equal(duration(value), "–");
  }
});

test("percentages have one decimal except a full one", () => {
  assert.deepEqual([0, 7.25, 99.94, 99.96, 100].map((n) => percent(n).number), ["0.0", "7.3", "99.9", "100", "100"]);
});

test("a duration is told in its two greatest units", () => {
  const written = [0, 59, 60, 3_661, 93_784, 86_400].map((s) => duration(s).replaceAll(nbsp, ""));
  assert.deepEqual(written, ["0s", "59s", "1min", "1h 1min", "1d 2h", "1d"]);
});

test("an axis ends at the next round number", () => {
  assert.deepEqual([0, -1, NaN, 0.3, 1, 1.01, 4, 5, 51, 100, 3_000_000].map(roundUp), [1, 1, 1, 0.5, 1, 2, 5, 5, 100, 100, 5_000_000]);
});

test("axis lines are evenly spread from zero to the top", () => {
  assert.deepEqual(valueTicks(100), [0, 25, 50, 75, 100]);
  assert.deepEqual(valueTicks(5000), [0, 1000, 2000, 3000, 4000, 5000]);
  assert.deepEqual(valueTicks(2), [0, 0.5, 1, 1.5, 2]);
});

test("time is ruled at whole multiples", () => {
  assert.deepEqual(timeTicks(31_000, 121_000, 30_000), [60_000, 90_000, 120_000]);
  assert.deepEqual(timeTicks(1, 2, 10), []);
});

test("a curve is level at its peaks and never steeper than three times its chords", () => {
  const xs = [0, 1, 2, 3, 4];
  const ys = [0, 0, 10, 0, 0.1];
  const found = slopes(xs, ys);
  assert.equal(found[0], 0);
  assert.equal(found[1], 0);
  assert.equal(found[2], 0);
  for (let i = 0; i < 4; i += 1) {
    const chord = ys[i + 1] - ys[i];
    for (const slope of [found[i], found[i + 1]]) {
      assert.ok(slope * chord >= 0 && Math.abs(slope) <= 3 * Math.abs(chord) + 1e-9);
    }
  }
  assert.deepEqual(slopes([1], [1]), [0]);
  assert.deepEqual(slopes([0, 2], [0, 1]), [0.5, 0.5]);
});
