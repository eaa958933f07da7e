export {
  BOARD,
  LeaderboardWindow,
  PART,
  roomOfBoard,
  roomOfPart,
  windowAfter,
  type Board,
  type BoardPart,
  type Standing,
} from "./boards.ts";
export { Client, type ClientOptions, type CommandOptions, type PublishOptions } from "./client.ts";
export { followed, Followed, type Rules } from "./followed.ts";
export { kept, Kept, type DroppedBy, type KeptState } from "./kept.ts";
export type { LinkState, Status } from "./link.ts";
export type {
  CommandData,
  CommandName,
  CommandReply,
  EventData,
  EventName,
  Namespace,
  Place,
} from "./names.ts";
export { Refusal } from "./refusal.ts";
export { Room, type JoinOptions, type RoomState, type RoomStatus } from "./room.ts";
export type { Present } from "./roster.ts";
export { claimsOf, holderOf, refreshing, type GetToken, type Tokens } from "./tokens.ts";
export type * from "./wire.ts";

import { Client, type ClientOptions } from "./client.ts";

/** Makes a client and connects it. */
export function connect(options: ClientOptions = {}): Client {
  const client = new Client(options);
  client.connect();
  return client;
}
