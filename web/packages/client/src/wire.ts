// Made by `tidings types`. Changes belong into the types of the server.
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

/** A part of a history. */
export interface History {
  epoch?: string | null;
  events: Array<PastEvent>;
  /** There is more. */
  more: boolean;
  room: string;
}

/** How urgent an event is. */
export type LaneName = "critical" | "high" | "normal" | "low";

/** The client was taken out of a room, or may not go back into it. */
export interface Left {
  /** Whether it is still kept for the user. */
  kept?: boolean | null;
  reason: string;
  room: string;
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

/** Where a client's knowledge of a room ends. */
export interface Position {
  /** The generation of the room's history. */
  epoch: string;
  /** Counts the room's events from 1, without holes. */
  offset: number;
  /** Proves which event stands there. */
  tag?: string | null;
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
  messageId: string;
  offset?: number | null;
  /** How its recipients are asked to acknowledge it, if they are. */
  receipt?: Receipt | null;
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

/** How a match has ended. */
export type ResultType = "win" | "draw" | "forfeit" | "timeout";

/** A room is up to date again. */
export interface Resumed {
  epoch: string;
  offset: number;
  room: string;
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

/** Somebody stands elsewhere. */
export interface Shift {
  /** The rating now. */
  eloRating: number;
  /** The place before. */
  from: number;
  /** Who. */
  playerId: string;
  /** The place now. */
  to: number;
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
  /** Who stands elsewhere in it, or has another rating. */
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
    "presence:set": { data: PresenceSet; reply: Record<string, never> };
    /** Answers. */
    "ping": { data: Nothing; reply: Record<string, never> };
    /** Renews the sign-in by a newer token. */
    "auth": { data: Renew; reply: Record<string, never> };
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
}

/** What rooms may hear, by namespace and name. */
export interface Events {
  "/": {
    /** Everything that was missed has been sent. */
    "tidings:resumed": Resumed;
    /** Something is missing; for clients that say `auth.gaps: true`. */
    "tidings:gap": Gap;
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
}
