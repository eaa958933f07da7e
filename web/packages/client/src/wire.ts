// Made by `tidings types`. Changes belong into the types of the server.
/** What a member has, summed up; behind every sixteenth event of an account, and told with what it sums up. */
export interface AccountDigest {
  /** The SHA-256 of `user`, cash, and `SYMBOL quantity` by symbol, each on a line, as hexadecimal digits. */
  digest: string;
  /** In which room. */
  roomId: string;
  /** The entry of the room's journal behind which it holds. */
  seq: number;
  /** Whose. */
  userId: string;
}

/** What a member has. */
export interface AccountView {
  /** Cash. */
  cash: string;
  /** The digest of cash and positions. */
  digest: string;
  /** The largest part of a peak that was lost. */
  drawdown: string;
  /** Cash and what positions are worth. */
  equity: string;
  /** All fees. */
  fees: string;
  /** The newest entry of the room's journal that it knows of. */
  journal: number;
  /** By which name. */
  name: string;
  /** Open orders, the oldest first. */
  openOrders: Array<OrderView>;
  /** How many orders the room takes now. */
  ordersRemaining: number;
  /** Positions, by symbol. */
  positions: Array<PositionView>;
  /** Profit from what was sold, less all fees. */
  realisedPnl: string;
  /** Cash that is kept for open orders. */
  reserved: string;
  /** Orders of which something was filled. */
  trades: number;
  /** The profit there would be if everything were sold. */
  unrealisedPnl: string;
  /** Whose. */
  userId: string;
}

/** What friends do. */
export type Activity = {
  type: "online";
} | {
  type: "offline";
} | {
  /** The rating after it. */
  eloRating: number;
  /** Which. */
  matchId: string;
  /** `win`, `loss` or `draw`. */
  result: string;
  type: "match";
} | {
  /** What. */
  achievement: Reached;
  type: "achievement";
};

/** Recorded events were held back because the client reads too slowly; they follow. */
export interface Behind {
  /** How many. */
  events: number;
}

/** What is answered to a subscription. */
export interface BoardReply {
  /** The room one is in, or was. */
  room: string;
  /** How it stands; of those who leave nothing. */
  snapshot?: BoardSnapshot | null;
}

/** How a board or a window stands: what was told of it last. */
export interface BoardSnapshot {
  /** The country's code, of a country's board. */
  country?: string | null;
  /** Those that are shown, the best first. */
  entries: Array<Entry>;
  /** Which kind of board. */
  scope: ScopeKind;
  /** The session, of a session's board. */
  sessionId?: string | null;
  /** How many are on the board. */
  total: number;
}

/** The top of a board. */
export interface BoardUpdate {
  /** The country's code, of a country's board. */
  country?: string | null;
  /** Whose place has changed since the last of these messages. */
  diff: Array<Step>;
  /** The whole top, the best first. */
  entries: Array<Entry>;
  /** Which kind of board. */
  scope: ScopeKind;
  /** The session, of a session's board. */
  sessionId?: string | null;
}

/** Which board, and which part of it. */
export interface BoardWish {
  /** The country's code (two letters), of a country's board. */
  country?: string | null;
  /** Which kind of board. */
  scope: ScopeKind;
  /** The session, of a session's board. */
  sessionId?: string | null;
  /** A window instead of the whole board. */
  window?: WindowWish | null;
}

/** How somebody is shown. */
export interface Called {
  /** The country's code; null for none. */
  country?: string | null;
  /** By which name. */
  displayName: string;
}

/** What is answered of a switch. */
export interface CancelAfterReply {
  /** When open orders are cancelled, in the room's time; never, if not said. */
  cancelAt?: string | null;
  /** In which room. */
  roomId: string;
}

/** A command without acknowledgement was refused. */
export interface CommandRefused {
  command: string;
  error: unknown;
}

/** How many are in a room. */
export interface Counts {
  connections: number;
  users: number;
}

/** What became of an event whose recipients were asked to acknowledge it. */
export interface Delivered {
  counts: DeliveryCounts;
  /** It is kept as a dead letter. */
  deadLetter: boolean;
  messageId: string;
  /** `acknowledged`, `partly`, `timed_out` or `nobody`. */
  outcome: string;
  room: string;
  /** How often it was sent. */
  tries: number;
  /** The user it was for, if it was for one. */
  userId?: string | null;
  /** Who they are, for servers. */
  users?: unknown;
}

/** How many recipients came how far. */
export interface DeliveryCounts {
  acknowledged: number;
  busy: number;
  gone: number;
  recipients: number;
  sent: number;
  timedOut: number;
}

/** By how much a rating has changed. */
export interface EloChange {
  /** By how many points. */
  change: number;
  /** Whose. */
  playerId: string;
}

