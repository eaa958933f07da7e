import { Watched } from "./listeners.ts";
import type { Room } from "./room.ts";

/** How a room's snapshot and events become a value: pure functions, and a value of their own before the first. */
export interface Rules<State extends object> {
  empty: State;
  snapshot: (told: unknown, before: State) => State;
  events: Record<string, (before: State, data: never) => State>;
}

const all = new WeakMap<Room, Map<object, unknown>>();

/**
 * What a room amounts to, by rules: the same object for all who ask with the same rules.
 *
 * Whoever asks while the room is joined already is not behind the others: its snapshot is asked for once more. Being in the
 * room is not its part: `room.enter()`.
 */
export function followed<State extends object>(room: Room, rules: Rules<State>): Followed<State> {
  const those = all.get(room) ?? new Map<object, unknown>();
  all.set(room, those);
  const known = those.get(rules) as Followed<State> | undefined;
  if (known) return known;
  const fresh = new Followed(room, rules);
  those.set(rules, fresh);
  return fresh;
}

/** A value that follows a room. */
export class Followed<State extends object> {
  readonly #state: Watched<State>;
  readonly #empty: State;

  /** For `followed`: it listens as long as the room is there. */
  constructor(room: Room, { empty, snapshot, events }: Rules<State>) {
    this.#empty = empty;
    this.#state = new Watched(empty);
    const whole = (told: unknown) => this.#state.set(snapshot(told, this.state));
    room.onNotice("snapshot", whole);
    for (const [name, after] of Object.entries(events))
      room.on(name, (data: unknown) => this.#state.set(after(this.state, data as never)));
    if (room.state.snapshot === undefined) return;
    whole(room.state.snapshot);
    room.renew();
  }

  /** The value; another object after each change. */
  get state(): State {
    return this.#state.value;
  }

  /** Knows nothing any more: what the room tells from now on is of another one. */
  forget(): void {
    this.#state.set(this.#empty);
  }

  /** Calls `watcher` after each change of `state`; answers what ends that. */
  watch(watcher: () => void): () => void {
    return this.#state.watch(watcher);
  }
}
