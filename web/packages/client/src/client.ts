import type { Socket } from "socket.io-client";
import type { Hears, Link, LinkState, Question } from "./link.ts";
import { Listeners, Watched } from "./listeners.ts";
import type { CommandData, CommandName, CommandReply, Namespace, Place } from "./names.ts";
import { refusalFrom, Refusal, unavailable } from "./refusal.ts";
import { Room } from "./room.ts";
import { canShare, SharedLink } from "./shared_link.ts";
import { watchSleep } from "./sleep.ts";
import { SocketLink, type Settings } from "./socket_link.ts";
import { holderOf, type GetToken } from "./tokens.ts";
import type { Gap, LaneName, Left, PublishedEvent, Receipt, Resumed } from "./wire.ts";

/** One try of a publish or a command, in milliseconds. */
const TRY_MS = 5_000;
/** Until then a publish is tried again, in milliseconds, unless `timeoutMs` says otherwise. */
const PATIENCE_MS = 30_000;
/** The first wait before another try, and the longest. */
const AGAIN_MS = 200;
const AGAIN_LONGEST_MS = 3_000;
/** Publishes and commands that wait for their answers, at most; more are refused here. */
const WAITING = 1_000;
/** Rooms that are remembered with their place while nobody is in them; beyond that the oldest are forgotten. */
const IDLE_ROOMS = 500;

export interface ClientOptions {
  /** Where the server is; the page's own origin if it is not said. */
  url?: string;
  /** The token, or what to call for one at each connect and before it ends; see `refreshing`. */
  token?: string | GetToken;
  /**
   * One socket for all tabs of this browser that say the same; `true`: for those of the same user at this server.
   * Where the browser has no BroadcastChannel or Web Locks each tab has its own.
   */
  share?: boolean | string;
  /** Settings of socket.io-client's manager, such as `transports` or `path`. */
  socket?: Settings;
}

export interface PublishOptions {
  /** Under it the event is published once; one is made for each call. */
  key?: string;
  lane?: LaneName;
  /** Not kept; it is not tried again either. */
  volatile?: boolean;
  exceptSelf?: boolean;
  /** Asks those who hear it to acknowledge it; what became of that is told as `tidings:receipt`. */
  receipt?: true | Receipt;
  /** How long it is tried, in milliseconds: 30,000 if not said. */
  timeoutMs?: number;
}

export interface CommandOptions {
  /** With it the command is done once and tried again like a publish; for commands of apps. */
  key?: string;
  timeoutMs?: number;
}

/** What a client tells of all its rooms. */
interface Notices {
  gap: [Gap];
  left: [Left];
  /** So many events are held back because this client is slow; they follow. */
  behind: [number];
}

/** A client of one server. Several on one page do not meet. */
export class Client {
  readonly url: string;
  readonly #options: ClientOptions;
  readonly #getToken: GetToken;
  readonly #state = new Watched<LinkState>({ status: "idle", error: undefined, session: undefined });
  readonly #rooms = new Map<string, Room>();
  readonly #notices = new Listeners<Notices>();
  readonly #events = new Listeners<Record<string, [unknown, Place | undefined]>>();
  #link: Link | undefined;
  #sleep: (() => void) | undefined;
  #waiting = 0;

  constructor(options: ClientOptions = {}) {
    this.#options = options;
    this.url = options.url ?? globalThis.location?.origin ?? "http://127.0.0.1:3000";
    const { token } = options;
    this.#getToken = typeof token === "function" ? token : () => token;
  }

  /** The connection; another object after each change. */
  get state(): LinkState {
    return this.#state.value;
  }

  /** The official client's socket of the namespace `/`; none while the connection is shared or not begun. */
  get socket(): Socket | undefined {
    return this.#link instanceof SocketLink ? this.#link.root : undefined;
  }

  /** Calls `watcher` after each change of `state`; answers what ends that. */
  watch(watcher: () => void): () => void {
    return this.#state.watch(watcher);
  }