/** A rating has changed. */
export interface EloUpdate {
  /** The difference. */
  change: number;
  /** What it is. */
  newRating: number;
  /** What it was. */
  oldRating: number;
  /** Whose. */
  playerId: string;
  /** Why: `match:ID`, or `void:ID` for a correction. */
  reason: string;
}

/** A place on a board. */
export interface Entry {
  /** The country's code, if one is known. */
  country?: string | null;
  /** By which name. */
  displayName: string;
  /** The rating, in points. */
  eloRating: number;
  /** Who. */
  playerId: string;
  /** The place, counted from 1. */
  rank: number;
}

/** Why an order cannot be done. */
export interface FailedReason {
  /** The code to branch on. */
  code: TradeRefusal;
  /** A sentence for people. */
  message: string;
}

/** A friend has done something. */
export interface FriendActivity {
  /** What. */
  activity: Activity;
  /** Which friend. */
  playerId: string;
}

/** Something of a room is missing and will not come. */
export interface Gap {
  from?: number | null;
  reason: string;
  resumeAt?: number | null;
  room?: string | null;
  to?: number | null;
}

/** A rating by Glicko-2. */
export interface Glicko2 {
  /** Its deviation. */
  deviation: number;
  /** The rating. */
  rating: number;
  /** The volatility. */
  volatility: number;
}

/** What is answered to who comes and goes. */
export interface HearReply {
  /** The room. */
  roomId: string;
  /** What one hears now, or does not any more: the room, and for members what is their own. */
  rooms: Array<string>;
  /** How the room and the account stand, for those who come. */
  snapshot?: TradeSnapshot | null;
}

/** A part of a history. */
export interface History {
  /** Whether nothing between `since` and the first event is missing; there with `since`. */
  complete?: boolean | null;
  epoch?: string | null;
  events: Array<PastEvent>;
  /** There is more. */
  more: boolean;
  room: string;
}

/** Something that is traded in a room. */
export interface Instrument {
  /** The step of quantities. */
  lotSize: string;
  /** The largest position of one member, with what is ordered for it. */
  maxPosition: string;
  /** The highest price that is taken. */
  maxPrice: string;
  /** The largest order. */
  maxQuantity: string;
  /** The smallest order. */
  minQuantity: string;
  /** Its name: capitals, digits and `. _ - /`. */
  symbol: string;
  /** The step of prices. */
  tickSize: string;
}

/** How urgent an event is. */
export type LaneName = "critical" | "high" | "normal" | "low";

/** Where somebody stands. */
export interface LeaderboardEntry {
  /** By which name. */
  name: string;
  /** Cash and what positions are worth. */
  portfolioValue: string;
  /** The place, counted from 1. */
  rank: number;
  /** Who. */
  userId: string;
  /** What members are compared by. */
  value: string;
}

/** Where everybody stands: the first hundred of them. */
export interface LeaderboardUpdated {
  /** The first of them, in order. */
  entries: Array<LeaderboardEntry>;
  /** In which room. */
  roomId: string;
}

/** The server stops, and this connection with it. */
export interface Leaving {
  /** After how many milliseconds the connection is closed. */
  afterMs: number;
}

/** The client was taken out of a room, or may not go back into it. */
export interface Left {
  /** Whether it is still kept for the user. */
  kept?: boolean | null;
  reason: string;
  room: string;
}

/** What something costs now; of a symbol four times a second at most, and not kept. */
export interface MarketPrice {
  /** When, in the room's time. */
  at: string;
  /** The price. */
  price: string;
  /** In which room. */
  roomId: string;
  /** What. */
  symbol: string;
}

/** What a player does. */
export interface MatchAct {
  /** What: `ready`, `pause` and `resume` change the match; everything else is passed on. */
  action: string;
  /** What belongs to it, of at most 4 KiB. */
  data?: unknown;
  /** The match. */
  matchId: string;
}

/** What has changed in a match; what is not said is as it was. */
export interface MatchChange {
  /** Which round it is. */
  currentRound?: number | null;
  /** Scores that have changed. */
  scores?: Array<Score> | null;
  /** How it stands. */
  status?: Status | null;
}

/** A match is over. */
export interface MatchCompleted {
  /** Which match. */
  matchId: string;
  /** How it ended. */
  result: Outcome;
}

/** How a match has ended, as a server says it. */
export interface MatchEnd {
  /** The match. */
  matchId: string;
  /** In which way. */
  resultType: ResultType;
  /** Scores that have changed. */
  scores?: Array<Score> | null;
  /** Who has won; nobody in a draw. */
  winnerId?: string | null;
}

/** Somebody in a match. */
export interface MatchPlayer {
  /** By which name. */
  displayName: string;
  /** The rating now. */
  eloRating: number;
  /** Who. */
  id: string;
  /** Whether this player said `ready`. */
  ready: boolean;
  /** The score. */
  score: number;
}

