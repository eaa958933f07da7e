export {
  matchAfter,
  useLeaderboard,
  useMatch,
  useUserId,
  useWindow,
  type Match,
  type MatchPlayer,
  type MatchResult,
  type PlayerAction,
  type WindowWanted,
} from "./arena.ts";
export { roomOfBoard, type Board, type Entry as BoardEntry, type Step as BoardMove } from "@tidings/client";
export { useConnection } from "./connection.ts";
export { useKept } from "./kept.ts";
export { usePresence, type OnlineUser } from "./presence.ts";
export { TidingsProvider, useClient } from "./provider.tsx";
export { useEvent, useFollowed, useRoom, useRoomState } from "./room.ts";
export { useOrders, usePortfolio, useTradingRoom, type RoomAct } from "./trading.ts";
export { useSocket, type HookSocket, type SocketHookOptions } from "./socket.ts";
