// A line chart of the last minutes on a canvas, with a readout for pointer and keyboard.

import { roundText, roundUp, slopes, text, timeTicks, valueTicks } from "./scale.js";

export const WINDOW_MS = 120_000;
const TIME_STEP_MS = 30_000;
const MARGIN = { top: 10, right: 4, bottom: 22, left: 4 };
const FONT = "11px system-ui, sans-serif";
const DOT = 4;

// `lines` are `{name, color, pick, faint?, area?}` where `color` names a custom property of the
// page that holds a #rrggbb colour and `pick(values)` is a number; `top` is the axis' fixed end, without it the axis follows
// the data and ends at `least` or above; `write(value)` is a value as `{number, unit}`.
export class Chart {
  until = Date.now();
  pointed = null;

  #plot;
  #canvas;
  #ink;
  #tip;
  #series;
  #options;
  #top;
  #colors = {};
  #size = { width: 0, height: 0, ratio: 1 };

  // `plot` is an element that takes the focus; `moved(at | null)` is told where the visitor points.
  constructor(plot, series, options, moved) {
    this.#plot = plot;
    this.#series = series;
    this.#options = options;
    this.#top = options.top ?? roundUp(options.least ?? 1);
    this.#canvas = document.createElement("canvas");
    this.#canvas.setAttribute("aria-hidden", "true");
    this.#tip = document.createElement("div");
    this.#tip.className = "tip";
    this.#tip.hidden = true;
    plot.append(this.#canvas, this.#tip);
    this.#ink = this.#canvas.getContext("2d");
    this.#listen(moved);
    new ResizeObserver(() => this.#fit()).observe(plot);
  }

  set lines(lines) {
    this.#options = { ...this.#options, lines };
  }

  // Takes the colours from the page again, after it changed between light and dark.
  repaint() {
    const style = getComputedStyle(this.#plot);
    const color = (name) => style.getPropertyValue(name).trim();
    this.#colors = { grid: color("--grid"), ink: color("--ink-soft"), card: color("--card"), gap: color("--gap"), gapInk: color("--gap-ink") };
    for (const line of this.#options.lines) this.#colors[line.color] = color(line.color);
  }

  // Draws the window that ends at `until` (the server's time) with the readout at `pointed`, or
  // none; `calm` leaves out what moves without need.
  draw(until, pointed, calm) {
    const { width, height, ratio } = this.#size;
    if (width === 0) return;
    this.#ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#ink.clearRect(0, 0, width, height);
    this.#ink.font = FONT;
    const view = this.#view(until, calm);
    this.#drawGrid(view);
    const runs = this.#series.runs();
    this.#ink.save();
    this.#ink.beginPath();
    this.#ink.rect(view.left, 0, view.right - view.left, height);
    this.#ink.clip();
    this.#drawGaps(view, runs);
    for (const line of this.#options.lines) for (const run of runs) this.#drawRun(view, line, run.points);
    this.#ink.restore();
    this.#drawValues(view);
    this.#drawReadout(view, pointed);
  }

  // The time under the pointer's horizontal position in the page.
  #timeAt(clientX) {
    const box = this.#plot.getBoundingClientRect();
    const share = (clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
    return this.until - WINDOW_MS * (1 - Math.min(1, Math.max(0, share)));
  }

  #listen(moved) {
    const plot = this.#plot;
    plot.addEventListener("pointermove", (event) => moved(this.#timeAt(event.clientX)));
    plot.addEventListener("pointerdown", (event) => moved(this.#timeAt(event.clientX)));
    plot.addEventListener("pointerleave", () => moved(null));
    plot.addEventListener("blur", () => moved(null));
    plot.addEventListener("keydown", (event) => this.#key(event, moved));
  }

  #key(event, moved) {
    if (event.key === "Escape") return moved(null);
    const points = this.#series.points;
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || points.length === 0) return;
    event.preventDefault();
    const first = Math.max(0, points.findIndex((point) => point.at >= this.until - WINDOW_MS));
    const here = this.pointed === null ? points.length : this.#series.nearest(this.pointed);
    const there = Math.min(points.length - 1, Math.max(first, here + step));
    moved(points[there].at);
  }

  #fit() {
    const { width, height } = this.#plot.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.#size = { width, height, ratio };
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    this.draw(this.until, this.pointed, true);
  }

  #view(until, calm) {
    this.until = until;
    const { width, height } = this.#size;
    const from = until - WINDOW_MS;
    const [left, right] = [MARGIN.left, width - MARGIN.right];
    const [upper, lower] = [MARGIN.top, height - MARGIN.bottom];
    this.#follow(from, calm);
    return {
      from, until, left, right, upper, lower,
      x: (at) => left + ((at - from) / WINDOW_MS) * (right - left),
      y: (value) => lower - (Math.min(value, this.#top) / this.#top) * (lower - upper),
    };
  }

  // The axis follows the greatest value; it glides there unless that is unwanted.
  #follow(from, calm) {
    const { top, least = 1, lines } = this.#options;
    if (top !== undefined) return;
    const greatest = lines.map((line) => this.#series.summary(line.pick, from)?.greatest ?? 0);
    const wanted = roundUp(Math.max(least, ...greatest));
    const near = Math.abs(wanted - this.#top) < wanted * 0.01;
    this.#top = calm || near ? wanted : this.#top + (wanted - this.#top) * 0.25;
  }

  #drawGrid(view) {
    const ink = this.#ink;
    ink.strokeStyle = this.#colors.grid;
    ink.fillStyle = this.#colors.ink;
    ink.lineWidth = 1;
    for (const value of this.#ruled()) {
      const y = Math.round(view.y(value)) + 0.5;
      ink.beginPath();
      ink.moveTo(view.left, y);
      ink.lineTo(view.right, y);
      ink.stroke();
    }
    this.#drawTime(view);
  }

  // While the axis glides, lines beyond its end are left out.
  #ruled() {
    return valueTicks(this.#options.top ?? roundUp(this.#top)).filter((value) => value <= this.#top * 1.001);
  }

  // Above the curves, with a rim in the card's colour so that both stay legible.
  #drawValues(view) {
    const ink = this.#ink;
    ink.textBaseline = "top";
    ink.lineJoin = "round";
    ink.strokeStyle = this.#colors.card;
    ink.fillStyle = this.#colors.ink;
    ink.lineWidth = 4;
    for (const value of this.#ruled().filter((value, at, all) => value > 0 && (all.length - 1 - at) % 2 === 0)) {
      const label = roundText(this.#options.write(value));
      const y = view.y(value) + 4;
      ink.strokeText(label, view.left, y);
      ink.fillText(label, view.left, y);
    }
  }

  #drawTime(view) {
    const ink = this.#ink;
    ink.textBaseline = "top";
    for (const at of timeTicks(view.from, view.until, TIME_STEP_MS)) {
      const x = view.x(at);
      ink.beginPath();
      ink.moveTo(x, view.lower);
      ink.lineTo(x, view.lower + 4);
      ink.stroke();
      const label = clockTime(at);
      const half = ink.measureText(label).width / 2;
      if (x - half < view.left || x + half > view.right) continue;
      ink.fillText(label, x - half, view.lower + 7);
    }
  }

  #drawGaps(view, runs) {
    const ink = this.#ink;
    for (let i = 1; i < runs.length; i += 1) {
      if (runs[i].gap === null) continue;
      const [from, to] = [view.x(runs[i - 1].points.at(-1).at), view.x(runs[i].points[0].at)];
      if (to < view.left) continue;
      ink.fillStyle = this.#colors.gap;
      ink.fillRect(from, view.upper, to - from, view.lower - view.upper);
      ink.fillStyle = this.#colors.gapInk;
      ink.textBaseline = "top";
      const width = ink.measureText("gap").width;
      const middle = (Math.max(from, view.left) + Math.min(to, view.right) - width) / 2;
      ink.fillText("gap", Math.max(view.left, Math.min(middle, view.right - width)), view.upper + 4);
    }
  }

  #drawRun(view, line, points) {
    const first = Math.max(0, points.findIndex((point) => point.at >= view.from) - 1);
    if (points.length === 0 || points.at(-1).at < view.from) return;
    const shown = points.slice(first).filter((point) => Number.isFinite(line.pick(point.values)));
    if (shown.length === 0) return;
    const xs = shown.map((point) => view.x(point.at));
    const ys = shown.map((point) => view.y(line.pick(point.values)));
    const ink = this.#ink;
    ink.globalAlpha = line.faint ? 0.38 : 1;
    if (line.area) this.#fillBelow(view, line, xs, ys);
    ink.beginPath();
    curve(ink, xs, ys);
    ink.strokeStyle = this.#colors[line.color];
    ink.lineWidth = line.faint ? 1 : 2;
    ink.lineJoin = "round";
    ink.lineCap = "round";
    ink.stroke();
    ink.globalAlpha = 1;
  }

  #fillBelow(view, line, xs, ys) {
    const ink = this.#ink;
    const shade = ink.createLinearGradient(0, view.upper, 0, view.lower);
    shade.addColorStop(0, this.#colors[line.color]);
    // Not "transparent", which would fade through grey.
    shade.addColorStop(1, `${this.#colors[line.color]}00`);
    ink.beginPath();
    curve(ink, xs, ys);
    ink.lineTo(xs.at(-1), view.lower);
    ink.lineTo(xs[0], view.lower);
    ink.closePath();
    ink.save();
    ink.globalAlpha *= 0.3;
    ink.fillStyle = shade;
    ink.fill();
    ink.restore();
  }

  #drawReadout(view, pointed) {
    this.pointed = pointed;
    const index = pointed === null ? -1 : this.#series.nearest(pointed);
    const point = this.#series.points[index];
    this.#tip.hidden = point === undefined || point.at < view.from;
    if (this.#tip.hidden) return;
    const ink = this.#ink;
    const x = Math.min(view.x(point.at), view.right);
    ink.strokeStyle = this.#colors.ink;
    ink.lineWidth = 1;
    ink.globalAlpha = 0.5;
    ink.beginPath();
    ink.moveTo(x, view.upper);
    ink.lineTo(x, view.lower);
    ink.stroke();
    ink.globalAlpha = 1;
    for (const line of this.#options.lines.filter((line) => !line.faint)) {
      const value = line.pick(point.values);
      if (!Number.isFinite(value)) continue;
      ink.beginPath();
      ink.arc(x, view.y(value), DOT, 0, 2 * Math.PI);
      ink.fillStyle = this.#colors[line.color];
      ink.strokeStyle = this.#colors.card;
      ink.lineWidth = 2;
      ink.fill();
      ink.stroke();
    }
    this.#showTip(point, x);
  }

  #showTip(point, x) {
    const said = this.#options.lines
      .filter((line) => !line.faint)
      .map((line) => `${line.name} ${text(this.#options.write(line.pick(point.values)))}`);
    const words = [clockTime(point.at), ...said].join("\n");
    if (this.#tip.textContent !== words) this.#tip.textContent = words;
    const room = this.#size.width - this.#tip.offsetWidth;
    const beside = x + 12 > room ? x - 12 - this.#tip.offsetWidth : x + 12;
    this.#tip.style.transform = `translate(${Math.max(0, Math.min(room, beside))}px, 8px)`;
    const ago = Math.max(0, Math.round((this.until - point.at) / 1000));
    this.#plot.setAttribute("aria-valuenow", String(-Math.min(ago, WINDOW_MS / 1000)));
    this.#plot.setAttribute("aria-valuetext", `${ago} seconds ago: ${said.join(", ")}`);
  }
}

function curve(ink, xs, ys) {
  const slope = slopes(xs, ys);
  ink.moveTo(xs[0], ys[0]);
  if (xs.length === 1) ink.lineTo(xs[0] + 0.01, ys[0]);
  for (let i = 1; i < xs.length; i += 1) {
    const third = (xs[i] - xs[i - 1]) / 3;
    ink.bezierCurveTo(xs[i - 1] + third, ys[i - 1] + slope[i - 1] * third, xs[i] - third, ys[i] - slope[i] * third, xs[i], ys[i]);
  }
}

const withSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function clockTime(at) {
  return withSeconds.format(at);
}