/** What is answered on `/matches`. */
export interface MatchReply {
  /** The match. */
  matchId: string;
  /** The room one is in, or was. */
  room?: string | null;
  /** The number of the result in its organisation, for those who submit one. */
  sequence?: number | null;
  /** How the match stands, for those who come and those who end it. */
  snapshot?: MatchView | null;
}

/** A match has begun. */
export interface MatchStarted {
  /** Its format. */
  format: string;
  /** Which match. */
  matchId: string;
  /** Who plays. */
  players: Array<Starter>;
  /** When. */
  startTime: string;
}

/** A match stands otherwise. */
export interface MatchUpdated {
  /** Which match. */
  matchId: string;
  /** What has changed. */
  update: MatchChange;
}

/** A match as it stands. */
export interface MatchView {
  /** When it was made. */
  createdAt: string;
  /** The round, counted from 0. */
  currentRound: number;
  /** When it ended. */
  endedAt?: string | null;
  /** Its format, in the studio's words. */
  format: string;
  /** Its id. */
  id: string;
  /** The highest score there can be. */
  maxScore: number;
  /** Who plays. */
  players: Array<MatchPlayer>;
  /** How it ended. */
  result?: Outcome | null;
  /** The session it is of, if any. */
  sessionId?: string | null;
  /** When it was started. */
  startTime?: string | null;
  /** How it stands. */
  status: Status;
  /** Why it does not count. */
  voidReason?: string | null;
}

/** Which match. */
export interface MatchWish {
  /** The match. */
  matchId: string;
}

/** Somebody in a room. */
export interface Member {
  devices?: number | null;
  /** What it says of itself. */
  info?: unknown;
  lastSeen?: string | null;
  name?: string | null;
  status?: string | null;
  userId?: string | null;
}

/** Nothing. */
export type Nothing = Record<string, never>;

/** Which part of a history is wanted. */
export interface OfHistory {
  /** How many at most. */
  limit?: number | null;
  /** The room's name. */
  room: string;
  /** Everything after this; without it the newest. */
  since?: Position | null;
}

/** Whose presence is wanted. */
export interface OfPresence {
  /** Which page, from 0. */
  page?: number | null;
  /** The room's name. */
  room: string;
}

/** A room. */
export interface OfRoom {
  /** What is kept for the user ends as well, whichever of its devices made it. */
  persist?: boolean | null;
  /** The room's name. */
  room: string;
}

/** A user came, or is gone. */
export interface OfUser {
  userId: string;
}

/** Somebody comes or goes. */
export interface OnBoard {
  /** The country's code, of a country's board. */
  country?: string | null;
  /** By which name. */
  displayName: string;
  /** The rating. */
  eloRating: number;
  /** Who. */
  playerId: string;
  /** Which kind of board. */
  scope: ScopeKind;
  /** The session, of a session's board. */
  sessionId?: string | null;
}

/** An order of which nothing is wanted any more. */
export interface OrderCancel {
  /** Which order. */
  orderId: string;
  /** In which room. */
  roomId: string;
}

/** After how long a member's open orders are cancelled. */
export interface OrderCancelAfter {
  /** How long, in milliseconds of the room's time; never, if not said. */
  afterMs?: number | null;
  /** In which room. */
  roomId: string;
}

/** What is left of an order is not wanted any more. */
export interface OrderCancelled {
  /** Which order. */
  orderId: string;
  /** How much of it was not filled. */
  remaining: string;
  /** In which room. */
  roomId: string;
}

/** Something of an order is filled. */
export interface OrderExecuted {
  /** The client's own id of it. */
  clientOrderId: string;
  /** When, in the room's time. */
  executedAt: string;
  /** The fee. */
  fee: string;
  /** Which order. */
  orderId: string;
  /** At which price. */
  price: string;
  /** How much. */
  quantity: string;
  /** How much of the order is left. */
  remaining: string;
  /** In which room. */
  roomId: string;
  /** Which way. */
  side: OrderSide;
  /** What. */
  symbol: string;
}

/** An order, or what is left of it, cannot be done. */
export interface OrderFailed {
  /** The client's own id of it. */
  clientOrderId: string;
  /** Why. */
  reason: FailedReason;
  /** In which room. */
  roomId: string;
}

/** An order that is placed. */
export interface OrderPlace {
  /** The client's own id of it; a repeat of the same order under it is the same order. */
  clientOrderId: string;
  /** The limit. */
  price?: string | null;
  /** How much. */
  quantity: string;
  /** In which room. */
  roomId: string;
  /** Which way. */
  side: OrderSide;
  /** What wakes a stop order. */
  stopPrice?: string | null;
  /** What is traded. */
  symbol: string;
  /** How it is filled. */
  type: OrderType;
}

/** An order is placed, and something of it waits; what is filled at once is told before it, as `order:executed`, and what is filled at once as a whole is told by that alone. */
export interface OrderPlaced {
  /** The order as it stands. */
  order: OrderView;
  /** In which room. */
  roomId: string;
}

