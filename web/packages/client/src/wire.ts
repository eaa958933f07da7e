// Made by `tidings types`. Changes belong into the types of the server.
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

/** Something of a room is missing and will not come. */
export interface Gap {
  from?: number | null;
  reason: string;
  resumeAt?: number | null;
  room?: string | null;
  to?: number | null;
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

/** An event of a history. */
export interface PastEvent {
  /** When it was accepted. */
  at: string;
  data: unknown;
  event: string;
  messageId: string;
  offset: number;
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

/** What a user wants others to see. */
export type WantedStatus = "online" | "away" | "invisible" | "auto";

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
}
