import type { Rules } from "../followed.ts";
import type {
  AccountView,
  LeaderboardUpdated,
  MarketPrice,
  OrderCancelled,
  OrderExecuted,
  OrderFailed,
  OrderPlaced,
  OrderView,
  PortfolioUpdated,
  PositionClosed,
  PositionUpdated,
  PositionView,
  TradeEnded,
  TradeRoomView,
  TradeSnapshot,
  TradeStarted,
  TradeStateChanged,
} from "../wire.ts";

/** Prices of each symbol that are remembered, the newest last. */
const TICKS = 600;
/** Fills and refusals that are remembered, the newest first. */
const HAPPENED = 50;

/** A price, and when it was: in milliseconds of the room's time. */
export interface Tick {
  at: number;
  price: string;
}

/** What everybody in a room sees. */
export interface Market {
  room: TradeRoomView | undefined;
  /** Prices since somebody here listens, by symbol. */
  ticks: Record<string, Tick[]>;
}

/** An order that waits. */
export type OpenOrder = Omit<OrderView, "amount" | "fees">;

/** What somebody has, as far as events keep it up to date. */
export type HeldAccount = Pick<
  AccountView,
  "userId" | "name" | "cash" | "equity" | "realisedPnl" | "unrealisedPnl" | "journal"
> & { positions: Omit<PositionView, "realisedPnl">[]; openOrders: OpenOrder[] };

/** What one member sees. */
export interface Own {
  account: HeldAccount | undefined;
  /** The newest first. */
  fills: OrderExecuted[];
  /** Orders that could not be done, the newest first. */
  failures: OrderFailed[];
}

/** A room may be removed and made anew under its id: what was known is of another one then. */
const isSame = (before: TradeRoomView | undefined, room: TradeRoomView | undefined): boolean =>
  before?.createdAt === room?.createdAt;

const inRoom = (before: Market, changes: Partial<TradeRoomView>): Market =>
  before.room ? { ...before, room: { ...before.room, ...changes } } : before;

/** How `trade:ROOM` is followed. */
export const MARKET: Rules<Market> = {
  empty: { room: undefined, ticks: {} },
  snapshot: (told, before) => {
    const room = (told as TradeSnapshot).room ?? undefined;
    return { room, ticks: isSame(before.room, room) ? before.ticks : {} };
  },
  events: {
    "market:price": priced,
    "leaderboard:updated": (before, { entries }: LeaderboardUpdated) =>
      inRoom(before, { standings: entries }),
    "room:state_changed": changed,
    "room:started": (before, { startedAt, endsAt }: TradeStarted) =>
      inRoom(before, { startedAt, endsAt: endsAt ?? null }),
    "room:ended": (before, { endedAt, finalOffset, standings }: TradeEnded) =>
      inRoom(before, { state: "ended", endedAt, journal: finalOffset, standings }),
    "room:member_joined": (before) => counted(before, 1),
    "room:member_left": (before) => counted(before, -1),
  },
};

/** Behind a draft nothing has happened yet, whatever is known of a room of the same id. */
function changed(before: Market, { oldState, newState }: TradeStateChanged): Market {
  if (oldState !== "draft") return inRoom(before, { state: newState });
  const nothing = { members: 0, standings: [], prices: [], startedAt: null, endedAt: null, endsAt: null };
  return inRoom({ ...before, ticks: {} }, { state: newState, ...nothing });
}

function priced(before: Market, { symbol, price, at }: MarketPrice): Market {
  const ticks = [...(before.ticks[symbol] ?? []), { at: Date.parse(at), price }].slice(-TICKS);
  const prices = before.room?.prices.filter((one) => one.symbol !== symbol) ?? [];
  return inRoom(
    { ...before, ticks: { ...before.ticks, [symbol]: ticks } },
    {
      prices: [...prices, { symbol, price }],
    },
  );
}

/** How many there are is for people: who came in the moment of the snapshot may be counted twice until the next one. */
const counted = (before: Market, by: 1 | -1): Market =>
  inRoom(before, { members: (before.room?.members ?? 0) + by });

const ofAccount = (before: Own, change: (account: HeldAccount) => Partial<HeldAccount>): Own =>
  before.account ? { ...before, account: { ...before.account, ...change(before.account) } } : before;

const withoutOrder = (before: Own, id: string): Own =>
  ofAccount(before, ({ openOrders }) => ({ openOrders: openOrders.filter(({ orderId }) => orderId !== id) }));

/** How `trade:ROOM:USER` is followed. Events tell how things are, not by how much: the same twice is as good as once. */
export const ACCOUNT: Rules<Own> = {
  empty: { account: undefined, fills: [], failures: [] },
  snapshot: (told, before) => {
    const account = (told as TradeSnapshot).account ?? undefined;
    // A journal only grows: a shorter one is that of another room of the same id.
    const isOther = (account?.journal ?? 0) < (before.account?.journal ?? 0);
    return isOther ? { ...ACCOUNT.empty, account } : { ...before, account };
  },
  events: {
    "order:placed": (before, { order }: OrderPlaced) =>
      ofAccount(withoutOrder(before, order.orderId), ({ openOrders }) => ({
        openOrders: [...openOrders, order],
      })),
    "order:executed": executed,
    "order:cancelled": (before, { orderId }: OrderCancelled) => withoutOrder(before, orderId),
    // What waited and cannot be paid is told by this alone.
    "order:failed": (before, failed: OrderFailed) => ({
      ...ofAccount(before, ({ openOrders }) => ({
        openOrders: openOrders.filter(({ clientOrderId }) => clientOrderId !== failed.clientOrderId),
      })),
      failures: [failed, ...before.failures].slice(0, HAPPENED),
    }),
    "position:updated": (before, position: PositionUpdated) =>
      ofAccount(before, ({ positions }) => ({ positions: withPosition(positions, position) })),
    "position:closed": (before, { symbol }: PositionClosed) =>
      ofAccount(before, ({ positions }) => ({ positions: positions.filter((one) => one.symbol !== symbol) })),
    "portfolio:updated": (before, { cash, equity, realisedPnl, unrealisedPnl }: PortfolioUpdated) =>
      ofAccount(before, () => ({ cash, equity, realisedPnl, unrealisedPnl })),
  },
};

function executed(before: Own, fill: OrderExecuted): Own {
  const { orderId, remaining } = fill;
  const known = { ...before, fills: [fill, ...before.fills].slice(0, HAPPENED) };
  if (remaining === "0") return withoutOrder(known, orderId);
  const left = (order: OpenOrder) => (order.orderId === orderId ? { ...order, remaining } : order);
  return ofAccount(known, ({ openOrders }) => ({ openOrders: openOrders.map(left) }));
}

const withPosition = (
  positions: HeldAccount["positions"],
  { symbol, quantity, averagePrice, markPrice, unrealisedPnl }: PositionUpdated,
): HeldAccount["positions"] =>
  [
    ...positions.filter((one) => one.symbol !== symbol),
    { symbol, quantity, averagePrice, markPrice, unrealisedPnl },
  ].sort((one, other) => (one.symbol < other.symbol ? -1 : 1));
