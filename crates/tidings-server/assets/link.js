// One room over the plain JSON protocol: connects, subscribes, and comes back where it left off.

import { Position } from "./position.js";
import { backoff, closeAdvice } from "./reconnect.js";

const SIGN_IN_WITHIN_MS = 10_000;
// The server answers each; its own heartbeats need no answer but the browser's to the ping with them.
const HEARTBEAT_MS = 20_000;
// Two heartbeats went unanswered, and a little.
const SILENCE_MS = 50_000;
// A connection that lived this long ends a row of failures.
const STEADY_MS = 5_000;

// `hear.state({name, message, retryAt})` with name `connecting`, `catching-up`, `live`, `waiting`
// or `stopped`; `hear.event(message, live)` for each event once, `live` being false for those that
// were missed or rewound; `hear.gap(reason)` when events were lost for good, before the next event.
export class Link {
  position = new Position();
  connects = 0;

  #options;
  #hear;
  #open;
  #clock;
  #random;
  #socket = null;
  #name = "idle";
  #attempt = 0;
  #liveSince = null;
  #commandId = 0;
  #wait = null;
  #patience = null;
  #heartbeat = null;
  #askedToWait = false;
  #head = null;
  #inGap = false;

  // `options` are `{url, room, rewind}`; `open`, `clock` and `random` are for tests.
  constructor(options, hear, { open, clock = systemClock, random = Math.random } = {}) {
    this.#options = options;
    this.#hear = hear;
    this.#open = open ?? ((url) => new WebSocket(url));
    this.#clock = clock;
    this.#random = random;
  }

  start() {
    this.#forgetTimers();
    this.#tell("connecting");
    const socket = this.#open(this.#options.url);
    this.#socket = socket;
    // Events of a socket that was given up must not touch the one that took its place.
    const own = (handler) => (event) => {
      if (this.#socket === socket) handler(event);
    };
    socket.addEventListener("open", own(() => this.#send({ type: "auth" })));
    socket.addEventListener("message", own(({ data }) => this.#receive(data)));
    socket.addEventListener("close", own(({ code }) => this.#closed(code)));
    this.#patience = this.#clock.setTimeout(() => this.#giveUp(), SIGN_IN_WITHIN_MS);
  }

  // The page became visible, or the network came back: no reason to wait any longer.
  wake() {
    if (this.#name === "waiting" && !this.#askedToWait) this.start();
  }

  // The visitor wants to try again after a refusal.
  retry() {
    if (this.#name !== "stopped" && this.#name !== "waiting") return;
    this.#attempt = 0;
    this.start();
  }

  #send(message) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (this.#name === "live" || this.#name === "catching-up") this.#watchForSilence();
    switch (message?.type) {
      case "auth:ok":
        return this.#subscribe();
      case "ack":
        return this.#acked(message);
      case "event":
        return this.#heard(message);
      case "gap":
        return this.#lost(String(message.reason ?? "lost"));
      case "resumed":
        this.position.settle(message);
        return this.#tell("live");
      case "reconnect":
        return this.#leaveFor(Number(message.afterMs) || 0);
    }
  }

  #subscribe() {
    const { room, rewind } = this.#options;
    const since = this.position.since;
    this.#commandId += 1;
    const from = since === undefined ? { rewind } : { since };
    this.#send({ type: "subscribe", id: this.#commandId, room, ...from });
    this.#watchForSilence();
    this.#heartbeat = this.#clock.setInterval(() => this.#send({ type: "heartbeat" }), HEARTBEAT_MS);
  }

  #acked(ack) {
    if (ack.id !== this.#commandId) return;
    if (!ack.ok) return this.#refused(ack.error ?? {});
    this.connects += 1;
    this.#liveSince = this.#clock.now();
    const resuming = this.position.since !== undefined;
    if (resuming && ack.recovered === false) {
      this.#lost("not recovered");
      this.position.settle(ack);
    }
    // The server sends what was missed, up to here, and then says "resumed".
    this.#head = ack.offset ?? Infinity;
    this.#tell(ack.recovered === undefined ? "live" : "catching-up");
  }

  #refused({ message, retryable, retryAfterMs }) {
    const why = typeof message === "string" ? message : "The server refused the subscription.";
    if (retryable) return this.#leaveFor(Number(retryAfterMs) || 0, why);
    this.#drop();
    this.#tell("stopped", { message: why });
  }

  #heard(event) {
    if (event.room !== this.#options.room) return;
    const kind = this.position.take(event);
    if (kind === "seen") return;
    if (kind === "jump") this.#lost("missed");
    if (this.#name === "catching-up" && event.offset > this.#head) this.#tell("live");
    this.#inGap = false;
    this.#hear.event(event, this.#name === "live");
  }

  // One hole may be told of more than once: by the ack, by a gap message, by the offsets.
  #lost(reason) {
    if (this.#inGap) return;
    this.#inGap = true;
    this.#hear.gap(reason);
  }

  // Leaves now, because the server asked for it or would not have us, and comes back later.
  #leaveFor(afterMs, message = "The server is restarting.") {
    this.#settleAttempts();
    this.#drop();
    this.#waitFor(afterMs, message);
  }

  #closed(code) {
    const advice = closeAdvice(code);
    this.#settleAttempts();
    this.#drop();
    if (!advice.retry) return this.#tell("stopped", { message: advice.message });
    this.#waitFor(advice.atLeastMs, advice.message);
  }

  #settleAttempts() {
    const steady = this.#liveSince !== null && this.#clock.now() - this.#liveSince >= STEADY_MS;
    if (steady) this.#attempt = 0;
    this.#liveSince = null;
  }

  #waitFor(atLeastMs, message) {
    const delay = Math.max(backoff(this.#attempt, this.#random), atLeastMs);
    this.#attempt += 1;
    this.#askedToWait = atLeastMs > 0;
    this.#wait = this.#clock.setTimeout(() => this.start(), delay);
    this.#tell("waiting", { message, retryAt: this.#clock.now() + delay });
  }

  #giveUp() {
    // A browser may take long to notice that nobody answers; 1006 is what it would say.
    this.#closed(1006);
  }

  #watchForSilence() {
    this.#clock.clearTimeout(this.#patience);
    this.#patience = this.#clock.setTimeout(() => this.#giveUp(), SILENCE_MS);
  }

  #drop() {
    this.#forgetTimers();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #forgetTimers() {
    this.#clock.clearTimeout(this.#wait);
    this.#clock.clearTimeout(this.#patience);
    this.#clock.clearInterval(this.#heartbeat);
  }

  #tell(name, { message = "", retryAt = null } = {}) {
    this.#name = name;
    this.#hear.state({ name, message, retryAt });
  }
}

const systemClock = {
  now: () => Date.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (id) => clearTimeout(id),
  setInterval: (run, ms) => setInterval(run, ms),
  clearInterval: (id) => clearInterval(id),
};
