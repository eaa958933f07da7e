import assert from "node:assert/strict";
import { test } from "node:test";

import { Link } from "../link.js";

// A clock that moves only when told.
class Clock {
  #now = 0;
  #timers = new Map();
  #last = 0;

  now = () => this.#now;
  setTimeout = (run, ms) => this.#add(run, ms, null);
  setInterval = (run, ms) => this.#add(run, ms, ms);
  clearTimeout = (id) => this.#timers.delete(id);
  clearInterval = (id) => this.#timers.delete(id);

  #add(run, ms, every) {
    this.#last += 1;
    this.#timers.set(this.#last, { run, due: this.#now + ms, every });
    return this.#last;
  }

  advance(ms) {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.due <= end);
      if (due.length === 0) break;
      const [id, timer] = due.sort((a, b) => a[1].due - b[1].due)[0];
      this.#now = timer.due;
      if (timer.every === null) this.#timers.delete(id);
      else timer.due += timer.every;
      timer.run();
    }
    this.#now = end;
  }
}

class Socket extends EventTarget {
  readyState = 0;
  sent = [];

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }

  opens() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  says(message) {
    const event = new Event("message");
    event.data = typeof message === "string" ? message : JSON.stringify(message);
    this.dispatchEvent(event);
  }

  ends(code) {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }
}

function scene() {
  const clock = new Clock();
  const sockets = [];
  const heard = { states: [], events: [], gaps: [] };
  const link = new Link(
    { url: "ws://test/ws", room: "metrics:host", rewind: 120 },
    {
      state: (state) => heard.states.push(state),
      event: (event, live) => heard.events.push([event.offset, live]),
      gap: (reason) => heard.gaps.push(reason),
    },
    { clock, random: () => 1, open: () => sockets[sockets.push(new Socket()) - 1] },
  );
  const names = () => heard.states.map((state) => state.name);
  return { clock, sockets, heard, link, names, socket: () => sockets.at(-1) };
}

const host = (offset, epoch = "e1") => ({ type: "event", room: "metrics:host", event: "host", data: {}, epoch, offset });

// Connects and subscribes; the server's history ends at `offset`.
function subscribed(stage, { recovered = true, offset = 0, epoch = "e1" } = {}) {
  const socket = stage.socket();
  socket.opens();
  socket.says({ type: "auth:ok" });
  const { id } = socket.sent.at(-1);
  socket.says({ type: "ack", id, ok: true, room: "metrics:host", epoch, offset, recovered });
  return socket;
}

test("it signs in, asks for the last events and goes live when they are in", () => {
  const stage = scene();
  stage.link.start();
  const socket = subscribed(stage, { offset: 2 });
  assert.deepEqual(socket.sent, [
    { type: "auth" },
    { type: "subscribe", id: 1, room: "metrics:host", rewind: 120 },
  ]);
  socket.says(host(1));
  socket.says(host(2));
  socket.says({ type: "resumed", room: "metrics:host", epoch: "e1", offset: 2 });
  socket.says(host(3));
  assert.deepEqual(stage.names(), ["connecting", "catching-up", "live"]);
  assert.deepEqual(stage.heard.events, [[1, false], [2, false], [3, true]]);
  assert.deepEqual(stage.heard.gaps, []);
});

test("a history shorter than the rewind is no gap on the first visit", () => {
  const stage = scene();
  stage.link.start();
  const socket = subscribed(stage, { recovered: false });
  socket.says(host(1));
  assert.deepEqual(stage.heard.gaps, []);
});