/** What is answered on `/trading`. */
export interface OrderReply {
  /** The client's own id of it. */
  clientOrderId: string;
  /** It was placed before, and this is how it stands now. */
  duplicate?: boolean | null;
  /** The order. */
  orderId: string;
  /** How many more orders the room takes of this member now. */
  ordersRemaining: number;
  /** How much of it is not filled. */
  remainingQuantity: string;
  /** In which room. */
  roomId: string;
  /** How it stands. */
  status: OrderStatus;
}

/** Which way. */
export type OrderSide = "buy" | "sell";

/** How an order stands. */
export type OrderStatus = "open" | "filled" | "cancelled" | "failed";

/** How an order is filled. */
export type OrderType = "market" | "limit" | "stop";

/** An order. */
export interface OrderView {
  /** What was paid or got for it up to now, without fees. */
  amount: string;
  /** The client's own id of it. */
  clientOrderId: string;
  /** Fees up to now. */
  fees: string;
  /** Its id. */
  orderId: string;
  /** When it was placed, in the room's time. */
  placedAt: string;
  /** The limit. */
  price?: string | null;
  /** How much was asked for. */
  quantity: string;
  /** How much of it is not filled. */
  remaining: string;
  /** Which way. */
  side: OrderSide;
  /** How it stands. */
  status: OrderStatus;
  /** What wakes it. */
  stopPrice?: string | null;
  /** What. */
  symbol: string;
  /** How it is filled. */
  type: OrderType;
}

/** How a match has ended. */
export interface Outcome {
  /** By how much each rating has changed. */
  eloChanges: Array<EloChange>;
  /** Who has lost. */
  loserIds: Array<string>;
  /** In which way. */
  resultType: ResultType;
  /** Who has won; nobody in a draw. */
  winnerId?: string | null;
}

/** An event of a history. */
export interface PastEvent {
  /** When it was accepted. */
  at: string;
  data: unknown;
  event: string;
  messageId: string;
  offset: number;
}

/** A player has done something. */
export interface PlayerAction {
  /** What. */
  action: string;
  /** What the player said with it, if anything. */
  data: unknown;
  /** In which match. */
  matchId: string;
  /** Who. */
  playerId: string;
  /** When. */
  timestamp: string;
}

/** How a player stands, for whoever comes into `player:ID`. */
export interface PlayerView {
  /** What was reached. */
  achievements: Array<Reached>;
  /** The most of them. */
  bestStreak: number;
  /** The country's code, if one is known. */
  country?: string | null;
  /** The place in the country. */
  countryRank?: number | null;
  /** When the player came. */
  createdAt: string;
  /** By which name. */
  displayName: string;
  /** Those without a winner. */
  draws: number;
  /** The rating. */
  eloRating: number;
  /** Matches that counted. */
  games: number;
  /** The same by Glicko-2. */
  glicko2: Glicko2;
  /** Who. */
  id: string;
  /** Those lost. */
  losses: number;
  /** Whether the player is connected. */
  online: boolean;
  /** The highest rating. */
  peakRating: number;
  /** The place among all. */
  rank?: number | null;
  /** Wins in a row, up to now. */
  streak: number;
  /** Those won. */
  wins: number;
}

/** What a member has is another, or is worth something else. */
export interface PortfolioUpdated {
  /** Cash. */
  cash: string;
  /** Cash and what positions are worth. */
  equity: string;
  /** Profit from what was sold, less all fees. */
  realisedPnl: string;
  /** In which room. */
  roomId: string;
  /** The profit there would be if everything were sold. */
  unrealisedPnl: string;
  /** Whose. */
  userId: string;
}

/** Where a client's knowledge of a room ends. */
export interface Position {
  /** The generation of the room's history. */
  epoch: string;
  /** Counts the room's events from 1, without holes. */
  offset: number;
  /** Proves which event stands there. */
  tag?: string | null;
}

/** A position is none any more. */
export interface PositionClosed {
  /** Its profit with all of its fees. */
  realisedPnl: string;
  /** In which room. */
  roomId: string;
  /** What. */
  symbol: string;
  /** Whose. */
  userId: string;
}

/** A position is another, or is worth something else. */
export interface PositionUpdated {
  /** What one of it cost, without fees. */
  averagePrice: string;
  /** The price it is valued at. */
  markPrice: string;
  /** How much. */
  quantity: string;
  /** In which room. */
  roomId: string;
  /** What. */
  symbol: string;
  /** The profit there would be if it were sold at that. */
  unrealisedPnl: string;
  /** Whose. */
  userId: string;
}

/** A position. */
export interface PositionView {
  /** What one of it cost, without fees. */
  averagePrice: string;
  /** The price it is valued at. */
  markPrice: string;
  /** How much. */
  quantity: string;
  /** Profit from what was sold of it, less all of its fees. */
  realisedPnl: string;
  /** What. */
  symbol: string;
  /** The profit there would be if it were sold at that. */
  unrealisedPnl: string;
}

