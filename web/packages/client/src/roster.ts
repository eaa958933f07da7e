import type { Counts, Member, Roster, RosterChanged } from "./wire.ts";

/** Who is in a room, as far as it is told. */
export interface Present {
  counts: Counts;
  /** Whoever has a user id, by it; empty where the room's kind tells counts alone. */
  members: Member[];
}

/** A room's members: what came with the subscription, and the changes since. A pure value. */
export class RosterView {
  #version: number;
  #counts: Counts;
  readonly #members = new Map<string, Member>();

  constructor(start: Roster) {
    this.#version = start.version;
    this.#counts = start.counts;
    this.#put(start.members);
  }

  get present(): Present {
    return { counts: this.#counts, members: [...this.#members.values()] };
  }

  /** Takes a change in; `false` if one is missing before it, or left out of it: then `reread` is wanted. */
  take(change: RosterChanged): boolean {
    // What the newcomer was told already.
    if (change.version <= this.#version) return true;
    const whole = change.version === this.#version + 1 && change.reread !== true;
    this.#version = change.version;
    this.#counts = change.counts;
    this.#put(change.joined);
    this.#put(change.changed);
    for (const { userId } of change.left ?? []) if (userId != null) this.#members.delete(userId);
    return whole;
  }

  /** Puts what the command `presence` answered in the place of what was known. */
  reread(counts: Counts, members: Member[]): void {
    this.#counts = counts;
    this.#members.clear();
    this.#put(members);
  }

  #put(members: Member[] | null | undefined): void {
    for (const member of members ?? []) if (member.userId != null) this.#members.set(member.userId, member);
  }
}
