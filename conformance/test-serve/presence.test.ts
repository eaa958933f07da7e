import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { connect, connected, emitAck, inbox, NEWEST, type Client, type Kind } from "../lib/clients.ts";
import { byPlain, closeDoors, type Ack } from "../lib/doors.ts";
import type { Running } from "../lib/process.ts";
import { mint, startServer, stranger, unique } from "../lib/serve.ts";
import { Inbox } from "../lib/wait.ts";

interface Seen {
  userId: string;
  status: string;
  devices: number;
  lastSeen: string;
}

/** The data of `tidings:presence`, and what comes with the answer to `subscribe`. */
interface News {
  room: string;
  version: number;
  joined?: Seen[];
  left?: Seen[];
  changed?: Seen[];
  members?: Seen[];
  counts: { connections: number; users: number };
}

/** Somebody in a room, by whatever door. */
interface Somebody {
  ack: Ack;
  news: Inbox<News>;
  command(name: string, body?: object): Promise<Ack>;
  /** Goes, as a page does that is closed. */
  close(): void;
}

type Enter = (server: Running, token: string, room: string) => Promise<Somebody>;

/** Longer than a machine stands still: who comes back within it comes back in time. */
const GRACE = 4_000;
const HASTY = "[heartbeat]\ninterval_ms = 1000\ntimeout_ms = 3000";
let folder: string;
/** One server with a grace, as a control one without, one that finds the dead soon, and one for many. */
let kind: Running, strict: Running, hasty: Running, calm: Running;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidings-presence-"));
  const config = (name: string, grace: number, more = ""): string => {
    const path = join(folder, name);
    const rooms = `subscribe = "signed-in"\npublish = "signed-in"\nroster = "members"`;
    const text = `[presence]\ngrace_ms = ${grace}\n${more}
[rooms.team]\n${rooms}\npresence = "signed-in"\n[rooms.board]\n${rooms}\npresence = "role:boss"\n`;
    writeFileSync(path, text);
    return path;
  };
  kind = await startServer(["--no-limits", "--config", config("kind.toml", GRACE)]);
  strict = await startServer(["--no-limits", "--config", config("strict.toml", 0)]);
  hasty = await startServer(["--no-limits", "--config", config("hasty.toml", 0, HASTY)]);
  const many = config("calm.toml", GRACE, "announce_up_to = 0");
  calm = await startServer(["--no-limits", "--config", many]);
});