test("after a lost connection it resumes where it was and hears nothing twice", () => {
  const stage = scene();
  stage.link.start();
  const first = subscribed(stage);
  first.says(host(1));
  first.says(host(2));
  first.ends(1006);
  assert.equal(stage.heard.states.at(-1).name, "waiting");
  stage.clock.advance(500);
  const second = subscribed(stage, { offset: 3 });
  assert.deepEqual(second.sent[1].since, { epoch: "e1", offset: 2 });
  assert.equal(second.sent[1].rewind, undefined);
  [2, 3].forEach((offset) => second.says(host(offset)));
  second.says({ type: "resumed", room: "metrics:host", epoch: "e1", offset: 3 });
  second.says(host(4));
  assert.deepEqual(stage.heard.events.map(([offset]) => offset), [1, 2, 3, 4]);
  assert.deepEqual(stage.heard.gaps, []);
});

test("a server that cannot resume makes a gap", () => {
  const stage = scene();
  stage.link.start();
  subscribed(stage).says(host(50));
  stage.socket().ends(1012);
  stage.clock.advance(500);
  const second = subscribed(stage, { recovered: false, epoch: "e2", offset: 3 });
  second.says(host(4, "e2"));
  assert.deepEqual(stage.heard.gaps, ["not recovered"]);
  assert.deepEqual(stage.heard.events.map(([offset]) => offset), [50, 4]);
});

test("a gap is told once, whether the server speaks of it or only the offsets show it", () => {
  const stage = scene();
  stage.link.start();
  const socket = subscribed(stage);
  socket.says(host(1));
  socket.says({ type: "gap", room: "metrics:host", reason: "trimmed", from: 2, to: 3, resumeAt: 4 });
  socket.says(host(4));
  socket.says(host(5));
  socket.says(host(9));
  assert.deepEqual(stage.heard.gaps, ["trimmed", "missed"]);
});

test("waits grow while attempts fail and begin small again after a steady connection", () => {
  const stage = scene();
  const wait = () => stage.heard.states.at(-1).retryAt - stage.clock.now();
  stage.link.start();
  const waits = [0, 1, 2].map(() => {
    stage.socket().ends(1006);
    const found = wait();
    stage.clock.advance(found);
    return found;
  });
  assert.deepEqual(waits, [500, 1000, 2000]);
  subscribed(stage);
  stage.clock.advance(6_000);
  stage.socket().ends(1006);
  assert.equal(wait(), 500);
});

test("a connection that is lost at once does not count as steady", () => {
  const stage = scene();
  stage.link.start();
  for (const expected of [500, 1000, 2000]) {
    subscribed(stage);
    stage.socket().ends(1006);
    assert.equal(stage.heard.states.at(-1).retryAt - stage.clock.now(), expected);
    stage.clock.advance(expected);
  }
});

test("a server that sends us away is left and come back to when it said", () => {
  const stage = scene();
  stage.link.start();
  const first = subscribed(stage);
  first.says({ type: "reconnect", afterMs: 3000 });
  assert.equal(first.readyState, 3);
  stage.link.wake();
  stage.clock.advance(2999);
  assert.equal(stage.sockets.length, 1);
  stage.clock.advance(1);
  assert.equal(stage.sockets.length, 2);
  first.ends(1012);
  assert.equal(stage.heard.states.at(-1).name, "connecting", "the old socket's end is no news");
});

test("waking up ends a wait that nobody asked for", () => {
  const stage = scene();
  stage.link.start();
  stage.socket().ends(1006);
  stage.link.wake();
  assert.equal(stage.sockets.length, 2);
  stage.clock.advance(60_000);
  assert.equal(stage.names().filter((name) => name === "connecting").length, stage.sockets.length);
});

test("a refusal stops it with the server's words until the visitor tries again", () => {
  const stage = scene();
  stage.link.start();
  const socket = stage.socket();
  socket.opens();
  socket.says({ type: "auth:ok" });
  socket.says({ type: "ack", id: 1, ok: false, error: { code: "not_found", message: "No such room", retryable: false } });
  assert.deepEqual(stage.heard.states.at(-1), { name: "stopped", message: "No such room", retryAt: null });
  stage.clock.advance(120_000);
  stage.link.wake();
  assert.equal(stage.sockets.length, 1);
  stage.link.retry();
  assert.equal(stage.sockets.length, 2);
});

