import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { io, type Socket } from "socket.io-client";
import { mint, served, unique } from "../lib/serve.ts";
import { within } from "../lib/wait.ts";

/** Ranked play through the official client, as a studio's pages and game servers use it (rows A1 to A7). */
const server = served();
const open: Socket[] = [];

afterEach(() => {
  open.splice(0).forEach((socket) => socket.disconnect());
});

type Answer = {
  ok: boolean;
  error?: { code: string };
  room?: string;
  sequence?: number;
  snapshot?: Record<string, unknown>;
};
type Body = Record<string, unknown> & { error?: { code: string } };
type Entry = { playerId: string; displayName: string; eloRating: number; rank: number; country: string };
type Rank = {
  playerId: string;
  oldRank: number | null;
  newRank: number;
  eloChange: number;
  scope: string;
  country?: string;
  sessionId?: string;
};

const studio = () => mint({ sub: "studio", scope: "publish" });

async function rest(method: string, path: string, body?: unknown, token = studio()) {
  const response = await fetch(`${server().http}/api/arena${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Body };
}

async function done(method: string, path: string, body?: unknown) {
  const answer = await rest(method, path, body);
  assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Somebody on a namespace; `claims` make a server of a user. */
async function enter(namespace: string, sub: string, claims = {}): Promise<Socket> {
  const auth = { token: mint({ sub, ...claims }) };
  const socket = io(server().http + namespace, { forceNew: true, reconnection: false, auth });
  open.push(socket);
  const connected = new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  await within(connected, `connect to ${namespace}`);
  return socket;
}

const ask = async (socket: Socket, name: string, data: object) =>
  (await socket.timeout(20_000).emitWithAck(name, data)) as Answer;

/** The next event of a name that fits. */
function heard<T>(socket: Socket, name: string, fits: (event: T) => boolean = () => true): Promise<T> {
  const coming = new Promise<T>((resolve) => {
    const listen = (event: T) => {
      if (!fits(event)) return;
      socket.off(name, listen);
      resolve(event);
    };
    socket.on(name, listen);
  });
  return within(coming, name, 30_000);
}

/** Two players, and a match between them that has begun. */
async function playing(more: object = {}) {
  const [ada, bob, match] = [unique("ada"), unique("bob"), unique("m")];
  for (const [id, country] of [
    [ada, "GB"],
    [bob, "US"],
  ]) {
    await done("POST", "/players", { id, displayName: `${id} shown`, country });
  }
  await done("POST", "/matches", { id: match, players: [ada, bob], ...more });
  await done("POST", `/matches/${match}/start`);
  return { ada, bob, match };
}

const code = (answer: Answer) => answer.error?.code ?? "none";

test("a result over the socket reaches the board, the match and both players", async () => {
  const { ada, bob, match } = await playing();
  const board = await enter("/leaderboard", unique("viewer"));
  const told = await ask(board, "subscribe", { scope: "global" });
  assert.equal(told.room, "leaderboard:global");
  const country = await ask(board, "subscribe", { scope: "country", country: "GB" });
  assert.equal(country.room, "leaderboard:country:GB");
  const game = await enter("/matches", ada);
  const joined = await ask(game, "subscribe", { matchId: match });
  assert.equal((joined.snapshot as { status: string }).status, "started");
  const other = await enter("/players", bob);

  const acted = heard<Record<string, unknown>>(game, "playerAction");
  assert.equal(
    (await ask(game, "matchAction", { matchId: match, action: "attack", data: { x: 1 } })).ok,
    true,
  );
  const { timestamp, ...action } = await acted;
  assert.deepEqual(action, { matchId: match, playerId: ada, action: "attack", data: { x: 1 } });
  assert.ok(!Number.isNaN(Date.parse(timestamp as string)));

  const completed = heard<{ matchId: string; result: Record<string, unknown> }>(game, "matchCompleted");
  const [lost, won] = [heard<object>(game, "eloUpdate"), heard<object>(other, "eloUpdate")];
  const left = heard<object>(game, "tidings:left");
  const moved = heard<Rank>(board, "rankChange", (rank) => rank.playerId === bob && rank.scope === "global");
  const update = heard<{ scope: string; entries: Entry[]; diff: object[] }>(
    board,
    "leaderboardUpdate",
    ({ scope, entries }) =>
      scope === "global" && entries.some((one) => one.playerId === bob && one.eloRating > 1200),
  );
  const studios = await enter("/matches", "studio", { scope: "publish" });
  const result = await ask(studios, "submitResult", { matchId: match, winnerId: bob, resultType: "win" });
  assert.equal(result.ok, true);
  assert.ok(Number.isInteger(result.sequence));

  assert.deepEqual(await completed, {
    matchId: match,
    result: {
      winnerId: bob,
      loserIds: [ada],
      resultType: "win",
      eloChanges: [
        { playerId: ada, change: -20 },
        { playerId: bob, change: 20 },
      ],
    },
  });
  const reason = `match:${match}`;
  assert.deepEqual(await lost, { playerId: ada, oldRating: 1200, newRating: 1180, change: -20, reason });
  assert.deepEqual(await won, { playerId: bob, oldRating: 1200, newRating: 1220, change: 20, reason });
  assert.deepEqual(await left, { room: `match:${match}`, reason: "closed" });
  const rank = await moved;
  assert.deepEqual([rank.eloChange, rank.oldRank, rank.newRank], [20, 2, 1]);
  const { entries } = await update;
  assert.deepEqual(entries[0], {
    playerId: bob,
    displayName: `${bob} shown`,
    eloRating: 1220,
    rank: 1,
    country: "US",
  });
  assert.deepEqual(
    entries.map((entry) => entry.rank),
    entries.map((_, at) => at + 1),
  );
});

test("one's own rank is told as a window around oneself, at the pace that was asked for", async () => {
  const { ada, bob, match } = await playing();
  const own = await enter("/leaderboard", bob);
  const window = { kind: "around", k: 1, everyMs: 250 };
  const told = await ask(own, "subscribe", { scope: "global", window });
  assert.ok((told.snapshot as { entries: Entry[] }).entries.some((entry) => entry.playerId === bob));
  type Move = { playerId: string; from: number; to: number; eloRating: number };
  const moved = heard<{ move: Move[]; enter: Entry[] }>(own, "windowUpdate", ({ move }) =>
    move.some((one) => one.playerId === bob && one.eloRating === 1180),
  );
  await done("POST", `/matches/${match}/result`, { winnerId: ada, resultType: "win" });
  const mine = (await moved).move.find((one) => one.playerId === bob);
  assert.ok(mine && mine.to >= mine.from);
  const page = await done("GET", `/leaderboards/global/around/${bob}?k=0`);
  assert.equal((page["entries"] as Entry[])[0]?.rank, mine.to);
  // Somebody else's window is none that there is.
  const stranger = await enter("/leaderboard", unique("stranger"));
  assert.equal((await ask(stranger, "subscribe", { scope: "global", window })).ok, false);
});

test("what must not be is refused with its code, and nothing of it is stored", async () => {
  const { ada, bob, match } = await playing({ maxScore: 10 });
  const before = await done("GET", `/matches/${match}`);
  const stranger = await enter("/matches", unique("stranger"));
  assert.equal(code(await ask(stranger, "matchAction", { matchId: match, action: "attack" })), "forbidden");
  const player = await enter("/matches", ada);
  const end = { matchId: match, winnerId: ada, resultType: "win" };
  // Forged: by a player who would like to have won, over the socket and by HTTP.
  assert.equal(code(await ask(player, "submitResult", end)), "forbidden");
  const forged = await rest(
    "POST",
    `/matches/${match}/result`,
    { winnerId: ada, resultType: "win" },
    mint({ sub: ada }),
  );
  assert.equal(forged.status, 403);
  const studios = await enter("/matches", "studio", { scope: "publish" });
  for (const [wrong, expected] of [
    [{ ...end, scores: [{ playerId: ada, score: 11 }] }, "bad_request"],
    [{ ...end, scores: [{ playerId: ada, score: -1 }] }, "bad_request"],
    [{ ...end, winnerId: "somebody-else" }, "bad_request"],
    [{ ...end, resultType: "draw" }, "bad_request"],
    [{ ...end, resultType: "miracle" }, "bad_request"],
    [{ ...end, matchId: "no-such-match" }, "not_found"],
  ] as const) {
    assert.equal(code(await ask(studios, "submitResult", wrong)), expected, JSON.stringify(wrong));
  }
  const foreign = await enter("/matches", "studio", { scope: "publish", org: "elsewhere" });
  assert.equal(code(await ask(foreign, "submitResult", end)), "not_found");
  assert.deepEqual(await done("GET", `/matches/${match}`), before);

  await done("POST", `/matches/${match}/void`, { reason: "a cheat" });
  assert.equal(code(await ask(studios, "submitResult", end)), "conflict");
  assert.equal(code(await ask(player, "matchAction", { matchId: match, action: "attack" })), "conflict");
  assert.equal(
    code(await ask(player, "subscribe", { matchId: match })),
    "none",
    "it can still be heard for a while",
  );
  for (const id of [ada, bob]) {
    const { games, eloRating } = await done("GET", `/players/${id}`);
    assert.deepEqual([games, eloRating], [0, 1200], id);
  }
});

test("a session takes no more than it may", async () => {
  const { ada, bob } = await playing();
  const [session, third] = [unique("cup"), unique("carol")];
  await done("POST", "/players", { id: third, displayName: "Carol" });
  await done("POST", "/sessions", { id: session, name: "Cup", maxPlayers: 2, maxMatches: 1 });
  const board = await enter("/leaderboard", unique("viewer"));
  const heardJoin = heard<Record<string, unknown>>(board, "playerJoined");
  assert.equal((await ask(board, "subscribe", { scope: "session", sessionId: session })).ok, true);
  for (const playerId of [ada, bob]) await done("POST", `/sessions/${session}/players`, { playerId });
  assert.deepEqual(await heardJoin, {
    playerId: ada,
    displayName: `${ada} shown`,
    eloRating: 1200,
    scope: "session",
    sessionId: session,
  });
  const full = await rest("POST", `/sessions/${session}/players`, { playerId: third });
  assert.deepEqual([full.status, full.body.error?.code], [409, "conflict"]);

  const match = unique("m");
  await done("POST", "/matches", { id: match, players: [ada, bob], sessionId: session });
  await done("POST", `/matches/${match}/start`);
  const rank = heard<Rank>(board, "rankChange", ({ playerId }) => playerId === bob);
  await done("POST", `/matches/${match}/result`, { winnerId: bob, resultType: "win" });
  const { sessionId, oldRank, newRank } = await rank;
  assert.deepEqual([sessionId, oldRank, newRank], [session, 2, 1]);
  const again = await rest("POST", "/matches", { players: [ada, bob], sessionId: session });
  assert.deepEqual([again.status, again.body.error?.code], [409, "conflict"]);
  assert.equal((await done("GET", `/sessions/${session}`))["players"], 2);
  const played = await done("GET", `/matches?sessionId=${session}`);
  assert.equal((played["matches"] as unknown[]).length, 1);
});
