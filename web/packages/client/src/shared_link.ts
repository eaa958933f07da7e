import type { Answered, Hears, Link, LinkState, Question } from "./link.ts";
import { unavailable, Refusal } from "./refusal.ts";
import type { Subscribed } from "./wire.ts";

/** A tab that leads answers a greeting within this, in milliseconds; if it does not, another takes its place. */
const GREETING_MS = 2_000;
/** How much longer than the leader a tab waits for an answer. */
const RELAY_MS = 1_000;

type Said =
  | { kind: "hello"; from: string }
  | { kind: "connect" }
  | { kind: "state"; leader: string; state: Told }
  | Asked
  | {
      kind: "answer";
      to: string;
      id: number;
      refusal: ReturnType<typeof toPlain> | undefined;
      reply: unknown;
    }
  | { kind: "event"; leader: string; namespace: string; name: string; args: unknown[] };

/** A question for the connection of that name. */
interface Asked {
  kind: "ask";
  from: string;
  id: number;
  session: string | undefined;
  question: Question;
}

/** A state as it can be sent to another tab: errors are not. */
interface Told {
  status: LinkState["status"];
  session: string | undefined;
  error: string | undefined;
}

/** Whether this browser has what sharing takes. */
export const canShare = () => typeof BroadcastChannel !== "undefined" && !!globalThis.navigator?.locks;

/**
 * One connection for all tabs that use the same name.
 *
 * Whoever holds a lock of that name leads: it has the socket, says what others ask and tells everybody what it hears.
 * When its tab is closed the browser gives the lock to another, for which the change looks like a reconnect. Each tab
 * holds a lock of its own as well, so that the leader learns when one is gone.
 */
export class SharedLink implements Link {
  readonly #name: string;
  readonly #hears: Hears;
  readonly #own: (hears: Hears) => Link;
  readonly #tab = crypto.randomUUID();
  #channel: BroadcastChannel | undefined;
  #leaving: AbortController | undefined;
  #letGo: (() => void)[] = [];
  #lead: Lead | undefined;
  #leader: string | undefined;
  #state: LinkState = { status: "idle", error: undefined, session: undefined };
  #asked = 0;
  readonly #waiting = new Map<number, Answered>();
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(name: string, hears: Hears, own: (hears: Hears) => Link) {
    this.#name = `tidings:${name}`;
    this.#hears = hears;
    this.#own = own;
  }

  connect(): void {
    if (this.#channel) {
      // It may have ended for all of us; one who wants it again is enough.
      if (this.#lead) this.#lead.link.connect();
      else this.#say({ kind: "connect" });
      return;
    }
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#heard(data as Said);
    this.#leaving = new AbortController();
    this.#set({ status: "connecting", error: undefined, session: undefined });
    this.#hold(`${this.#name}:tab:${this.#tab}`, () => {});
    this.#hold(`${this.#name}:lead`, () => this.#begin());
    this.#say({ kind: "hello", from: this.#tab });
  }

  disconnect(): void {
    this.#stopLeading();
    this.#leaving?.abort();
    this.#letGo.splice(0).forEach((letGo) => letGo());
    clearTimeout(this.#silence);
    this.#silence = undefined;
    this.#channel?.close();
    this.#channel = undefined;
    this.#dropWaiting();
    this.#set({ status: "idle", error: undefined, session: undefined });
  }

  ask(question: Question, answered: Answered): void {
    if (this.#lead) return this.#lead.ask(this.#tab, question, answered);
    if (this.#state.status !== "connected") return answered(unavailable("there is no connection"), undefined);
    const id = ++this.#asked;
    const late = setTimeout(
      () => this.#answered(id, unavailable("no answer in time"), undefined),
      question.timeoutMs + RELAY_MS,
    );
    this.#waiting.set(id, (refusal, reply) => {
      clearTimeout(late);
      answered(refusal, reply);
    });
    this.#say({ kind: "ask", from: this.#tab, id, session: this.#state.session, question });
  }

  check(): void {
    if (this.#lead) return this.#lead.link.check();
    if (!this.#channel || this.#silence !== undefined) return;
    this.#say({ kind: "hello", from: this.#tab });
    this.#silence = setTimeout(() => {
      this.#silence = undefined;
      // A tab that the browser has put to sleep leads nobody; whoever is awake takes the lock from it.
      this.#hold(`${this.#name}:lead`, () => this.#begin(), true);
    }, GREETING_MS);
  }

  /** Holds a lock from when it is free until this tab leaves, or until another takes it. */
  #hold(name: string, held: () => void, steal = false): void {
    const signal = this.#leaving?.signal;
    const options = steal || !signal ? { steal } : { signal };
    navigator.locks
      .request(name, options, () => {
        if (signal?.aborted) return;
        held();
        return new Promise<void>((letGo) => this.#letGo.push(letGo));
      })
      // It was taken, or this tab left before it came to it.
      .catch(() => name.endsWith(":lead") && this.#lead && this.#follow());
  }

  #begin(): void {
    if (!this.#channel || this.#lead) return;
    this.#leader = this.#tab;
    this.#dropWaiting();
    const lead = new Lead(this.#own, this.#name, {
      state: (state) => {
        this.#set(state);
        this.#say({ kind: "state", leader: this.#tab, state: toTold(state) });
      },
      event: (namespace, name, args) => {
        this.#say({ kind: "event", leader: this.#tab, namespace, name, args });
        this.#hears.event(namespace, name, args);
      },
    });
    this.#lead = lead;
    lead.link.connect();
  }

  /** Another has taken the lead: this tab waits for its turn like the others. */
  #follow(): void {
    this.#stopLeading();
    this.#set({ status: "reconnecting", error: undefined, session: undefined });
    this.#hold(`${this.#name}:lead`, () => this.#begin());
    this.#say({ kind: "hello", from: this.#tab });
  }

  #stopLeading(): void {
    const lead = this.#lead;
    this.#lead = undefined;
    lead?.end();
  }

