import type { Answered, Question } from "./link.ts";
import { Listeners, Watched } from "./listeners.ts";
import type { EventData, EventName, Place } from "./names.ts";
import { Refusal } from "./refusal.ts";
import { RosterView, type Present } from "./roster.ts";
import type { Gap, Left, Position, Presence, Resumed, RosterChanged, Subscribed } from "./wire.ts";

/** A subscription is asked for again after this, in milliseconds, if nobody answered or says when. */
const AGAIN_MS = 1_000;
/** A subscription to a durable room may wait for the database for half a minute. */
const JOIN_MS = 35_000;
const READ_MS = 10_000;
/** Pages of members that are read at most, of 1,000 each. */
const PAGES = 10;

/** How far a subscription is. `refused` and `left` are for good; `state.error` says why. */
export type RoomStatus = "idle" | "joining" | "live" | "refused" | "left";

/** A room as this client knows it. */
export interface RoomState {
  status: RoomStatus;
  error: Refusal | undefined;
  /** How the room stood when it was joined, if an app keeps it: `unknown`, since each app has its own. */
  snapshot: unknown;
  /** Who is there, if the room's kind shows it. */
  presence: Present | undefined;
  /** The newest thing that is missing and will not come. */
  gap: Gap | undefined;
  /** Where this client's knowledge ends; in a room that keeps nothing there is no such place. */
  position: Position | undefined;
}

/** How a room is joined. */
export interface JoinOptions {
  /** So many of the newest events come first. */
  rewind?: number;
  /** Goes on from where an earlier visit ended. */
  since?: Position;
  /**
   * Never goes on from its place: the room's snapshot is all that counts, as in windows of boards. Once said it is so for
   * everybody in the room.
   */
  afresh?: boolean;
}

/** What a room's client does for it. */
export interface RoomHost {
  /** The connection there is, by name. */
  session(): string | undefined;
  ask(question: Question, answered: Answered): void;
  later(ms: number, then: () => void): void;
  entered(room: Room): void;
}

/** Names of what a room tells besides its events. */
interface Notices {
  gap: [Gap];
  snapshot: [unknown];
  skipped: [number];
}