after(async () => {
  await kind?.stop();
  await strict?.stop();
  await hasty?.stop();
  await calm?.stop();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(closeDoors);

function bySocketIo(door: Kind): Enter {
  return async (server, token, room) => {
    const client = await connected(door, server, { auth: { token } });
    const news = new Inbox<News>();
    client.on("tidings:presence", (body: News) => news.push(body));
    const command = async (name: string, body = {}) => (await emitAck(client, name, body))[0] as Ack;
    const ack = await command("subscribe", { room });
    return { ack, news, command, close: () => client.disconnect() };
  };
}

const plainly: Enter = async (server, token, room) => {
  const member = await byPlain(server, token);
  const news = new Inbox<News>();
  member.events.each(({ event, data }) => {
    if (event === "tidings:presence") news.push(data as News);
  });
  const ack = await member.command("subscribe", { room });
  return { ack, news, command: (name, body) => member.command(name, body), close: () => member.close() };
};

/** What changes within this is told as one. */
const BATCH_MS = 250;

/** News until `user` is in `list`, that one included. */
async function until(
  somebody: Somebody,
  list: "joined" | "left" | "changed",
  user: string,
  ms?: number,
): Promise<News[]> {
  const heard: News[] = [];
  for (;;) {
    const news = await somebody.news.next(`${user} in ${list}`, ms);
    heard.push(news);
    if (news[list]?.some(({ userId }) => userId === user)) return heard;
  }
}

function mentions(heard: News[], list: "joined" | "left", user: string): number {
  return heard.filter((news) => news[list]?.some(({ userId }) => userId === user)).length;
}

const DOORS: Record<string, Enter> = {
  "Socket.IO": bySocketIo(NEWEST),
  "Socket.IO by polling": bySocketIo({ ...NEWEST, transport: "polling" }),
  "Socket.IO with msgpack": bySocketIo({ ...NEWEST, parser: "msgpack" }),
  "the plain protocol": plainly,
};

for (const [name, enter] of Object.entries(DOORS)) {
  describe(`by ${name}`, () => {
    const place = () => `team:${unique("room")}`;

    test("a newcomer sees who is there, and the others see it come", async () => {
      const [room, ann, bob] = [place(), stranger(), stranger()];
      const first = await enter(kind, ann.token, room);
      await until(first, "joined", ann.id);
      const second = await enter(kind, bob.token, room);
      const presence = second.ack["presence"] as News;
      assert.deepEqual(presence.members?.map(({ userId }) => userId).sort(), [ann.id, bob.id].sort());
      assert.deepEqual(presence.counts, { connections: 2, users: 2 });
      const told = (await until(first, "joined", bob.id)).at(-1);
      assert.equal(told?.room, room);
      const asked = await first.command("presence", { room });
      assert.deepEqual(Object.keys(asked).sort(), ["counts", "members", "more", "ok", "room"]);
      for (const seen of asked["members"] as Seen[]) {
        assert.equal(seen.status, "online");
        assert.equal(seen.devices, 1);
        assert.equal(new Date(seen.lastSeen).toISOString(), seen.lastSeen);
      }
    });

    test("a page that is loaded again makes no leave and no join", async () => {
      const [room, ann, bob, eve] = [place(), stranger(), stranger(), stranger()];
      const watcher = await enter(kind, ann.token, room);
      const before = await enter(kind, bob.token, room);
      await until(watcher, "joined", bob.id);
      before.close();
      await enter(kind, bob.token, room);
      // Whoever is lost after that is gone later than bob would be.
      const last = await enter(kind, eve.token, room);
      await until(watcher, "joined", eve.id);
      last.close();
      const heard = await until(watcher, "left", eve.id);
      assert.equal(mentions(heard, "left", bob.id), 0, JSON.stringify(heard));
      assert.equal(mentions(heard, "joined", bob.id), 0, JSON.stringify(heard));
    });

    test("control: without a grace it makes both", async () => {
      const [room, ann, bob] = [place(), stranger(), stranger()];
      const watcher = await enter(strict, ann.token, room);
      const before = await enter(strict, bob.token, room);
      await until(watcher, "joined", bob.id);
      before.close();
      await until(watcher, "left", bob.id);
    });

    test("two connections of a user are one member with two devices", async () => {
      const [room, ann, bob] = [place(), stranger(), stranger()];
      const watcher = await enter(kind, ann.token, room);
      await enter(kind, bob.token, room);
      await until(watcher, "joined", bob.id);
      const two = await enter(kind, bob.token, room);
      const told = (await until(watcher, "changed", bob.id)).at(-1);
      assert.equal(told?.changed?.[0]?.devices, 2);
      assert.deepEqual(told?.counts, { connections: 3, users: 2 });
      await two.command("unsubscribe", { room });
      const heard = await until(watcher, "changed", bob.id);
      assert.equal(heard.at(-1)?.changed?.[0]?.devices, 1);
      assert.equal(mentions(heard, "left", bob.id), 0);
    });

    test("who is invisible is seen by nobody but itself", async () => {
      const [room, ann, bob] = [place(), stranger(), stranger()];
      const watcher = await enter(kind, ann.token, room);
      const hidden = await enter(kind, bob.token, room);
      await until(watcher, "joined", bob.id);
      const set = await hidden.command("presence:set", { status: "invisible" });
      assert.deepEqual([set.ok, set["status"]], [true, "invisible"]);
      await until(watcher, "left", bob.id);
      const users = async (who: Somebody) =>
        ((await who.command("presence", { room }))["counts"] as News["counts"]).users;
      assert.deepEqual([await users(watcher), await users(hidden)], [1, 2]);
      await hidden.command("presence:set", { status: "away" });
      const told = (await until(watcher, "joined", bob.id)).at(-1);
      assert.equal(told?.joined?.[0]?.status, "away");
    });

    test("who may not see the others hears nothing of them", async () => {
      const room = `board:${unique("room")}`;
      const boss = await enter(kind, mint({ sub: unique("boss"), roles: ["boss"] }), room);
      const other = await enter(kind, stranger().token, room);
      assert.equal(other.ack.ok, true);
      assert.equal("presence" in other.ack, false);
      const eve = stranger();
      await enter(kind, eve.token, room);
      await until(boss, "joined", eve.id);
      const refused = await other.command("presence", { room });
      assert.equal(refused.error?.code, "forbidden");
      assert.deepEqual(other.news.drain(), []);
    });
  });
}

test("a client that does not answer leaves behind the ping timeout", async (t) => {
  const [room, ann, bob] = [`team:${unique("room")}`, stranger(), stranger()];
  const watcher = await bySocketIo(NEWEST)(hasty, ann.token, room);
  const dead = await connected(NEWEST, hasty, { auth: { token: bob.token }, reconnection: false });
  await emitAck(dead, "subscribe", { room });
  await until(watcher, "joined", bob.id);
  // Its socket stays open, and no ping is answered any more.
  const { transport } = dead.io.engine as unknown as { transport: { ws: { pause(): void } } };
  transport.ws.pause();
  const begun = performance.now();
  await until(watcher, "left", bob.id, 30_000);
  const took = Math.round(performance.now() - begun);
  t.diagnostic(`${took} ms, with an interval of one second and a timeout of three`);
});

test("many that join at once cost messages in proportion to their number", async (t) => {
  const members = 300;
  const room = `team:${unique("room")}`;
  let frames = 0;
  const enter = async (): Promise<[Client, Inbox<unknown[]>]> => {
    const client = await connected(NEWEST, calm, { auth: { token: stranger().token } });
    client.on("tidings:presence", () => {
      frames += 1;
    });
    return [client, inbox(client, "tidings:presence")];
  };
  const all = await Promise.all(Array.from({ length: members }, enter));
  const begun = performance.now();
  await Promise.all(all.map(([client]) => emitAck(client, "subscribe", { room })));
  const isWhole = ([news]: unknown[]) => (news as News).counts.users === members;
  await Promise.all(all.map(([, heard]) => heard.until(isWhole, "all of them")));
  const took = performance.now() - begun;
  const naive = (members * (members + 1)) / 2;
  t.diagnostic(`${members} members: ${frames} frames in ${took} ms; each join told by itself: ${naive}`);
  // One at once, and one for each portion of time that it took.
  const most = members * (2 + took / BATCH_MS);
  assert.ok(frames >= members && frames <= most, `${frames} frames in ${took} ms`);
});

test("a client that comes back by itself is not announced again", async () => {
  const [ann, bob, eve] = [stranger(), stranger(), stranger()];
  const org = unique("org");
  const token = (id: string) => mint({ sub: id, org });
  const watcher = await connected(NEWEST, kind, { auth: { token: token(ann.id) } });
  const [online, offline] = [inbox(watcher, "userOnline"), inbox(watcher, "userOffline")];
  const client = await connected(NEWEST, kind, { auth: { token: token(bob.id) } });
  assert.deepEqual(await online.next("userOnline"), [{ userId: bob.id }]);
  const again = new Promise<void>((resolve) => client.once("connect", () => resolve()));
  client.io.engine.close();
  await again;
  const last = await connected(NEWEST, kind, { auth: { token: token(eve.id) } });
  assert.deepEqual(await online.next("userOnline"), [{ userId: eve.id }]);
  last.disconnect();
  assert.deepEqual(await offline.next("userOffline"), [{ userId: eve.id }]);
  await connect(last);
  assert.deepEqual(await online.next("userOnline"), [{ userId: eve.id }]);
});