test("a refusal that may pass is tried again after the time it names", () => {
  const stage = scene();
  stage.link.start();
  stage.socket().opens();
  stage.socket().says({ type: "auth:ok" });
  stage.socket().says({ type: "ack", id: 1, ok: false, error: { code: "rate_limited", message: "Slow down", retryable: true, retryAfterMs: 4000 } });
  stage.clock.advance(3999);
  assert.equal(stage.sockets.length, 1);
  stage.clock.advance(1);
  assert.equal(stage.sockets.length, 2);
});

test("a sign-in that is asked for stops it", () => {
  const stage = scene();
  stage.link.start();
  stage.socket().opens();
  stage.socket().ends(4401);
  assert.equal(stage.heard.states.at(-1).name, "stopped");
});

test("heartbeats are sent, and the server's are not answered", () => {
  const stage = scene();
  stage.link.start();
  const socket = subscribed(stage);
  const beats = () => socket.sent.filter((message) => message.type === "heartbeat").length;
  stage.clock.advance(20_000);
  assert.equal(beats(), 1);
  socket.says({ type: "heartbeat", dropped: 2 });
  stage.clock.advance(5_000);
  socket.says({ type: "heartbeat" });
  assert.equal(beats(), 1);
  stage.clock.advance(15_000);
  assert.equal(beats(), 2);
});

test("a server that falls silent or never answers is given up", () => {
  const stage = scene();
  stage.link.start();
  stage.clock.advance(10_000);
  assert.equal(stage.heard.states.at(-1).name, "waiting");
  stage.clock.advance(500);
  subscribed(stage);
  stage.clock.advance(40_000);
  stage.socket().says({ type: "heartbeat" });
  stage.clock.advance(40_000);
  assert.equal(stage.sockets.length, 2, "a heartbeat is a sign of life");
  stage.clock.advance(10_000);
  assert.equal(stage.heard.states.at(-1).name, "waiting");
});

test("what is no message, another room's event or an old answer changes nothing", () => {
  const stage = scene();
  stage.link.start();
  const socket = subscribed(stage);
  const before = stage.heard.states.length;
  ["{", "null", "[]", '"x"', { type: "news" }].forEach((message) => socket.says(message));
  socket.says({ ...host(1), room: "lobby:welcome" });
  socket.says({ type: "ack", id: 77, ok: false, error: { message: "not ours" } });
  assert.equal(stage.heard.states.length, before);
  assert.deepEqual(stage.heard.events, []);
});

// What a server or a publisher might say to a page that merges what it hears into its own objects.
test("names that mean something to an object are only names, and nothing is merged", () => {
  const stage = scene();
  stage.link.start();
  const socket = subscribed(stage, { offset: 0 });
  const poison = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
  const said = (members) => socket.says(`{"__proto__":{"polluted":1},${members}}`);
  for (const name of ["__proto__", "constructor", "hasOwnProperty", "toString"]) {
    said(`"type":"${name}"`);
    said(`"type":"event","room":"${name}","event":"host","data":${poison},"epoch":"e1","offset":1`);
    said(`"type":"gap","room":"metrics:host","reason":"${name}"`);
  }
  said(`"type":"event","room":"metrics:host","event":"__proto__","data":${poison},"epoch":"__proto__","offset":1`);
  said(`"type":"resumed","room":"metrics:host","epoch":"__proto__","offset":1,"tag":${poison}`);
  said(`"type":"ack","id":"__proto__","ok":false,"error":${poison}`);
  assert.equal({}.polluted, undefined);
  assert.equal(stage.link.polluted, undefined);
  assert.equal(Object.getPrototypeOf(stage.link.position.since), Object.prototype);
  assert.equal(stage.link.position.since.epoch, "__proto__");
  assert.deepEqual(stage.heard.events.map(([offset]) => offset), [1]);
});
