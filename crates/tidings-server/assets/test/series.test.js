import assert from "node:assert/strict";
import { test } from "node:test";

import { Series, ServerClock } from "../series.js";

function filled(...times) {
  const series = new Series(120_000);
  for (const at of times) series.push(at, { n: at });
  return series;
}

const shape = (series) => series.runs().map((run) => [run.gap, run.points.map((point) => point.at)]);

test("points a second apart are one run", () => {
  assert.deepEqual(shape(filled(1000, 2000, 3000)), [[null, [1000, 2000, 3000]]]);
});

test("points older than what is kept are forgotten", () => {
  const series = filled(0, 1000, 60_000, 120_000, 121_500);
  assert.deepEqual(series.points.map((point) => point.at), [60_000, 120_000, 121_500]);
});

test("a fast stream keeps a bounded number of points", () => {
  const series = new Series(120_000);
  for (let at = 1; at <= 10_000; at += 1) series.push(at, {});
  assert.equal(series.points.length, 2_000);
  assert.equal(series.last.at, 10_000);
});

test("a gap the server spoke of splits the run before the next point", () => {
  const series = filled(1000, 2000);
  series.markGap("trimmed");
  series.markGap("missed");
  series.push(3000, {});
  series.push(4000, {});
  assert.deepEqual(shape(series), [[null, [1000, 2000]], ["trimmed", [3000, 4000]]]);
});

test("a gap before the first point is none", () => {
  const series = new Series(120_000);
  series.markGap("not recovered");
  series.push(1000, {});
  assert.deepEqual(shape(series), [[null, [1000]]]);
});

test("a long silence splits the run without being a gap", () => {
  assert.deepEqual(shape(filled(1000, 2000, 3000, 9000, 10_000)), [[null, [1000, 2000, 3000]], [null, [9000, 10_000]]]);
});

test("points that usually come every ten seconds are joined", () => {
  assert.equal(filled(0, 10_000, 20_000, 30_000).runs().length, 1);
});

test("a clock that was set back begins again from there", () => {
  const series = filled(1000, 2000, 3000);
  series.push(2000, {});
  assert.deepEqual(shape(series), [[null, [1000]], ["clock", [2000]]]);
});

test("a time that is none is left out", () => {
  assert.equal(filled(NaN).points.length, 0);
});

test("the nearest point is found from both sides", () => {
  const series = filled(1000, 2000, 4000);
  assert.deepEqual([0, 1400, 1600, 3000, 3001, 9000].map((at) => series.nearest(at)), [0, 0, 1, 1, 2, 2]);
  assert.equal(new Series(1).nearest(5), -1);
});

test("a summary leaves out what is too old or unknown", () => {
  const series = new Series(120_000);
  [[1, 50], [2, null], [3, 2], [4, 6]].forEach(([at, n]) => series.push(at, { n }));
  assert.deepEqual(series.summary((v) => v.n, 2), { least: 2, mean: 4, greatest: 6 });
  assert.equal(series.summary((v) => v.n, 5), null);
});

test("the server's clock is told by the quickest event", () => {
  const clock = new ServerClock();
  assert.equal(clock.at(5000), 5000);
  clock.observe(1000, 2300);
  clock.observe(2000, 3050);
  clock.observe(3000, 4900);
  clock.observe(NaN, 0);
  assert.equal(clock.at(10_000), 8950);
});
