// The points of the last minutes, and the server's clock.

const MOST_POINTS = 2_000;
// Two points further apart than this many usual steps are not joined by a line.
const STEPS_TO_A_HOLE = 3;
const SHORTEST_HOLE_MS = 3_000;

// Points `{at, values}` in the order of time; `at` is the server's time in milliseconds.
export class Series {
  #keepMs;
  #points = [];
  #pendingGap = null;

  constructor(keepMs) {
    this.#keepMs = keepMs;
  }

  get points() {
    return this.#points;
  }

  get last() {
    return this.#points.at(-1);
  }

  // The next point is the first after a hole that the server spoke of.
  markGap(reason) {
    if (this.#points.length > 0) this.#pendingGap ??= reason;
  }

  push(at, values) {
    if (!Number.isFinite(at)) return;
    // A host whose clock was set back begins again from there.
    const setBack = this.#points.length > 0 && at <= this.last.at;
    if (setBack) this.#points = this.#points.filter((point) => point.at < at);
    const gap = this.#points.length > 0 ? (this.#pendingGap ?? (setBack ? "clock" : null)) : null;
    this.#pendingGap = null;
    this.#points.push({ at, values, gap });
    this.#forget(at - this.#keepMs);
  }

  // Runs of points that a line may join, each with the hole before it: `{gap, points}`.
  runs() {
    const longest = Math.max(this.#usualStep() * STEPS_TO_A_HOLE, SHORTEST_HOLE_MS);
    const runs = [];
    let before = null;
    for (const point of this.#points) {
      const apart = before === null || point.gap !== null || point.at - before.at > longest;
      if (apart) runs.push({ gap: point.gap, points: [] });
      runs.at(-1).points.push(point);
      before = point;
    }
    return runs;
  }

  // The index of the point nearest to a time; -1 without points.
  nearest(at) {
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#points[middle].at < at) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return this.#points.length > 0 ? 0 : -1;
    if (low === this.#points.length) return low - 1;
    return at - this.#points[low - 1].at <= this.#points[low].at - at ? low - 1 : low;
  }

  // Least, mean and greatest of `pick(values)` since a time; `null` if there is nothing to tell.
  summary(pick, since = -Infinity) {
    const picked = this.#points
      .filter((point) => point.at >= since)
      .map((point) => pick(point.values))
      .filter(Number.isFinite);
    if (picked.length === 0) return null;
    const sum = picked.reduce((a, b) => a + b, 0);
    return { least: Math.min(...picked), mean: sum / picked.length, greatest: Math.max(...picked) };
  }

  #forget(before) {
    let first = this.#points.findIndex((point) => point.at >= before);
    first = Math.max(first, this.#points.length - MOST_POINTS);
    if (first > 0) this.#points.splice(0, first);
    if (this.#points.length > 0) this.#points[0].gap = null;
  }

  #usualStep() {
    const steps = this.#points.slice(1).map((point, i) => point.at - this.#points[i].at);
    steps.sort((a, b) => a - b);
    return steps[steps.length >> 1] ?? 0;
  }
}

// Tells the server's time from this machine's, by the quickest of the last events seen live.
export class ServerClock {
  #offsets = [];

  observe(serverMs, localMs) {
    if (!Number.isFinite(serverMs)) return;
    this.#offsets.push(localMs - serverMs);
    if (this.#offsets.length > 30) this.#offsets.shift();
  }

  // `localMs` on the server's clock; the machine's own until something was observed.
  at(localMs) {
    return this.#offsets.length === 0 ? localMs : localMs - Math.min(...this.#offsets);
  }
}
