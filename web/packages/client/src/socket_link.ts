import { Manager, type Socket } from "socket.io-client";
import type { Answered, Hears, Link, LinkState, Question } from "./link.ts";
import { Refusal, refusalFrom, refusalIn, unavailable } from "./refusal.ts";
import type { GetToken } from "./tokens.ts";

/** What socket.io-client lets be set of a connection. */
export type Settings = NonNullable<ConstructorParameters<typeof Manager>[1]>;

/** Milliseconds: the first wait before coming back, the longest, the first after the server asked for a pause. */
const BACK_MS = 250;
const BACK_LONGEST_MS = 5_000;
const PAUSE_MS = 5_000;
/** A connection that does not answer a ping within this is dead. */
const PING_MS = 3_000;

/** Closes of docs/protocol.md after which nobody comes back, and what they say. */
const FINAL: Record<number, [code: string, message: string]> = {
  4403: ["forbidden", "the sign-in was revoked"],
  4409: ["conflict", "a newer connection took this one's place"],
};
/** Closes after which a token that is kept will not do. */
const TOKEN_OVER = 4401;
/** Closes after which the server wants to be left alone for a while. */
const PAUSES = [1013, 4429];
/** The close for a message that is larger than the server takes, and what a polling request is answered for one. */
const TOO_LARGE = 1009;
const TOO_LARGE_STATUS = 413;
/** No server takes less than so many bytes. */
const NEVER_TOO_LARGE = 16 * 1024;

/** A connection of our own, over the official client. */
export class SocketLink implements Link {
  /** The socket of the namespace `/`. */
  readonly root: Socket;
  readonly #manager: Manager;
  readonly #others = new Map<string, Socket>();
  /** Questions that wait for their answers, and how they are told of it. */
  readonly #asked = new Map<Question, Answered>();
  /** The one for which the server has closed the connection: said again it would be closed again. */
  #oversized: Question | undefined;
  readonly #getToken: GetToken;
  readonly #hears: Hears;
  #state: LinkState = { status: "idle", error: undefined, session: undefined };
  #wantsFresh = false;
  #triedFresh = false;
  #restarting = false;
  #later: ReturnType<typeof setTimeout> | undefined;
  /** Counts how often it ended: a token that was asked for before is for nobody. */
  #ends = 0;