/** A room this client is in, or wants to be in: it comes back to its place after every break. */
export class Room {
  readonly name: string;
  readonly #host: RoomHost;
  readonly #state = new Watched<RoomState>({
    status: "idle",
    error: undefined,
    snapshot: undefined,
    presence: undefined,
    gap: undefined,
    position: undefined,
  });
  readonly #events = new Listeners<Record<string, [data: unknown, place: Place, name: string]>>();
  readonly #notices = new Listeners<Notices>();
  #options: JoinOptions = {};
  #holders = 0;
  /** The connection in which it was asked for; what is recorded waits for the answer. */
  #askedIn: string | undefined;
  #answeredIn: string | undefined;
  #roster: RosterView | undefined;
  #top: Position | undefined;
  #afresh = false;
  /** The answer said that something is missing, and what that is comes behind it. */
  #gapDue = false;
  /** The snapshot there is came with that answer. */
  #whole = false;
  #renewing = false;
  /** What was missed is on its way, up to `resumed`. */
  #catchingUp = false;
  #renewsLater = false;

  constructor(name: string, host: RoomHost) {
    this.name = name;
    this.#host = host;
  }

  /** What is known of it; another object after each change. */
  get state(): RoomState {
    return this.#state.value;
  }

  /** Calls `watcher` after each change of `state`; answers what ends that. */
  watch(watcher: () => void): () => void {
    return this.#state.watch(watcher);
  }

  /** Hears events of a name in this room, `*` for all; answers what ends that. */
  on<Name extends EventName>(name: Name, listener: (data: EventData<Name>, place: Place) => void): () => void;
  on(name: string, listener: (data: unknown, place: Place, name: string) => void): () => void;
  on(name: string, listener: (data: never, place: Place, name: string) => void): () => void {
    return this.#events.on(name, listener as (data: unknown, place: Place, name: string) => void);
  }

  /** Hears of gaps, of snapshots, and of how many volatile events were skipped for being slow. */
  onNotice<Name extends keyof Notices>(name: Name, listener: (...said: Notices[Name]) => void): () => void {
    return this.#notices.on(name, listener);
  }

  /**
   * Wants to be in the room until what is answered is called; of several who want it there is one subscription.
   *
   * Who lets go and comes back within the same turn of the event loop has not been away.
   */
  enter(options: JoinOptions = {}): () => void {
    this.#holders += 1;
    this.#host.entered(this);
    this.#afresh ||= options.afresh === true;
    if (this.#holders === 1 && this.state.status !== "live") {
      this.#options = options;
      if (options.since && !this.state.position) this.#state.set({ position: options.since });
      if (this.state.status === "refused" || this.state.status === "left") this.#askedIn = undefined;
      this.join();
    }
    let mine = true;
    return () => {
      if (!mine) return;
      mine = false;
      this.#holders -= 1;
      this.#host.later(0, () => this.#holders === 0 && this.#leave());
    };
  }

  /** Whether somebody here wants to be in it. */
  get wanted(): boolean {
    return this.#holders > 0;
  }

  /** Joins, if that was not done in this connection. Called by the client when there is a new one. */
  join(): void {
    const session = this.#host.session();
    if (!this.wanted || session === undefined || this.#askedIn === session) return;
    this.#askedIn = session;
    this.#state.set({ status: "joining", error: undefined });
    const position = this.#afresh ? undefined : this.state.position;
    const { rewind } = this.#options;
    this.#subscribe(position ? { since: position } : rewind ? { rewind } : {}, (refusal, reply) => {
      if (this.#askedIn !== session || this.#host.session() !== session) return;
      if (refusal) this.#refused(refusal);
      else this.#joined(session, reply as Subscribed);
    });
  }

  #subscribe(how: object, answered: Answered): void {
    const args = [{ room: this.name, ...how }];
    this.#host.ask({ namespace: "/", name: "subscribe", args, timeoutMs: JOIN_MS }, answered);
  }

  /**
   * Asks for the room's snapshot once more, where it has one, because what followed the last one is not known here.
   *
   * Events are heard meanwhile as ever. Should they get ahead of the snapshot, another one is asked for.
   */
  renew(): void {
    const session = this.#host.session();
    if (this.#renewing || this.state.status !== "live" || session === undefined) return;
    // Asked again, the server breaks off what it sends of what was missed.
    if (this.#catchingUp) return void (this.#renewsLater = true);
    this.#renewing = true;
    this.#subscribe({}, (refusal, reply) => {
      this.#renewing = false;
      if (this.#answeredIn !== session) return;
      if (refusal) return refusal.retryable ? this.#host.later(AGAIN_MS, () => this.renew()) : undefined;
      const { epoch, offset, snapshot } = reply as Subscribed;
      const { position } = this.state;
      if (offset != null && position?.epoch === epoch && (position?.offset ?? 0) > offset)
        return this.renew();
      this.#stands(snapshot);
    });
  }

  #stands(snapshot: unknown): void {
    if (snapshot === undefined || snapshot === null) return;
    this.#state.set({ snapshot });
    this.#notices.tell("snapshot", snapshot);
  }

  /** The connection is gone: what it was asked is not answered any more. */
  lost(): void {
    this.#askedIn = this.#answeredIn = undefined;
    if (this.state.status === "live") this.#state.set({ status: "joining" });
  }

  #refused(refusal: Refusal): void {
    if (!refusal.retryable) return this.#state.set({ status: "refused", error: refusal });
    this.#state.set({ error: refusal });
    const session = this.#askedIn;
    this.#host.later(refusal.retryAfterMs ?? AGAIN_MS, () => {
      if (this.#askedIn !== session) return;
      this.#askedIn = undefined;
      this.join();
    });
  }

  #joined(session: string, { epoch, offset, tag, recovered, snapshot, presence }: Subscribed): void {
    this.#answeredIn = session;
    this.#catchingUp = recovered != null && epoch != null;
    this.#top =
      epoch != null && offset != null ? { epoch, offset, ...(tag == null ? {} : { tag }) } : undefined;
    this.#roster = presence ? new RosterView(presence) : undefined;
    // With `recovered` what was missed follows, and moves the position by itself.
    const position = recovered == null ? this.#top : this.state.position;
    this.#state.set({ status: "live", error: undefined, position, presence: this.#roster?.present });
    this.#gapDue = recovered === false;
    this.#whole = snapshot != null;
    this.#stands(snapshot);
  }

  #leave(): void {
    if (this.state.status === "idle") return;
    const said = this.#askedIn !== undefined && this.#host.session() === this.#askedIn;
    this.#askedIn = this.#answeredIn = undefined;
    this.#roster = undefined;
    this.#state.set({ status: "idle", error: undefined, presence: undefined });
    if (!said) return;
    const question = { namespace: "/", name: "unsubscribe", args: [{ room: this.name }], timeoutMs: READ_MS };
    // Unanswered, the connection is gone, and the subscription with it.
    this.#host.ask(question, () => {});
  }

  /** An event of this room came; whether it was news. */
  hear(name: string, data: unknown, place: Place): boolean {
    if (name === "tidings:presence") {
      this.#present(data as RosterChanged);
      return true;
    }
    const { epoch, offset, tag } = place;
    if (offset !== undefined && epoch !== undefined) {
      if (!this.#isNews(epoch, offset)) return false;
      this.#state.set({ position: { epoch, offset, ...(tag === undefined ? {} : { tag }) } });
    }
    this.#events.tell(name, data, place, name);
    this.#events.tell("*", data, place, name);
    return true;
  }

  /**
   * Whether what stands at a place comes next here. The connection may be in the room for another tab as well, and then this
   * one hears what that one missed: before its own answer it takes what follows its place without a hole. The rest comes
   * again behind the answer.
   */
  #isNews(epoch: string, offset: number): boolean {
    const { position } = this.state;
    const known = position?.epoch === epoch ? position.offset : undefined;
    if (this.#answeredIn !== undefined) return known === undefined || offset > known;
    return this.#askedIn !== undefined && !this.#afresh && known !== undefined && offset === known + 1;
  }

  /** Everything that was missed has come. */
  resumed({ epoch, offset }: Resumed): void {
    // Before the answer that is what another tab has missed.
    if (this.#answeredIn === undefined) return;
    this.#gapDue = this.#catchingUp = false;
    if (this.#renewsLater) this.renew();
    this.#renewsLater = false;
    const top = this.#top;
    const tag = top && top.epoch === epoch && top.offset === offset ? top.tag : undefined;
    const { position } = this.state;
    if (position?.epoch === epoch && position.offset >= offset) return;
    this.#state.set({ position: { epoch, offset, ...(tag == null ? {} : { tag }) } });
  }

  /** Something is missing for good; whether it is this client that misses it, and not another tab. */
  missed(gap: Gap): boolean {
    const { position, snapshot } = this.state;
    const isBehind = position !== undefined && gap.resumeAt != null && gap.resumeAt <= position.offset + 1;
    if (this.#answeredIn === undefined || (isBehind && !this.#gapDue)) return false;
    this.#state.set({ gap });
    this.#notices.tell("gap", gap);
    if (snapshot !== undefined && !(this.#gapDue && this.#whole)) this.renew();
    this.#gapDue = false;
    return true;
  }

  /** Volatile events were left out because this client was slow. */
  skipped(count: number): void {
    this.#notices.tell("skipped", count);
  }

  /** The server has taken this client out of the room. */
  takenOut({ reason }: Left): void {
    this.#askedIn = this.#answeredIn = undefined;
    this.#state.set({ status: "left", error: ended(reason), presence: undefined });
  }

  #present(change: RosterChanged): void {
    const roster = this.#roster;
    if (!roster) return;
    const whole = roster.take(change);
    this.#state.set({ presence: roster.present });
    // Where only counts are told there is nothing to read.
    if (!whole && this.state.presence !== undefined) this.#reread(roster, 0, []);
  }

  #reread(roster: RosterView, page: number, before: Present["members"]): void {
    const question = {
      namespace: "/",
      name: "presence",
      args: [{ room: this.name, page }],
      timeoutMs: READ_MS,
    };
    this.#host.ask(question, (refusal, reply) => {
      if (refusal || roster !== this.#roster) return;
      const { counts, members, more } = reply as Presence;
      const all = [...before, ...(members ?? [])];
      if (more && page + 1 < PAGES) return this.#reread(roster, page + 1, all);
      roster.reread(counts, all);
      this.#state.set({ presence: roster.present });
    });
  }
}

const ended = (reason: string) =>
  new Refusal({
    code: reason,
    message: `the server has ended the subscription: ${reason}`,
    retryable: false,
  });