  /** The user's id, as the token says it; nobody where there is none, or none that can be read. */
  async userId(): Promise<string | undefined> {
    const holder = holderOf((await this.#getToken({ fresh: false })) ?? "");
    return holder?.slice(holder.indexOf("/") + 1);
  }

  /** Connects, and stays connected until `disconnect`; does nothing if it is on the way already. */
  connect(): void {
    if (this.#link) return this.#link.connect();
    this.#sleep = watchSleep(() => this.#link?.check());
    const name = this.#shareName();
    const own = (hears: Hears) => new SocketLink(this.url, this.#getToken, hears, this.#options.socket);
    const hears: Hears = { state: (state) => this.#changed(state), event: (...said) => this.#heard(...said) };
    this.#link = name === undefined ? own(hears) : new SharedLink(name, hears, own);
    this.#link.connect();
  }

  disconnect(): void {
    this.#sleep?.();
    this.#sleep = undefined;
    this.#link?.disconnect();
    this.#link = undefined;
  }

  /** Looks at once whether the connection lives. A page that wakes up does it by itself. */
  check(): void {
    this.#link?.check();
  }

  /** A room by its name, the same object for all who ask; nobody is in it before `enter`. */
  room(name: string): Room {
    let room = this.#rooms.get(name);
    if (!room) {
      this.#forgetIdle();
      room = new Room(name, {
        session: () => this.state.session,
        ask: (question, answered) => this.#ask(question, answered),
        later: (ms, then) => void setTimeout(then, ms),
        // One that was forgotten and is entered again.
        entered: (entered) => void (this.#rooms.has(name) || this.#rooms.set(name, entered)),
      });
      this.#rooms.set(name, room);
    }
    return room;
  }

  #forgetIdle(): void {
    const idle = [...this.#rooms.values()].filter((room) => !room.wanted);
    for (const room of idle.slice(0, Math.max(0, idle.length - IDLE_ROOMS))) this.#rooms.delete(room.name);
  }

  /** Hears of gaps, of rooms this client was taken out of, and of being slow. */
  onNotice<Name extends keyof Notices>(name: Name, listener: (...said: Notices[Name]) => void): () => void {
    return this.#notices.on(name, listener);
  }

  /** Hears events of a name from everywhere, also of rooms nobody here has entered; answers what ends that. */
  on(name: string, listener: (data: unknown, place: Place | undefined) => void): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Publishes, and tries again under the same key until it is known to be accepted.
   *
   * Rejects with a `Refusal`: of the server, or `unavailable` when the time is over; then it may have been accepted.
   * Several at once may overtake each other when one of them has to be tried again.
   */
  publish(room: string, event: string, data: unknown, options: PublishOptions = {}): Promise<PublishedEvent> {
    const { timeoutMs = PATIENCE_MS, key = newKey(), ...rest } = options;
    const tries = rest.volatile !== true;
    const args = [{ room, event, data, ...rest, ...(tries ? { key } : {}) }];
    return this.#say("/", "publish", args, tries, timeoutMs) as Promise<PublishedEvent>;
  }

  /** Says a command and waits for its answer; rejects with a `Refusal`. */
  command<In extends Namespace, Name extends CommandName<In>>(
    namespace: In,
    name: Name,
    data: CommandData<In, Name>,
    options?: CommandOptions,
  ): Promise<CommandReply<In, Name>>;
  command(namespace: string, name: string, data: unknown, options?: CommandOptions): Promise<unknown>;
  command(
    namespace: string,
    name: string,
    data: unknown,
    { key, timeoutMs = PATIENCE_MS }: CommandOptions = {},
  ): Promise<unknown> {
    return this.#say(
      namespace,
      name,
      key === undefined ? [data] : [data, { key }],
      key !== undefined,
      timeoutMs,
    );
  }

  /**
   * A request to the server's HTTP API with this client's token; rejects with a `Refusal`, and with the reason of
   * `init.signal` where that ended it.
   *
   * `unavailable` is also what did not reach the server, or whose answer did not come whole: then it may have been done.
   */
  async request(path: string, init: RequestInit = {}): Promise<unknown> {
    const url = new URL(path, this.url);
    // The token is for this server: an address in the place of a path must not take it elsewhere.
    if (url.origin !== new URL(this.url).origin)
      throw new Refusal({ code: "bad_request", message: "not this client's server" });
    try {
      return await this.#request(url, init);
    } catch (error) {
      // Who ended it tells its own reason apart by its name.
      throw init.signal?.aborted ? error : refusalFrom(error);
    }
  }

  async #request(url: URL, init: RequestInit): Promise<unknown> {
    const token = await this.#getToken({ fresh: false });
    const response = await this.#fetch(url, init, token);
    // Only a token that has ended is a reason to say it twice: a wrong password would count twice.
    const fresh =
      response.status === 401 && token !== undefined ? await this.#getToken({ fresh: true }) : undefined;
    const again = fresh === undefined || fresh === token ? response : await this.#fetch(url, init, fresh);
    const { status, headers } = again;
    // Lines of JSON are none as a whole.
    const body = /^application\/(.+\+)?json\b/.test(headers.get("content-type") ?? "")
      ? ((await again.json()) as unknown)
      : await again.text();
    if (again.ok) return body;
    const { error } = (body ?? {}) as { error?: ConstructorParameters<typeof Refusal>[0] };
    // A proxy says no more than a status: 502 to 504 if the server does not answer it.
    const code = status > 501 && status < 505 ? "unavailable" : String(status);
    throw new Refusal(error ?? { code, message: again.statusText });
  }

  #fetch(url: URL, init: RequestInit, token: string | undefined): Promise<Response> {
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    if (init.body !== undefined && !headers.has("content-type"))
      headers.set("content-type", "application/json");
    return fetch(url, { ...init, headers });
  }

  async #say(
    namespace: string,
    name: string,
    args: unknown[],
    tries: boolean,
    timeoutMs: number,
  ): Promise<unknown> {
    if (this.#waiting >= WAITING) {
      throw new Refusal({
        code: "unavailable",
        message: `${WAITING} answers are waited for already`,
        retryable: true,
      });
    }
    this.#waiting += 1;
    try {
      return await this.#tryUntil(Date.now() + timeoutMs, namespace, name, args, tries);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #tryUntil(
    end: number,
    namespace: string,
    name: string,
    args: unknown[],
    tries: boolean,
  ): Promise<unknown> {
    for (let wait = AGAIN_MS; ; wait = Math.min(wait * 2, AGAIN_LONGEST_MS)) {
      await this.#isConnected(end);
      const left = Math.max(end - Date.now(), 1);
      const { refusal, reply } = await this.#once({
        namespace,
        name,
        args,
        timeoutMs: tries ? Math.min(TRY_MS, left) : left,
      });
      if (!refusal) return reply;
      const after = refusal.retryAfterMs ?? wait * (0.5 + Math.random());
      if (!tries || !refusal.retryable || Date.now() + after > end) throw refusal;
      await new Promise((resolve) => setTimeout(resolve, after));
    }
  }

  #once(question: Question): Promise<{ refusal: Refusal | undefined; reply: unknown }> {
    return new Promise((resolve) => this.#ask(question, (refusal, reply) => resolve({ refusal, reply })));
  }

  #ask(question: Question, answered: (refusal: Refusal | undefined, reply: unknown) => void): void {
    if (this.#link) this.#link.ask(question, answered);
    else answered(unavailable("there is no connection"), undefined);
  }

  /** Waits for the connection; not when it is over for good, and not beyond `end`. */
  #isConnected(end: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const { status, error } = this.state;
        if (status === "connected") done(resolve);
        else if (status === "idle" || status === "closed")
          done(() => reject(error ?? unavailable("there is no connection")));
      };
      const late = setTimeout(
        () => done(() => reject(unavailable("no connection in time"))),
        end - Date.now(),
      );
      const unwatch = this.watch(look);
      const done = (settle: () => void) => {
        clearTimeout(late);
        unwatch();
        settle();
      };
      look();
    });
  }

  #shareName(): string | undefined {
    const { share, token } = this.#options;
    if (!share || !canShare()) return undefined;
    if (typeof share === "string") return `${this.url}:${share}`;
    const holder = typeof token === "string" ? holderOf(token) : undefined;
    return holder === undefined ? undefined : `${this.url}:${holder}`;
  }

  #changed(state: LinkState): void {
    const before = this.state.session;
    this.#state.set(state);
    if (state.session === before) return;
    const rooms = [...this.#rooms.values()];
    if (before !== undefined) rooms.forEach((room) => room.lost());
    if (state.session !== undefined) rooms.forEach((room) => room.join());
  }

  #heard(namespace: string, name: string, args: unknown[]): void {
    const [data] = args;
    const place = placeIn(args);
    const room = place && this.#rooms.get(place.room);
    if (room) {
      // What another tab missed, and this one has had, is no news.
      if (!room.hear(name, data, place) && room.wanted) return;
    } else if (!place && namespace === "/") this.#notice(name, data);
    this.#events.tell(name, data, place);
  }

  #notice(name: string, data: unknown): void {
    const { room } = (data ?? {}) as { room?: string | null };
    const about =
      room == null ? [...this.#rooms.values()] : [this.#rooms.get(room)].filter((it) => it !== undefined);
    switch (name) {
      case "tidings:gap": {
        // What another tab misses is no news in a room that is known here.
        const theirs = about.filter((it) => !it.missed(data as Gap) && it.wanted);
        if (about.length === 0 || theirs.length < about.length) this.#notices.tell("gap", data as Gap);
        return;
      }
      case "tidings:resumed":
        return about.forEach((it) => it.resumed(data as Resumed));
      case "tidings:left":
        about.forEach((it) => it.takenOut(data as Left));
        return this.#notices.tell("left", data as Left);
      case "tidings:skipped":
        return about.forEach((it) => it.skipped((data as { count: number }).count));
      case "tidings:behind":
        return this.#notices.tell("behind", (data as { events: number }).events);
    }
  }
}

/** What stands behind an event's data, if the server says where it stands. */
function placeIn(args: unknown[]): Place | undefined {
  const place = args[1] as Place | undefined;
  return typeof place === "object" && place !== null && typeof place.room === "string" ? place : undefined;
}

/** A key nobody else has; without `randomUUID`, which pages without TLS lack, made of the same randomness. */
function newKey(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
}
