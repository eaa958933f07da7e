import type { Client } from "./client.ts";
import { Watched } from "./listeners.ts";
import { Refusal } from "./refusal.ts";
import type { Room } from "./room.ts";

/** Answers that are remembered for a client while nobody looks at them; beyond that the oldest are forgotten. */
const IDLE = 200;
/** Between an event that drops an answer and the next read, in milliseconds: several events are one read. */
const PAUSE_MS = 150;
/** After a read that failed for now, if the server does not say when. */
const AGAIN_MS = 2_000;

/** What makes an answer old. */
export interface DroppedBy {
  /** The room whose events do. */
  room: string;
  /** Only these; every event if it is not said. */
  events?: string[];
}

/** An answer as far as it is known. */
export interface KeptState<Answer> {
  data: Answer | undefined;
  /** Why the newest read failed. */
  error: Refusal | undefined;
  /** Nothing has happened in the room since it was read. What is not fresh may still be shown. */
  fresh: boolean;
}

const all = new WeakMap<Client, Map<string, Kept<unknown>>>();

/** The answer to a GET of the HTTP API, kept until its room drops it: the same object for all who ask. */
export function kept<Answer>(client: Client, path: string, by: DroppedBy): Kept<Answer> {
  const those = all.get(client) ?? new Map<string, Kept<unknown>>();
  all.set(client, those);
  const key = JSON.stringify([path, by.room, by.events]);
  let known = those.get(key);
  if (!known) {
    const idle = [...those].filter(([, one]) => !one.wanted);
    for (const [old] of idle.slice(0, Math.max(0, idle.length - IDLE + 1))) those.delete(old);
    those.set(key, (known = new Kept(client, path, by)));
  }
  return known as Kept<Answer>;
}

/** An answer that is read again when events of its room say that it is old. */
export class Kept<Answer> {
  readonly #client: Client;
  readonly #path: string;
  readonly #by: DroppedBy;
  readonly #state = new Watched<KeptState<Answer>>({ data: undefined, error: undefined, fresh: false });
  #holders = 0;
  #ends: (() => void)[] = [];
  #reading: Promise<void> | undefined;
  /** Counts what could have made an answer old, so that one that was on its way meanwhile is not taken for fresh. */
  #drops = 0;
  /** How many of these there were when the newest read began. */
  #readAt = 0;
  #again: ReturnType<typeof setTimeout> | undefined;

  /** For `kept`. */
  constructor(client: Client, path: string, by: DroppedBy) {
    this.#client = client;
    this.#path = path;
    this.#by = by;
  }

  /** What is known; another object after each change. */
  get state(): KeptState<Answer> {
    return this.#state.value;
  }

  /** Calls `watcher` after each change of `state`; answers what ends that. */
  watch(watcher: () => void): () => void {
    return this.#state.watch(watcher);
  }

  /** Whether somebody wants it to be kept up to date. */
  get wanted(): boolean {
    return this.#holders > 0;
  }

  /** Keeps it up to date, and is in its room for that, until what is answered is called. */
  enter(): () => void {
    this.#holders += 1;
    if (this.#ends.length === 0) this.#begin(this.#client.room(this.#by.room));
    let mine = true;
    return () => {
      if (!mine) return;
      mine = false;
      this.#holders -= 1;
      // Who comes back within the same turn has not been away.
      setTimeout(() => this.#holders === 0 && this.#end(), 0);
    };
  }

  /** The answer: as it is kept while it is fresh, read otherwise; rejects with a `Refusal`. */
  async get(): Promise<Answer> {
    // What was asked for before something happened is waited for, and is not the answer.
    if (this.#readAt !== this.#drops) await this.#reading;
    if (!this.state.fresh) await this.#read();
    const { data, error } = this.state;
    if (error) throw error;
    return data as Answer;
  }

  /** Makes it old: it is read again at once if somebody looks at it. */
  drop(): void {
    this.#drops += 1;
    this.#state.set({ fresh: false });
    this.#soon(PAUSE_MS);
  }

  #begin(room: Room): void {
    let { status } = room.state;
    const dropped = () => this.drop();
    this.#ends = [
      room.enter(),
      room.onNotice("gap", dropped),
      ...(this.#by.events ?? ["*"]).map((name) => room.on(name, dropped)),
      room.watch(() => {
        if (room.state.status === status) return;
        ({ status } = room.state);
        // While this client is away nobody tells it what happens; what was read before it was there may be old.
        this.drop();
      }),
    ];
    if (!this.state.fresh) void this.#read();
  }

  #end(): void {
    clearTimeout(this.#again);
    this.#again = undefined;
    this.#ends.splice(0).forEach((end) => end());
    this.#drops += 1;
    this.#state.set({ fresh: false });
  }

  #soon(ms: number): void {
    if (!this.wanted || this.#again !== undefined) return;
    this.#again = setTimeout(() => {
      this.#again = undefined;
      void this.#read();
    }, ms);
  }

  #read(): Promise<void> {
    this.#reading ??= this.#ask().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #ask(): Promise<void> {
    this.#readAt = this.#drops;
    try {
      const data = (await this.#client.request(this.#path)) as Answer;
      const isTold = this.wanted && this.#client.room(this.#by.room).state.status === "live";
      this.#state.set({ data, error: undefined, fresh: isTold && this.#readAt === this.#drops });
      if (isTold && this.#readAt !== this.#drops) this.#soon(PAUSE_MS);
    } catch (error) {
      const refusal =
        error instanceof Refusal ? error : new Refusal({ code: "unavailable", message: String(error) });
      this.#state.set({ error: refusal, fresh: false });
      if (refusal.retryable) this.#soon(refusal.retryAfterMs ?? AGAIN_MS);
    }
  }
}
