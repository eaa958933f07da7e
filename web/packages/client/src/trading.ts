import type { Client } from "./client.ts";
import { followed, type Followed } from "./followed.ts";
import { Watched } from "./listeners.ts";
import { Refusal } from "./refusal.ts";
import type { Room, RoomState, RoomStatus } from "./room.ts";
import { digestOf } from "./trading/digest.ts";
import { ACCOUNT, MARKET, type Market, type Own } from "./trading/rules.ts";
import type {
  AccountDigest,
  OrderPlace,
  OrderReply,
  TradeMemberJoined,
  TradeMemberLeft,
  TradeSnapshot,
  TradeStateChanged,
} from "./wire.ts";

export { digestOf } from "./trading/digest.ts";
export {
  ACCOUNT,
  MARKET,
  type HeldAccount,
  type Market,
  type OpenOrder,
  type Own,
  type Tick,
} from "./trading/rules.ts";

/** One try of an order, and how long it is tried, in milliseconds: later it would meet other prices. */
const TRY_MS = 4_000;
const PATIENCE_MS = 10_000;
/** Between two tries, in milliseconds, if the server does not say. */
const AGAIN_MS = 250;

/** Whether what is known of an account is what the server knows. */
export interface Proof {
  /** What the newest digest said; nothing before the first. */
  inStep: boolean | undefined;
  /** Digests that held. */
  held: number;
  /** How often one did not, and everything was asked for anew. */
  resyncs: number;
  /** The entry of the room's journal behind which the newest held. */
  seq: number | undefined;
}

/** How many orders the room took of this member when it was last heard, and when that was by this machine's clock. */
export interface Budget {
  left: number;
  at: number;
}

/** How long until a room that was closed is asked for again, and at most after that was in vain, in milliseconds. */
const ANEW_MS = 1_000;
const ANEW_MOST_MS = 60_000;

/** A room of trading as it is known. */
export interface TradingState extends Market, Own {
  status: RoomStatus;
  error: Refusal | undefined;
  /** How far one's own part is; `refused` for who is no member. */
  own: RoomStatus;
  me: string | undefined;
  proof: Proof;
  budget: Budget | undefined;
}

/** An order as it is asked for; an id is made where there is none. */
export type Order = Omit<OrderPlace, "roomId" | "clientOrderId"> & { clientOrderId?: string };

const EMPTY: TradingState = {
  ...MARKET.empty,
  ...ACCOUNT.empty,
  status: "idle",
  error: undefined,
  own: "idle",
  me: undefined,
  proof: { inStep: undefined, held: 0, resyncs: 0, seq: undefined },
  budget: undefined,
};

const all = new WeakMap<Room, TradingRoom>();

/** A room of trading, by its id: the same object for all who ask. */
export function tradingRoom(client: Client, roomId: string): TradingRoom {
  const room = client.room(`trade:${roomId}`);
  const known = all.get(room) ?? new TradingRoom(client, roomId, room);
  all.set(room, known);
  return known;
}

/**
 * A room of trading: prices and standings, and for members their account, orders and positions, kept live while somebody is in it.
 *
 * Each digest of the account that the server tells is checked against what was made of the snapshot and the events. Where it
 * does not hold, something was missed: the account is asked for anew, and that is counted.
 *
 * A room that is removed is forgotten, with the account. One that is made anew under its id is entered as soon as it is there.
 */
export class TradingRoom {
  readonly id: string;
  readonly #client: Client;
  readonly #state = new Watched<TradingState>(EMPTY);
  readonly #public: Room;
  readonly #market: Followed<Market>;
  #room: Room | undefined;
  #account: Followed<Own> | undefined;
  #holders = 0;
  #leave: (() => void) | undefined;
  #leaveOwn: (() => void) | undefined;
  /** The newest entry that the newest snapshot has: what is summed up before it is of another moment. */
  #since = 0;
  #renewing = false;
  /** How often a room was asked for since the one before was closed; nothing if it was not. */
  #tries: number | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;

