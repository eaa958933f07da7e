// The page: figures of the room `metrics:host` as they come, and where the subscription stands.

import { Chart, WINDOW_MS } from "./chart.js";
import { Link } from "./link.js";
import { bytes, bytesPerSecond, duration, percent, text } from "./scale.js";
import { Series, ServerClock } from "./series.js";

const ROOM = "metrics:host";
const REWIND = 120;
// A little more than is shown, so that the curve enters the window from outside.
const KEEP_MS = WINDOW_MS + 10_000;
// The window trails by a good second: the next point then slides in instead of popping up.
const TRAIL_MS = 1_300;
// Two minutes are about 500 pixels wide; more frames would not move anything further.
const FRAME_MS = 80;
const MOST_CORES_DRAWN = 16;

const byId = (id) => document.getElementById(id);
const series = new Series(KEEP_MS);
const clock = new ServerClock();
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let events = 0;
let gaps = 0;
let pointedAt = null;

const FIGURES = [
  { name: "CPU", pick: (v) => v.cpu?.percent, write: percent },
  { name: "Memory", pick: (v) => v.memory?.percent, write: percent },
  { name: "Memory used", pick: (v) => v.memory?.usedBytes, write: bytes },
  { name: "Disk read", pick: (v) => v.disk?.readBytesPerSecond, write: bytesPerSecond },
  { name: "Disk write", pick: (v) => v.disk?.writeBytesPerSecond, write: bytesPerSecond },
  { name: "Disk space used", pick: (v) => v.disk?.usedPercent, write: percent },
  { name: "Network received", pick: (v) => v.network?.receivedBytesPerSecond, write: bytesPerSecond },
  { name: "Network sent", pick: (v) => v.network?.sentBytesPerSecond, write: bytesPerSecond },
];

// Charts.

const line = (name, color, pick, more = {}) => ({ name, color, pick, ...more });
const cpuLine = line("CPU", "--line-1", (v) => v.cpu?.percent, { area: true });
const inPercent = { top: 100, write: percent };
const inBytes = { least: 1000, write: bytesPerSecond };

function chart(id, options) {
  return new Chart(byId(id), series, options, (at) => {
    pointedAt = at;
    draw();
  });
}

const cpuChart = chart("cpu-plot", { ...inPercent, lines: [cpuLine] });
const charts = [
  cpuChart,
  chart("memory-plot", {
    ...inPercent,
    lines: [line("Memory", "--line-1", (v) => v.memory?.percent, { area: true })],
  }),
  chart("disk-plot", {
    ...inBytes,
    lines: [
      line("read", "--line-1", (v) => v.disk?.readBytesPerSecond, { area: true }),
      line("write", "--line-2", (v) => v.disk?.writeBytesPerSecond),
    ],
  }),
  chart("network-plot", {
    ...inBytes,
    lines: [
      line("received", "--line-1", (v) => v.network?.receivedBytesPerSecond, { area: true }),
      line("sent", "--line-2", (v) => v.network?.sentBytesPerSecond),
    ],
  }),
];

function draw() {
  const until = calm.matches && series.last ? series.last.at : clock.at(Date.now()) - TRAIL_MS;
  for (const each of charts) each.draw(until, pointedAt, calm.matches);
}

let drawnAt = 0;
function frame(now) {
  if (!calm.matches && now - drawnAt >= FRAME_MS) {
    drawnAt = now;
    draw();
  }
  requestAnimationFrame(frame);
}

function repaint() {
  for (const each of charts) each.repaint();
  draw();
}

// Values.

function show(id, value) {
  const element = byId(id);
  if (element.textContent !== value) element.textContent = value;
}

// A number with its unit set smaller.
function showBig(id, { number, unit }) {
  const small = document.createElement("span");
  small.className = "unit";
  small.textContent = unit;
  byId(id).replaceChildren(number, small);
}

function showFigures(values) {
  const { cpu, memory, disk, network } = values;
  showBig("cpu-value", percent(cpu?.percent));
  showBig("memory-value", percent(memory?.percent));
  showBig("disk-read", bytesPerSecond(disk?.readBytesPerSecond));
  showBig("disk-write", bytesPerSecond(disk?.writeBytesPerSecond));
  showBig("network-received", bytesPerSecond(network?.receivedBytesPerSecond));
  showBig("network-sent", bytesPerSecond(network?.sentBytesPerSecond));
  show("load", Number.isFinite(cpu?.load1) ? cpu.load1.toFixed(2) : "–");
  show("memory-used", text(bytes(memory?.usedBytes)));
  show("memory-total", text(bytes(memory?.totalBytes)));
  show("disk-used", text(percent(disk?.usedPercent)));
  show("uptime", duration(values.uptimeSeconds));
  showCores(Array.isArray(cpu?.perCore) ? cpu.perCore : []);
}