/** Who is in a room. */
export interface Presence {
  counts: Counts;
  members?: Array<Member> | null;
  more: boolean;
  room: string;
}

/** What others are to see of the one who says it. */
export interface PresenceSet {
  /** Whether somebody is at this device. */
  active?: boolean | null;
  /** What it says of itself, up to 1,024 bytes; `null` takes it back. */
  info?: unknown;
  /** Its status in every room; `auto`: what the server decides. */
  status?: WantedStatus | null;
  /** Until when, in milliseconds since 1970. */
  until?: number | null;
}

/** What others see of the one who said it. */
export interface PresenceWas {
  /** Its status. */
  status: string;
  /** Until when, in milliseconds since 1970. */
  until?: number | null;
}

/** The newest price of an instrument. */
export interface PriceView {
  /** The price. */
  price: string;
  /** What. */
  symbol: string;
}

/** A profile has changed. */
export interface ProfileUpdated {
  /** The fields that have changed, with what they are now. */
  changes: unknown;
  /** Whose. */
  playerId: string;
}

/** An event for a room. */
export interface PublishEvent {
  /** The event's data. */
  data: unknown;
  /** The event's name. */
  event: string;
  /** The publisher does not hear it. */
  exceptSelf?: boolean | null;
  /** Under it the event is published once. */
  key?: string | null;
  /** How urgent it is. */
  lane?: LaneName | null;
  /** Its recipients are asked to acknowledge it. */
  receipt?: Receipt | null;
  /** The room's name. */
  room: string;
  /** What it is about, such as the symbol of a price: of one name and slot the newest counts. */
  slot?: string | null;
  /** It is not kept, even if the room keeps events. */
  volatile?: boolean | null;
}

/** What became of an event. */
export interface PublishedEvent {
  /** It was published before under this key. */
  duplicate?: boolean | null;
  /** How safe it is: `memory` or `synced`. */
  durability: string;
  epoch?: string | null;
  /** It waits for the room's pace: it has no position yet, and is not heard if a newer one takes its place. */
  held?: boolean | null;
  messageId: string;
  offset?: number | null;
  /** How its recipients are asked to acknowledge it, if they are. */
  receipt?: Receipt | null;
  /** How many more the budget lets through now; there where something is limited. */
  remaining?: number | null;
  room: string;
  tag?: string | null;
}

/** Somebody's place has changed. */
export interface RankChange {
  /** The country's code, of a country's board. */
  country?: string | null;
  /** By how many points the rating has changed. */
  eloChange: number;
  /** The place after. */
  newRank?: number | null;
  /** The place before; null for somebody who was not there. */
  oldRank?: number | null;
  /** Who. */
  playerId: string;
  /** Which kind of board. */
  scope: ScopeKind;
  /** The session, of a session's board. */
  sessionId?: string | null;
}

/** Somebody's place is another. */
export interface RankingChanged {
  /** Where now. */
  newRank: number;
  /** Where before, if anywhere. */
  oldRank?: number | null;
  /** In which room. */
  roomId: string;
  /** Who. */
  userId: string;
}

/** What somebody has reached. */
export interface Reached {
  /** When. */
  at: string;
  /** Its id. */
  id: string;
  /** Its name for people. */
  title: string;
}

/** How recipients are asked to acknowledge an event; `true` in its place is the same as `{}`. */
export interface Receipt {
  /** Milliseconds each try may take, 100 to 60,000; 5,000 if not said. */
  timeoutMs?: number | null;
  /** How often it is sent at most, 1 to 10; 3 if not said. */
  tries?: number | null;
}

/** A token that takes the place of the one before. */
export interface Renew {
  /** The token. */
  token: string;
}

/** Until when a sign-in is good. */
export interface Renewed {
  /** When the token ends. */
  expiresAt?: string | null;
}

/** How a match has ended. */
export type ResultType = "win" | "draw" | "forfeit" | "timeout";

/** A room is up to date again. */
export interface Resumed {
  epoch: string;
  offset: number;
  room: string;
}

/** Which room. */
export interface RoomWish {
  /** The room. */
  roomId: string;
}

/** Who is in a room, for a newcomer. */
export interface Roster {
  counts: Counts;
  members?: Array<Member> | null;
  version: number;
}

/** Who came to a room and who went. */
export interface RosterChanged {
  changed?: Array<Member> | null;
  counts: Counts;
  joined?: Array<Member> | null;
  left?: Array<Member> | null;
  /** Some changes were left out: `presence` says what there is. */
  reread?: boolean | null;
  room: string;
  /** Counts up by one with each event. */
  version: number;
}

/** Which board. */
export type ScopeKind = "global" | "country" | "session";

