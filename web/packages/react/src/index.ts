export {
  matchAfter,
  roomOfBoard,
  useLeaderboard,
  useMatch,
  type Board,
  type BoardEntry,
  type BoardMove,
  type Match,
  type MatchPlayer,
  type MatchResult,
  type PlayerAction,
} from "./arena.ts";
export { useConnection } from "./connection.ts";
export { usePresence, type OnlineUser } from "./presence.ts";
export { TidingsProvider, useClient } from "./provider.tsx";
export { useEvent, useRoom, useRoomState } from "./room.ts";
export { useSocket, type HookSocket, type SocketHookOptions } from "./socket.ts";