  #heard(said: Said): void {
    if (said.kind === "hello") {
      if (this.#lead) this.#say({ kind: "state", leader: this.#tab, state: toTold(this.#state) });
    } else if (said.kind === "connect") {
      this.#lead?.link.connect();
    } else if (said.kind === "ask") {
      if (this.#lead) this.#asks(this.#lead, said);
    } else if (this.#lead) {
      return;
    } else if (said.kind === "state") {
      clearTimeout(this.#silence);
      this.#silence = undefined;
      if (this.#leader !== said.leader) this.#dropWaiting();
      this.#leader = said.leader;
      const { status, session, error } = said.state;
      this.#set({ status, session, error: error === undefined ? undefined : unavailable(error) });
    } else if (said.kind === "event") {
      // One that slept, and does not know yet that another leads, has another connection.
      if (said.leader === this.#leader) this.#hears.event(said.namespace, said.name, said.args);
    } else if (said.to === this.#tab) {
      this.#answered(said.id, said.refusal && new Refusal(said.refusal), said.reply);
    }
  }

  /** Another tab asks something of the connection that this one has. */
  #asks(lead: Lead, { from, id, session, question }: Asked): void {
    const answered: Answered = (refusal, reply) =>
      this.#say({ kind: "answer", to: from, id, refusal: refusal && toPlain(refusal), reply });
    // What was asked of a connection that is gone may not be wanted of the next.
    if (session === this.#state.session) lead.ask(from, question, answered);
    else answered(unavailable("the connection was lost"), undefined);
  }

  #answered(id: number, refusal: Refusal | undefined, reply: unknown): void {
    const answered = this.#waiting.get(id);
    this.#waiting.delete(id);
    answered?.(refusal, reply);
  }

  #dropWaiting(): void {
    for (const id of [...this.#waiting.keys()])
      this.#answered(id, unavailable("the tab that asked is gone"), undefined);
  }

  #say(said: Said): void {
    this.#channel?.postMessage(said);
  }

  #set(state: LinkState): void {
    this.#state = state;
    this.#hears.state(state);
  }
}

/** A room of the connection: which tabs want it, and who waits for a turn to ask for it. */
interface Led {
  tabs: Set<string>;
  isAsked: boolean;
  waiting: { question: Question; answered: Answered }[];
}

/** What the tab that leads does for all: a link, and which tabs want to be in which room. */
class Lead {
  readonly link: Link;
  readonly #name: string;
  readonly #rooms = new Map<string, Led>();
  readonly #tabs = new Set<string>();
  #session: string | undefined;
  #ended = false;

  constructor(own: (hears: Hears) => Link, name: string, hears: Hears) {
    this.#name = name;
    this.link = own({
      state: (state) => {
        if (this.#ended) return;
        // A new connection is in no room: whoever wants to be in one asks for it again.
        if (state.session !== this.#session) [...this.#rooms.keys()].forEach((room) => this.#drop(room));
        this.#session = state.session;
        hears.state(state);
      },
      event: (namespace, event, args) => {
        if (this.#ended) return;
        const room = namespace === "/" ? roomOf(args[0]) : undefined;
        // It is in that room no more, whoever wanted it.
        if (room !== undefined && event === "tidings:left") this.#drop(room);
        hears.event(namespace, event, args);
        if (room !== undefined && event === "tidings:resumed") this.#next(room);
      },
    });
  }

  ask(tab: string, question: Question, answered: Answered): void {
    this.#watch(tab);
    const room = question.namespace === "/" ? roomOf(question.args[0]) : undefined;
    if (room !== undefined && question.name === "subscribe")
      return this.#subscribe(room, tab, question, answered);
    if (room !== undefined && question.name === "unsubscribe" && !this.#leaves(room, tab)) {
      return answered(undefined, { ok: true });
    }
    this.link.ask(question, answered);
  }

  end(): void {
    this.#ended = true;
    this.link.disconnect();
  }

  /** One tab after the other: while one is sent what it missed, the next to ask would have the server break that off. */
  #subscribe(name: string, tab: string, question: Question, answered: Answered): void {
    const room = this.#rooms.get(name) ?? { tabs: new Set(), isAsked: false, waiting: [] };
    this.#rooms.set(name, room);
    room.tabs.add(tab);
    room.waiting.push({ question, answered });
    if (!room.isAsked) this.#next(name);
  }

  #next(name: string): void {
    const room = this.#rooms.get(name);
    const turn = room?.waiting.shift();
    if (room) room.isAsked = turn !== undefined;
    if (!room || !turn) return;
    this.link.ask(turn.question, (refusal, reply) => {
      turn.answered(refusal, reply);
      const { recovered, epoch } = (reply ?? {}) as Partial<Subscribed>;
      // With these what was missed follows, and `tidings:resumed` behind it.
      const follows = !refusal && recovered != null && epoch != null;
      if (!follows && this.#rooms.get(name) === room) this.#next(name);
    });
  }

  /** The connection is not in a room any more, and nobody there is answered. */
  #drop(name: string): void {
    const waiting = this.#rooms.get(name)?.waiting ?? [];
    this.#rooms.delete(name);
    for (const { answered } of waiting) answered(unavailable("the room was left"), undefined);
  }

  /** Takes a tab out of a room; whether nobody is left there. */
  #leaves(name: string, tab: string): boolean {
    const tabs = this.#rooms.get(name)?.tabs;
    tabs?.delete(tab);
    if (tabs && tabs.size > 0) return false;
    this.#drop(name);
    return true;
  }

  /** Takes a tab out of its rooms when it is gone: then its lock is free. */
  #watch(tab: string): void {
    if (this.#tabs.has(tab)) return;
    this.#tabs.add(tab);
    void navigator.locks.request(`${this.#name}:tab:${tab}`, () => {
      this.#tabs.delete(tab);
      for (const room of [...this.#rooms.keys()].filter((room) => this.#rooms.get(room)?.tabs.has(tab))) {
        if (this.#leaves(room, tab) && !this.#ended) this.#unsubscribe(room);
      }
    });
  }

  #unsubscribe(room: string): void {
    const question = { namespace: "/", name: "unsubscribe", args: [{ room }], timeoutMs: GREETING_MS };
    // Unanswered, the connection is gone, and the room with it.
    this.link.ask(question, () => {});
  }
}

function roomOf(data: unknown): string | undefined {
  const { room } = (data ?? {}) as { room?: unknown };
  return typeof room === "string" ? room : undefined;
}

function toTold({ status, session, error }: LinkState): Told {
  return { status, session, error: error?.message };
}

function toPlain({ code, message, retryable, retryAfterMs, ordersRemaining }: Refusal) {
  return { code, message, retryable, retryAfterMs, ordersRemaining };
}