/** Somebody's score. */
export interface Score {
  /** Whose. */
  playerId: string;
  /** How much. */
  score: number;
}

/** Somebody stands elsewhere, or where it was before with another rating, name or country. */
export interface Shift {
  /** How the player is shown from now on, if that is another name or country. */
  called?: Called | null;
  /** The rating now. */
  eloRating: number;
  /** The place before. */
  from: number;
  /** Who. */
  playerId: string;
  /** The place now. */
  to: number;
}

/** Volatile events were left out because the client reads too slowly. */
export interface Skipped {
  count: number;
  /** Of this room; of several or of none without it. */
  room?: string | null;
}

/** The standings of a moment are kept. */
export interface SnapshotCreated {
  /** When, in the room's time. */
  at: string;
  /** The first hundred, in order. */
  entries: Array<LeaderboardEntry>;
  /** In which room. */
  roomId: string;
  /** By which id they are found. */
  snapshotId: string;
}

/** Somebody who starts in a match. */
export interface Starter {
  /** By which name. */
  displayName: string;
  /** With which rating. */
  eloRating: number;
  /** Who. */
  id: string;
}

/** How a match stands. */
export type Status = "created" | "ready" | "started" | "paused" | "completed" | "voided";

/** A changed place. */
export interface Step {
  /** Places up, or down if negative; 0 for somebody who was not in the top before. */
  moved: number;
  /** The place before; null for somebody who was not in the top before. */
  oldRank?: number | null;
  /** Whose. */
  playerId: string;
}

/** What is wanted of a room. */
export interface Subscribe {
  /** Only events of these names. */
  events?: Array<string> | null;
  /** Only events of this lane and of more urgent ones. */
  minLane?: LaneName | null;
  /** It is kept for the user, who is back in the room whenever it asks for what is kept. */
  persist?: boolean | null;
  /** So many of the newest events are sent first. */
  rewind?: number | null;
  /** The room's name, `kind:id`. */
  room: string;
  /** Everything after this is sent first. */
  since?: Position | null;
}

/** Where a newcomer stands. */
export interface Subscribed {
  epoch?: string | null;
  offset?: number | null;
  /** Who is there, if the room's kind shows it. */
  presence?: Roster | null;
  /** Whether nothing is missing; there if `since` or `rewind` was given. */
  recovered?: boolean | null;
  room: string;
  /** How the room stands, if an app keeps it. */
  snapshot?: unknown;
  tag?: string | null;
}

/** The sign-in ends soon. */
export interface TokenEnds {
  /** When the token ends. */
  expiresAt: string;
}

/** Trading has ended. */
export interface TradeEnded {
  /** When, in the room's time. */
  endedAt: string;
  /** The number of the entry of the room's journal at which it ended: what is before it counts. It is no offset of an event. */
  finalOffset: number;
  /** In which room. */
  roomId: string;
  /** The first hundred, in order. */
  standings: Array<LeaderboardEntry>;
}

/** What members are compared by. */
export type TradeMeasure = "absolute" | "roi" | "timeWeighted";

/** Somebody is in. */
export interface TradeMemberJoined {
  /** By which name. */
  name: string;
  /** In which room. */
  roomId: string;
  /** Who. */
  userId: string;
}

/** Somebody is out. */
export interface TradeMemberLeft {
  /** Out of which room. */
  roomId: string;
  /** Who. */
  userId: string;
}

/** How members of a room are ranked. Who does not qualify stands behind everybody who does. */
export interface TradeRanking {
  /** The largest part of a peak that one may ever have lost: 0.2 is a fifth. */
  maxDrawdown?: string | null;
  /** What they are compared by. */
  measure?: TradeMeasure;
  /** How many orders have to be filled, at least in part. */
  minTrades?: number | null;
}

/** Why a room says no. The name on the wire is what programs branch on. */
export type TradeRefusal = "not_a_member" | "already_a_member" | "room_not_running" | "room_state" | "room_busy" | "room_full" | "unknown_symbol" | "no_price" | "bad_tick" | "bad_size" | "bad_order" | "insufficient_cash" | "insufficient_position" | "position_limit" | "too_many_orders" | "rate_exceeded" | "duplicate_client_order_id" | "unknown_order" | "already_cancelled" | "already_filled";

/** A room as it stands. */
export interface TradeRoomView {
  /** The newest link of the journal's chain. */
  chain: string;
  /** When it was made. */
  createdAt: string;
  /** The digest of what everybody has. */
  digest: string;
  /** When it ended. */
  endedAt?: string | null;
  /** When it ends by itself, in the room's time, where its rules say so; that stays, also if it was ended before. */
  endsAt?: string | null;
  /** Its id. */
  id: string;
  /** How many entries its journal has. */
  journal: number;
  /** How many are in it. */
  members: number;
  /** Its name for people. */
  name: string;
  /** Whose it is. */
  owner: string;
  /** The newest prices. */
  prices: Array<PriceView>;
  /** Its rules. */
  rules: TradeRules;
  /** The first hundred, in order. */
  standings: Array<LeaderboardEntry>;
  /** When trading began, in the room's time. */
  startedAt?: string | null;
  /** How it stands. */
  state: TradeState;
}