  constructor(url: string, getToken: GetToken, hears: Hears, options: Settings = {}) {
    this.#getToken = getToken;
    this.#hears = hears;
    this.#manager = new Manager(url, {
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      reconnectionDelay: BACK_MS,
      reconnectionDelayMax: BACK_LONGEST_MS,
      ...options,
      autoConnect: false,
    });
    this.root = this.#open("/");
    this.root.on("connect", () => this.#connected());
    this.root.on("connect_error", (error) => this.#refused(error));
    this.root.on("disconnect", (reason, details) => this.#lost(reason, details));
  }

  connect(): void {
    if (this.#state.status === "connected" || this.root.active) return;
    this.#triedFresh = false;
    this.#set({ status: "connecting", error: undefined });
    this.root.connect();
  }

  disconnect(): void {
    this.#end("idle", undefined);
  }

  ask(question: Question, answered: Answered): void {
    if (this.#state.status !== "connected") return answered(unavailable("there is no connection"), undefined);
    const { namespace, name, args, timeoutMs } = question;
    const socket = namespace === "/" ? this.root : this.#other(namespace);
    const heard = (error: Error | null, reply?: unknown) => {
      if (!error) this.#answer(question, refusalIn(reply), reply);
      else if (question === this.#oversized) this.#answer(question, tooLarge());
      else this.#answer(question, unavailable("no answer in time"));
    };
    this.#asked.set(question, answered);
    try {
      socket.timeout(timeoutMs).emit(name, ...args, heard);
    } catch (error) {
      // What cannot be written, such as a number without bounds, is not waited for.
      this.#asked.delete(question);
      throw error;
    }
  }

  /** Once: one that was refused with its namespace may still run out of time. */
  #answer(question: Question, refusal: Refusal | undefined, reply?: unknown): void {
    const answered = this.#asked.get(question);
    this.#asked.delete(question);
    answered?.(refusal, reply);
  }

  check(): void {
    if (this.#state.status === "reconnecting") return this.#restart();
    if (this.#state.status !== "connected") return;
    const session = this.#state.session;
    const ping = { namespace: "/", name: "ping", args: [{}], timeoutMs: PING_MS };
    this.ask(ping, (refusal) => {
      const unanswered = refusal?.code === "unavailable";
      if (unanswered && this.#state.session === session && this.#state.status === "connected")
        this.#restart();
    });
  }

  /** Comes back now, without the waits between attempts. */
  #restart(): void {
    this.#restarting = true;
    const namespaces = [...this.#others.values()].filter((socket) => socket.active);
    for (const socket of [this.root, ...namespaces]) socket.disconnect();
    this.#restarting = false;
    this.#set({ status: "reconnecting", session: undefined });
    for (const socket of [this.root, ...namespaces]) socket.connect();
  }

  #open(namespace: string): Socket {
    let asked = 0;
    const auth = (give: (auth: object) => void) => {
      const [turn, { engine }] = [++asked, this.#manager];
      // While the token was on its way the connection may have been replaced. The next one asks for itself, and what is
      // said twice there ends it.
      this.#give((auth) => turn === asked && engine === this.#manager.engine && give(auth));
    };
    const socket = this.#manager.socket(namespace, { auth });
    socket.onAny((name: string, ...args: unknown[]) => {
      if (name === "tidings:token") void this.#renew(socket);
      // An event whose publisher wants to know that it was heard has a callback behind what it says.
      const acknowledge = typeof args.at(-1) === "function" ? (args.pop() as () => void) : undefined;
      this.#hears.event(namespace, name, args);
      acknowledge?.();
    });
    return socket;
  }

  /** A namespace is entered when something is first said there, and what is said waits until it is. */
  #other(namespace: string): Socket {
    let socket = this.#others.get(namespace);
    if (!socket) {
      socket = this.#open(namespace);
      this.#others.set(namespace, socket);
      const entering = socket;
      entering.on("connect_error", (error) => entering.active || this.#notLetIn(namespace, entering, error));
    }
    if (!socket.active) socket.connect();
    return socket;
  }

  /** A refusal of one namespace is for those who ask there, and for all of them. */
  #notLetIn(namespace: string, entering: Socket, error: ConnectError): void {
    entering.disconnect();
    entering.sendBuffer = [];
    // A namespace that does not exist is refused with a sentence alone.
    const refusal = refusalOf(error, "not_found");
    for (const question of [...this.#asked.keys()])
      if (question.namespace === namespace) this.#answer(question, refusal);
  }

  /** Hands the client's sign-in to the server; called at each connect. */
  #give(give: (auth: object) => void): void {
    const ends = this.#ends;
    this.#token().then(
      (token) =>
        ends === this.#ends &&
        give({ ...(token === undefined ? {} : { token }), recovery: false, positions: true, gaps: true }),
      (error: unknown) => ends === this.#ends && this.#tokenless(error),
    );
  }

  async #token(): Promise<string | undefined> {
    const token = await this.#getToken({ fresh: this.#wantsFresh });
    this.#wantsFresh = false;
    return token;
  }

  #tokenless(error: unknown): void {
    const known = refusalFrom(error);
    if (!known.retryable) return this.#end("closed", known);
    this.#comeLater(known, known.retryAfterMs ?? BACK_LONGEST_MS);
  }

  async #renew(socket: Socket): Promise<void> {
    try {
      const token = await this.#getToken({ fresh: true });
      if (token !== undefined && socket.connected)
        await socket.timeout(PING_MS).emitWithAck("auth", { token });
    } catch {
      // The connection ends with its token then, and a fresh one is asked for on coming back.
    }
  }

  #connected(): void {
    this.#triedFresh = false;
    this.#oversized = undefined;
    this.#manager.reconnectionDelay(BACK_MS);
    this.#set({ status: "connected", error: undefined, session: this.root.id });
  }

  #refused(error: ConnectError): void {
    // The transport did not come up: the manager tries again by itself.
    if (this.root.active) return this.#set({ status: this.#away(), error });
    const refusal = refusalOf(error, "forbidden");
    const { code, retryAfterMs } = refusal;
    if ((code === "unauthorized" || code === "token_expired") && !this.#triedFresh) {
      this.#triedFresh = this.#wantsFresh = true;
      this.#set({ status: this.#away(), error: refusal });
      return void this.root.connect();
    }
    if (refusal.retryable) return this.#comeLater(refusal, retryAfterMs ?? PAUSE_MS);
    this.#end("closed", refusal);
  }

  #lost(reason: string, details: unknown): void {
    if (this.#restarting || reason === "io client disconnect") return;
    const code = closeCode(details);
    // What was said meanwhile is told after this that the connection is gone.
    this.#oversized = code === TOO_LARGE ? longest(this.#asked.keys()) : undefined;
    const final = FINAL[code];
    if (final) return this.#end("closed", new Refusal({ code: final[0], message: final[1] }));
    if (reason === "io server disconnect")
      return this.#end(
        "closed",
        new Refusal({ code: "forbidden", message: "the server ended the connection" }),
      );
    this.#wantsFresh ||= code === TOKEN_OVER;
    if (PAUSES.includes(code)) this.#manager.reconnectionDelay(PAUSE_MS);
    this.#set({ status: "reconnecting", session: undefined, error: unavailable("the connection was lost") });
  }

  #comeLater(error: Refusal, ms: number): void {
    this.#restarting = true;
    this.root.disconnect();
    this.#restarting = false;
    this.#set({ status: this.#away(), error, session: undefined });
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.root.connect(), ms);
  }

  #away(): "connecting" | "reconnecting" {
    return this.#state.status === "connecting" ? "connecting" : "reconnecting";
  }

  #end(status: "idle" | "closed", error: Error | undefined): void {
    this.#ends += 1;
    clearTimeout(this.#later);
    this.#set({ status, error, session: undefined });
    for (const socket of [...this.#others.values(), this.root]) socket.disconnect();
  }

  #set(changes: Partial<LinkState>): void {
    this.#state = { ...this.#state, ...changes };
    this.#hears.state(this.#state);
  }
}

