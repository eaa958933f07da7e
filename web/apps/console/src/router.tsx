import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { later } from "./later.tsx";
import { readSearch, writeSearch } from "./search.ts";
import { Shell } from "./shell.tsx";
import { Note } from "./ui.tsx";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => <Note>There is nothing here.</Note>,
});

const page = <Path extends string, Module extends Record<string, unknown>>(
  path: Path,
  load: () => Promise<Module>,
  name: keyof Module & string,
) => createRoute({ getParentRoute: () => root, path, component: later(load, name) });

/** Every page; the server's list of them (front/console.rs) has to agree, and a test compares them. */
const pages = [
  page("/", () => import("./pages/home.tsx"), "HomePage"),
  page("/usage", () => import("./pages/usage.tsx"), "UsagePage"),
  page("/rooms", () => import("./pages/rooms.tsx"), "RoomsPage"),
  page("/rooms/$room", () => import("./pages/room.tsx"), "RoomPage"),
  page("/sockets", () => import("./pages/sockets.tsx"), "SocketsPage"),
  page("/users", () => import("./pages/users.tsx"), "UsersPage"),
  page("/users/$userId", () => import("./pages/user.tsx"), "UserPage"),
  page("/messages", () => import("./pages/messages.tsx"), "MessagesPage"),
  page("/accounts", () => import("./pages/accounts.tsx"), "AccountsPage"),
  page("/keys", () => import("./pages/keys.tsx"), "KeysPage"),
  page("/audit", () => import("./pages/audit.tsx"), "AuditPage"),
  page("/dead-letters", () => import("./pages/dead_letters.tsx"), "DeadLettersPage"),
  page("/second-factor", () => import("./pages/second_factor.tsx"), "SecondFactorPage"),
  page("/docs", () => import("./pages/docs.tsx"), "DocsPage"),
  page("/apps", () => import("./pages/apps.tsx"), "AppsPage"),
  page("/leaderboard", () => import("./pages/leaderboard.tsx"), "LeaderboardPage"),
  page("/matches", () => import("./pages/matches.tsx"), "MatchesPage"),
  page("/matches/$matchId", () => import("./pages/match.tsx"), "MatchPage"),
  page("/players", () => import("./pages/players.tsx"), "PlayersPage"),
  page("/players/$playerId", () => import("./pages/player.tsx"), "PlayerPage"),
  page("/trading", () => import("./pages/trades.tsx"), "TradesPage"),
  page("/trading/$roomId", () => import("./pages/trade.tsx"), "TradePage"),
  page("/sign-in", () => import("./pages/home.tsx"), "HomePage"),
] as const;

export const router = createRouter({
  routeTree: root.addChildren(pages),
  defaultPreload: "intent",
  parseSearch: readSearch,
  stringifySearch: writeSearch,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