function showCores(cores) {
  const holder = byId("cores");
  if (holder.childElementCount !== cores.length) {
    show("core-count", cores.length === 1 ? "1 core" : `${cores.length} cores`);
    holder.replaceChildren(...cores.map((_, number) => coreBar(number)));
    const drawn = cores.length > 1 && cores.length <= MOST_CORES_DRAWN ? cores : [];
    cpuChart.lines = [
      ...drawn.map((_, n) => line(`core ${n}`, "--line-core", (v) => v.cpu?.perCore?.[n], { faint: true })),
      cpuLine,
    ];
    cpuChart.repaint();
  }
  cores.forEach((busy, number) => {
    holder.children[number].querySelector("i").style.setProperty("--share", String(busy / 100));
  });
}

function coreBar(number) {
  const bar = document.createElement("div");
  bar.className = "core";
  bar.append(String(number), document.createElement("i"));
  return bar;
}

function showTable() {
  if (!document.querySelector(".table").open || !series.last) return;
  const since = series.last.at - WINDOW_MS;
  byId("rows").replaceChildren(...FIGURES.map((figure) => row(figure, since)));
}

function row({ name, pick, write }, since) {
  const summary = series.summary(pick, since);
  const cells = [pick(series.last.values), summary?.least, summary?.mean, summary?.greatest];
  const tr = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  tr.append(head, ...cells.map((value) => Object.assign(document.createElement("td"), { textContent: text(write(value)) })));
  return tr;
}

// The subscription.

const STATES = {
  connecting: "Connecting",
  "catching-up": "Catching up",
  live: "Live",
  waiting: "Reconnecting",
  stopped: "Stopped",
};
let state = { name: "connecting", message: "", retryAt: null };

const link = new Link(
  { url: socketUrl(), room: ROOM, rewind: REWIND },
  {
    state(next) {
      state = next;
      byId("status").dataset.state = next.name;
      // Each further attempt is no news to announce.
      const again = next.name === "connecting" && link.connects > 0;
      show("status-name", again ? STATES.waiting : STATES[next.name]);
      byId("retry").hidden = next.name !== "stopped" && next.name !== "waiting";
      byId("notice").hidden = next.name !== "stopped";
      show("notice", next.message);
      showCountdown();
      showSubscription();
    },
    event(message, live) {
      const at = Date.parse(message.data?.at);
      if (live) clock.observe(at, Date.now());
      events += 1;
      series.push(at, message.data ?? {});
      newest = message.data ?? {};
      soon();
    },
    gap(reason) {
      gaps += 1;
      series.markGap(reason);
      soon();
    },
  },
);

function socketUrl() {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

// Many events may come at once after a reconnect; the page is written once for all of them.
let newest = null;
let isDue = false;
function soon() {
  if (isDue) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    if (newest) showFigures(newest);
    showSubscription();
    showTable();
    if (calm.matches) draw();
  }, 0);
}

function showSubscription() {
  show("epoch", String(link.position.epoch ?? "–"));
  show("offset", String(link.position.offset ?? "–"));
  show("events", String(events));
  show("gaps", String(gaps));
  show("reconnects", String(Math.max(0, link.connects - 1)));
}

function showCountdown() {
  const left = state.retryAt === null ? null : Math.max(0, Math.ceil((state.retryAt - Date.now()) / 1000));
  show("status-countdown", left === null ? "" : `in ${left}\u00a0s`);
}

// Snippets.

function offerCopies() {
  for (const origin of document.querySelectorAll(".origin")) origin.textContent = location.origin;
  // The commands look for the server where it listens by default.
  const isDefault = /^http:\/\/(127\.0\.0\.1|localhost):3000$/.test(location.origin);
  for (const url of document.querySelectorAll(".url")) url.textContent = isDefault ? "" : ` --url ${location.origin}`;
  for (const snippet of document.querySelectorAll(".snippet")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () => copy(snippet.querySelector("code"), button));
    snippet.append(button);
  }
}

async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
    show("copied", "Copied to the clipboard");
  } catch {
    // Without the right to the clipboard the text is at least selected.
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => {
    button.textContent = "Copy";
    show("copied", "");
  }, 1_600);
}

// Start.

offerCopies();
repaint();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
byId("retry").addEventListener("click", () => link.retry());
document.querySelector(".table").addEventListener("toggle", showTable);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    link.wake();
    draw();
  }
});
addEventListener("online", () => link.wake());
setInterval(showCountdown, 500);
requestAnimationFrame(frame);
link.start();