/** The rules of a room. */
export interface TradeRules {
  /** How long it runs, in milliseconds; until somebody ends it, if not said. */
  durationMs?: number | null;
  /** The part of every amount that is taken as a fee, rounded up once for each order: 0 to 0.1. */
  feeRate?: string;
  /** What is traded. */
  instruments: Array<Instrument>;
  /** Whether one may join while the room runs. */
  lateJoin?: boolean;
  /** Members at most. */
  maxMembers?: number;
  /** Open orders of a member at most. */
  maxOpenOrders?: number;
  /** Orders a member may place at once. */
  orderBurst?: number;
  /** Orders a member may place in a second, in the room's time. */
  ordersPerSecond?: number;
  /** How members are ranked. */
  ranking?: TradeRanking;
  /** How often the standings are kept, in milliseconds of the room's time; only when asked, if not said. */
  snapshotEveryMs?: number | null;
  /** How many times faster than life the room's clock goes. */
  speed?: number;
  /** What everybody begins with. */
  startingCash: string;
}

/** What a newcomer to a room gets: of `trade:ROOM` the room, of `trade:ROOM:USER` the account. */
export interface TradeSnapshot {
  /** The account. */
  account?: AccountView | null;
  /** The room. */
  room?: TradeRoomView | null;
}

/** Trading has begun. */
export interface TradeStarted {
  /** When it is to end, if that is known. */
  endsAt?: string | null;
  /** In which room. */
  roomId: string;
  /** When, in the room's time. */
  startedAt: string;
}

/** How a room stands. */
export type TradeState = "draft" | "open" | "running" | "ended";

/** The room stands otherwise. */
export interface TradeStateChanged {
  /** Now. */
  newState: TradeState;
  /** Before. */
  oldState: TradeState;
  /** Which room. */
  roomId: string;
}

/** Something was reached. */
export interface Unlocked {
  /** What. */
  achievement: Reached;
  /** Who has reached it. */
  playerId: string;
}

/** What a user wants others to see. */
export type WantedStatus = "online" | "away" | "invisible" | "auto";

/** Which part of a board. */
export type WindowKind = "top" | "around" | "friends";

/** What has changed in a window; applying it twice is harmless. */
export interface WindowUpdate {
  /** The country's code, of a country's board. */
  country?: string | null;
  /** Who has come into the window. */
  enter: Array<Entry>;
  /** Who has left it. */
  leave: Array<string>;
  /** Who stands elsewhere in it, has another rating, or is shown otherwise. */
  move: Array<Shift>;
  /** Which kind of board. */
  scope: ScopeKind;
  /** The session, of a session's board. */
  sessionId?: string | null;
  /** How many are on the board. */
  total: number;
  /** The room. */
  window: string;
}

/** A part of a board that is kept live. */
export interface WindowWish {
  /** Milliseconds between two messages at least: 250, 1000 (if not said), 5000 or 60000. */
  everyMs?: number | null;
  /** How many on each side of oneself (`around`). */
  k?: number | null;
  /** Which part. */
  kind: WindowKind;
  /** How many from the top (`top`). */
  size?: number | null;
}

/** What is answered when the answer is no. */
export interface Refused {
  ok: false;
  error: { code: string; message: string; retryable: boolean; retryAfterMs?: number };
}

/** What clients may say, by namespace and name. */
export interface Commands {
  "/": {
    /** Hears a room, by the room's rule. */
    "subscribe": { data: Subscribe; reply: Subscribed };
    /** Hears a room no longer. */
    "unsubscribe": { data: OfRoom; reply: Record<string, never> };
    /** Says something in a room, by the room's rule. */
    "publish": { data: PublishEvent; reply: PublishedEvent };
    /** Reads what was said, by the room's rule. */
    "history": { data: OfHistory; reply: History };
    /** Sees who is there, by the room's rule. */
    "presence": { data: OfPresence; reply: Presence };
    /** Says what others are to see of the one who says it. */
    "presence:set": { data: PresenceSet; reply: PresenceWas };
    /** Answers. */
    "ping": { data: Nothing; reply: Record<string, never> };
    /** Renews the sign-in by a newer token. */
    "auth": { data: Renew; reply: Renewed };
  };
  "/leaderboard": {
    /** Hears a board, or a window of it. */
    "subscribe": { data: BoardWish; reply: BoardReply };
    /** Hears it no more. */
    "unsubscribe": { data: BoardWish; reply: BoardReply };
  };
  "/matches": {
    /** Hears a match. */
    "subscribe": { data: MatchWish; reply: MatchReply };
    /** Hears it no more. */
    "unsubscribe": { data: MatchWish; reply: MatchReply };
    /** Does something in a match one plays. */
    "matchAction": { data: MatchAct; reply: MatchReply };
    /** Says how a match has ended; for the studio's servers. */
    "submitResult": { data: MatchEnd; reply: MatchReply };
  };
  "/players": {
  };
  "/trading": {
    /** Places an order. */
    "order:place": { data: OrderPlace; reply: OrderReply };
    /** Cancels what is left of one. */
    "order:cancel": { data: OrderCancel; reply: OrderReply };
    /** Has open orders cancelled after a while, unless it is said again before. */
    "order:cancel_after": { data: OrderCancelAfter; reply: CancelAfterReply };
    /** Hears a room, and what one has in it. */
    "subscribe": { data: RoomWish; reply: HearReply };
    /** Hears it no more. */
    "unsubscribe": { data: RoomWish; reply: HearReply };
  };
}