  /** For `tradingRoom`: it listens as long as the room is there. */
  constructor(client: Client, roomId: string, room: Room) {
    this.id = roomId;
    this.#client = client;
    this.#public = room;
    this.#market = followed(room, MARKET);
    this.#market.watch(() => this.#shows(this.#market.state));
    room.watch(() => this.#stood(room.state));
    // Behind a draft nothing has happened yet: who was away hears so of a room that was made anew.
    room.on("room:state_changed", ({ oldState }: TradeStateChanged) => oldState === "draft" && this.#other());
    room.on("room:member_joined", ({ userId }: TradeMemberJoined) => this.#came(userId));
    room.on("room:member_left", ({ userId }: TradeMemberLeft) => this.#went(userId));
  }

  /** What is known; another object after each change. */
  get state(): TradingState {
    return this.#state.value;
  }

  /** Calls `watcher` after each change of `state`; answers what ends that. */
  watch(watcher: () => void): () => void {
    return this.#state.watch(watcher);
  }

  /** Keeps it live until what is answered is called. */
  enter(): () => void {
    this.#holders += 1;
    if (this.#holders === 1) {
      this.#leave = this.#public.enter();
      void this.#enterOwn();
    }
    let mine = true;
    return () => {
      if (!mine) return;
      mine = false;
      this.#holders -= 1;
      if (this.#holders > 0) return;
      clearTimeout(this.#again);
      this.#tries = undefined;
      this.#leave?.();
      this.#leaveOwn?.();
      this.#leaveOwn = undefined;
    };
  }

  /**
   * Places an order, and tries again for ten seconds where nobody answers: under one id it is one order.
   *
   * Rejects with a `Refusal`, whose message begins with the room's own code.
   */
  async place(order: Order): Promise<OrderReply> {
    const { clientOrderId = newId(), ...rest } = order;
    const data = { roomId: this.id, clientOrderId, ...rest };
    return this.#ordered(() => this.#client.command("/trading", "order:place", data, { timeoutMs: TRY_MS }));
  }

  /** Cancels what is left of an order. */
  async cancel(orderId: string): Promise<OrderReply> {
    const data = { roomId: this.id, orderId };
    return this.#ordered(() => this.#client.command("/trading", "order:cancel", data, { timeoutMs: TRY_MS }));
  }

  async #ordered(ask: () => Promise<OrderReply>): Promise<OrderReply> {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        const reply = await ask();
        this.#state.set({ budget: { left: reply.ordersRemaining, at: Date.now() } });
        return reply;
      } catch (error) {
        const left = error instanceof Refusal ? error.ordersRemaining : undefined;
        if (left !== undefined) this.#state.set({ budget: { left, at: Date.now() } });
        const unanswered = error instanceof Refusal && error.code === "unavailable";
        const after = (error as Refusal).retryAfterMs ?? AGAIN_MS;
        if (!unanswered || Date.now() + after > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, after));
      }
    }
  }

  #shows(market: Market): void {
    const before = this.state.room?.createdAt;
    this.#state.set(market);
    const { room } = market;
    if (before === undefined || room === undefined || room.createdAt === before) return;
    this.#forget();
    this.#room?.renew();
  }

  /** It is another room of the same id, of which no more is known than what has just been heard. */
  #other(): void {
    this.#forget();
    this.#public.renew();
    this.#room?.renew();
  }

  #stood({ status, error }: RoomState): void {
    this.#state.set({ status, error });
    if (status === "left" && error?.code === "closed" && this.#holders > 0) {
      this.#tries = 0;
      this.#market.forget();
      this.#forget();
      this.#comeLater();
    } else if (status === "refused" && this.#tries !== undefined) this.#comeLater();
    else if (status === "live" && this.#tries !== undefined) {
      this.#tries = undefined;
      this.#leaveOwn?.();
      this.#leaveOwn = this.#room?.enter({ afresh: true });
    }
  }