/** The code of the close frame behind a disconnect; 0 where there is none, such as by polling. */
function closeCode(details: unknown): number {
  const { context, description } = (details ?? {}) as { context?: { code?: unknown }; description?: unknown };
  if (description === TOO_LARGE_STATUS) return TOO_LARGE;
  return typeof context?.code === "number" ? context.code : 0;
}

/** What a server says when it does not let somebody into a namespace. */
type ConnectError = Error & { data?: { code?: string; retryAfterMs?: number } };

function refusalOf({ message, data }: ConnectError, otherwise: string): Refusal {
  return new Refusal({ message, code: data?.code ?? otherwise, retryAfterMs: data?.retryAfterMs });
}

const tooLarge = () => new Refusal({ code: "too_large", message: "more than the server takes" });

/** The longest of what was said: the one that was too large, unless none of it can be. */
function longest(asked: Iterable<Question>): Question | undefined {
  let [most, found]: [number, Question | undefined] = [NEVER_TOO_LARGE, undefined];
  for (const question of asked) {
    const size = sizeOf(question.args);
    if (size > most) [most, found] = [size, question];
  }
  return found;
}

/** The bytes that something takes as a message, what is binary in it included: as JSON that would be nothing, or numbers. */
function sizeOf(args: unknown[]): number {
  const parts: BlobPart[] = [];
  const text = JSON.stringify(args, function (this: Record<string, unknown>, name, value: unknown) {
    const said = this[name] as ArrayBuffer | null | undefined;
    // Buffers and views of them have a length in bytes.
    return said instanceof Blob || said?.byteLength !== undefined ? void parts.push(said) : value;
  });
  return new Blob([text, ...parts]).size;
}