/** What rooms may hear, by namespace and name. */
export interface Events {
  "/": {
    /** Everything that was missed has been sent. */
    "tidings:resumed": Resumed;
    /** Something is missing; for clients that say `auth.gaps: true`. */
    "tidings:gap": Gap;
    /** The token ends soon: renew it by `auth`. */
    "tidings:token": TokenEnds;
    /** The server stops and will close the connection. */
    "tidings:reconnect": Leaving;
    /** Volatile events were left out; for clients that say `auth.gaps: true`. */
    "tidings:skipped": Skipped;
    /** What was held back follows; for clients that say `auth.gaps: true`. */
    "tidings:behind": Behind;
    /** What became of an event that asked for a receipt. */
    "tidings:receipt": Delivered;
    /** A subscription kept for the user was taken up. */
    "tidings:subscribed": Subscribed;
    /** The client is not in a room any more. */
    "tidings:left": Left;
    /** Members came or went; for kinds that show it. */
    "tidings:presence": RosterChanged;
    /** A user's first connection came to the namespace. */
    "userOnline": OfUser;
    /** A user's last connection left the namespace. */
    "userOffline": OfUser;
    /** A command that wanted no answer was refused. */
    "tidings:error": CommandRefused;
  };
  "/leaderboard": {
    /** Somebody's place has changed by a result of his own, a correction, or his own doing. */
    "rankChange": RankChange;
    /** The top of the board has changed; at most once a second. */
    "leaderboardUpdate": BoardUpdate;
    /** Somebody has come onto the board. */
    "playerJoined": OnBoard;
    /** Somebody has left it. */
    "playerLeft": OnBoard;
    /** A window has changed; at its own pace. */
    "windowUpdate": WindowUpdate;
  };
  "/matches": {
    /** It has begun. */
    "matchStarted": MatchStarted;
    /** It stands otherwise. */
    "matchUpdated": MatchUpdated;
    /** A player has done something. */
    "playerAction": PlayerAction;
    /** It is over. */
    "matchCompleted": MatchCompleted;
  };
  "/players": {
    /** The rating has changed. */
    "eloUpdate": EloUpdate;
    /** The profile has changed. */
    "profileUpdated": ProfileUpdated;
    /** Something was reached. */
    "achievementUnlocked": Unlocked;
    /** A friend has done something. */
    "friendActivity": FriendActivity;
  };
  "/trading": {
    /** Something of an order is filled. */
    "order:executed": OrderExecuted;
    /** An order, or what is left of it, cannot be done. */
    "order:failed": OrderFailed;
    /** An order is placed, and something of it waits. */
    "order:placed": OrderPlaced;
    /** What is left of an order is not wanted any more. */
    "order:cancelled": OrderCancelled;
    /** Where everybody stands. */
    "leaderboard:updated": LeaderboardUpdated;
    /** Somebody's place is another. */
    "leaderboard:ranking_changed": RankingChanged;
    /** The standings of a moment are kept. */
    "leaderboard:snapshot_created": SnapshotCreated;
    /** A position is another, or is worth something else. */
    "position:updated": PositionUpdated;
    /** A position is none any more. */
    "position:closed": PositionClosed;
    /** What a member has is another, or is worth something else. */
    "portfolio:updated": PortfolioUpdated;
    /** What a member has, summed up: who has followed comes to the same. */
    "account:digest": AccountDigest;
    /** What something costs now. */
    "market:price": MarketPrice;
    /** The room stands otherwise. */
    "room:state_changed": TradeStateChanged;
    /** Trading has begun. */
    "room:started": TradeStarted;
    /** Trading has ended. */
    "room:ended": TradeEnded;
    /** Somebody is in. */
    "room:member_joined": TradeMemberJoined;
    /** Somebody is out. */
    "room:member_left": TradeMemberLeft;
  };
}