  /** What is known of the account was of a room that is no more. */
  #forget(): void {
    this.#account?.forget();
    this.#since = 0;
    this.#renewing = false;
    this.#state.set({ proof: EMPTY.proof, budget: undefined });
  }

  #comeLater(): void {
    const tries = this.#tries ?? 0;
    this.#tries = tries + 1;
    clearTimeout(this.#again);
    this.#again = setTimeout(
      () => {
        this.#leave?.();
        // What was missed may be of the room before.
        this.#leave = this.#public.enter({ afresh: true });
      },
      Math.min(ANEW_MS * 2 ** tries, ANEW_MOST_MS),
    );
  }

  async #enterOwn(): Promise<void> {
    // Without a token there is nobody to have an account.
    const me = await this.#client.userId().catch(() => undefined);
    if (me === undefined || this.#holders === 0 || this.#leaveOwn) return;
    this.#state.set({ me });
    this.#follow(this.#client.room(`trade:${this.id}:${me}`));
    this.#leaveOwn = this.#room?.enter();
  }

  #follow(room: Room): void {
    if (this.#room === room) return;
    this.#room = room;
    const account = followed(room, ACCOUNT);
    this.#account = account;
    account.watch(() => this.#state.set(account.state));
    // Behind what `followed` makes of the same.
    room.onNotice("snapshot", (told) => this.#stands(told as TradeSnapshot));
    room.on("account:digest", (digest: AccountDigest) => this.#check(digest));
    room.watch(() => this.#owns(room.state.status));
    this.#state.set({ ...account.state, own: room.state.status });
  }

  #owns(own: RoomStatus): void {
    // What was asked for when the connection was lost is not answered any more; the next digest asks again.
    if (own !== "live") this.#renewing = false;
    this.#state.set(own === "refused" || own === "left" ? { own, account: undefined } : { own });
  }

  #stands({ account }: TradeSnapshot): void {
    this.#renewing = false;
    if (!account) return;
    const { journal, ordersRemaining, digest } = account;
    this.#since = journal;
    this.#state.set({ budget: { left: ordersRemaining, at: Date.now() } });
    // Asking once more would bring the same.
    this.#proven({ inStep: this.#digest() === digest, seq: journal });
  }

  #check({ seq, digest }: AccountDigest): void {
    if (this.#renewing || seq < this.#since) return;
    const { held, resyncs } = this.state.proof;
    if (this.#digest() === digest) return this.#proven({ inStep: true, held: held + 1, seq });
    this.#proven({ inStep: false, resyncs: resyncs + 1 });
    this.#renewing = true;
    this.#room?.renew();
  }

  #proven(proof: Partial<Proof>): void {
    this.#state.set({ proof: { ...this.state.proof, ...proof } });
  }

  #digest(): string | undefined {
    const account = this.#account?.state.account;
    return account && digestOf(account.userId, account.cash, account.positions);
  }

  /** Who was no member a moment ago asks again. */
  #came(userId: string): void {
    if (userId !== this.state.me || this.#holders === 0) return;
    this.#leaveOwn?.();
    this.#leaveOwn = this.#room?.enter();
  }

  #went(userId: string): void {
    if (userId !== this.state.me) return;
    this.#leaveOwn?.();
    this.#leaveOwn = undefined;
    this.#state.set({ account: undefined });
  }
}

/** How many orders the room takes of this member now: what it took when it was last heard, and what has come since. */
export function ordersLeft({ budget, room }: TradingState, now = Date.now()): number | undefined {
  if (!budget || !room) return undefined;
  const { ordersPerSecond = 10, orderBurst = 20, speed = 1 } = room.rules;
  const came = Math.floor(((now - budget.at) / 1_000) * ordersPerSecond * speed);
  return Math.min(orderBurst, budget.left + Math.max(0, came));
}

/** An id nobody else's order has; pages without TLS have no `randomUUID`. */
const newId = () =>
  Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join("-");
