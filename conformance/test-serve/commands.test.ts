import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { NEWEST } from "../lib/clients.ts";
import { byPlain, bySocketIo, closeDoors, type Ack, type Door, type Member } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import { mint, served, serverToken, stranger, unique } from "../lib/serve.ts";

const server = served(["--no-limits"]);

const DOORS: Record<string, Door> = {
  "Socket.IO": bySocketIo(),
  "Socket.IO by polling": bySocketIo({ ...NEWEST, transport: "polling" }),
  "Socket.IO with msgpack": bySocketIo({ ...NEWEST, parser: "msgpack" }),
  "the plain protocol": byPlain,
};
/** What a subscription's ack may carry beside its room. */
const SUBSCRIBE_EXTRAS = ["epoch", "offset", "tag", "recovered", "snapshot", "presence"];
const DURABILITY = ["memory", "committed", "synced", "replicated"];

afterEach(closeDoors);

/** Fails unless `ack` has every key of `required`, none beyond `optional`, and is no refusal. */
function assertShape(ack: object, required: string[], optional: string[] = []): void {
  assert.equal((ack as Ack).ok, true, JSON.stringify(ack));
  const keys = Object.keys(ack);
  for (const key of ["ok", ...required])
    assert.ok(keys.includes(key), `${key} is missing: ${JSON.stringify(ack)}`);
  const allowed = new Set(["ok", "remaining", ...required, ...optional]);
  assert.deepEqual(
    keys.filter((key) => !allowed.has(key)),
    [],
  );
}

function assertRefused(ack: Ack, ...codes: string[]): void {
  assert.equal(ack.ok, false, JSON.stringify(ack));
  assert.ok(codes.includes(ack.error?.code ?? ""), JSON.stringify(ack));
  assert.equal(typeof ack.error?.message, "string");
  assert.notEqual(ack.error?.message, "");
  assert.equal(typeof ack.error?.retryable, "boolean");
  const keys = Object.keys(ack.error ?? {}).filter((key) => key !== "retryAfterMs");
  assert.deepEqual(keys.sort(), ["code", "message", "retryable"]);
}

async function next(member: Member): Promise<[event: string, data: unknown]> {
  const { event, data } = await member.events.next("room event");
  return [event, data];
}

for (const [name, door] of Object.entries(DOORS)) {
  describe(`by ${name}`, () => commands(door));
}

function commands(door: Door): void {
  const enter = (token = stranger().token) => door(server(), token);
  const lobby = () => `lobby:${unique("room")}`;

  async function subscribed(room: string, token?: string): Promise<Member> {
    const member = await enter(token);
    assertShape(await member.command("subscribe", { room }), ["room"], SUBSCRIBE_EXTRAS);
    return member;
  }

  async function publish(member: Member, room: string, ...items: unknown[]): Promise<Ack[]> {
    const acks: Ack[] = [];
    for (const data of items) acks.push(await member.command("publish", { room, event: "news", data }));
    return acks;
  }

  test("ping is acknowledged", async () => {
    assertShape(await (await enter()).command("ping"), []);
  });

  test("subscribing to a recorded room answers room, epoch and offset", async () => {
    const room = lobby();
    const ack = await (await enter()).command("subscribe", { room });
    assertShape(ack, ["room", "epoch", "offset"], SUBSCRIBE_EXTRAS);
    assert.equal(ack.room, room);
    assert.equal(typeof ack.epoch, "string");
    assert.equal(ack.offset, 0);
  });

  test("subscribing twice delivers once", async () => {
    const room = lobby();
    const member = await subscribed(room);
    assertShape(await member.command("subscribe", { room }), ["room"], SUBSCRIBE_EXTRAS);
    await publish(member, room, "once", "last");
    assert.deepEqual(
      [await next(member), await next(member)],
      [
        ["news", "once"],
        ["news", "last"],
      ],
    );
  });

  test("a publish is acknowledged with its place in the room and heard by its publisher", async () => {
    const room = lobby();
    const member = await subscribed(room);
    const data = { text: "é😀", list: [1, null, { deep: true }] };
    const ack = await member.command("publish", { room, event: "news", data });
    assertShape(ack, ["room", "messageId", "epoch", "offset", "durability"], ["tag"]);
    assert.equal(ack.room, room);
    assert.equal(ack.offset, 1);
    assert.equal(typeof ack.messageId, "string");
    assert.ok(DURABILITY.includes(String(ack["durability"])));
    assert.deepEqual(await next(member), ["news", data]);
  });

  test("everybody in the room hears the same events in the same order", async () => {
    const room = lobby();
    const members = [await subscribed(room), await subscribed(room)];
    const publisher = await enter();
    const acks = await publish(publisher, room, 1, 2, 3);
    assert.deepEqual(
      acks.map((ack) => ack.offset),
      [1, 2, 3],
    );
    for (const member of members) {
      assert.deepEqual(
        [await next(member), await next(member), await next(member)],
        [
          ["news", 1],
          ["news", 2],
          ["news", 3],
        ],
      );
    }
  });

  test("exceptSelf spares the publisher alone", async () => {
    const room = lobby();
    const publisher = await subscribed(room);
    const other = await subscribed(room);
    await publisher.command("publish", { room, event: "news", data: "others", exceptSelf: true });
    await publish(publisher, room, "all");
    assert.deepEqual(await next(publisher), ["news", "all"]);
    assert.deepEqual(await next(other), ["news", "others"]);
    assert.deepEqual(await next(other), ["news", "all"]);
  });

  test("after unsubscribing nothing comes any more", async () => {
    const [left, kept] = [lobby(), lobby()];
    const member = await subscribed(left);
    await member.command("subscribe", { room: kept });
    assertShape(await member.command("unsubscribe", { room: left }), [], ["room"]);
    await publish(member, left, "unheard");
    await publish(member, kept, "heard");
    assert.deepEqual(await next(member), ["news", "heard"]);
  });

  test("a volatile publish is heard and not recorded", async () => {
    const room = lobby();
    const member = await subscribed(room);
    const ack = await member.command("publish", { room, event: "news", data: 1, volatile: true });
    assert.equal(ack.ok, true);
    assert.deepEqual(await next(member), ["news", 1]);
    const history = await member.command("history", { room });
    assert.deepEqual(history["events"], []);
  });

  test("history without a position answers the newest, and whether older ones are kept", async () => {
    const room = lobby();
    const member = await enter();
    await publish(member, room, "a", "b", "c");
    const read = async (limit: number) => {
      const history = await member.command("history", { room, limit });
      return [(history["events"] as { data: unknown }[]).map(({ data }) => data), history["more"]];
    };
    assert.deepEqual(await read(2), [["b", "c"], true]);
    assert.deepEqual(await read(3), [["a", "b", "c"], false]);
    assert.deepEqual(await read(0), [[], true]);
  });

  test("history answers the room's events by offset", async () => {
    const room = lobby();
    const member = await enter();
    const acks = await publish(member, room, "a", "b", "c");
    const history = await member.command("history", { room });
    assertShape(history, ["room", "epoch", "events", "more"]);
    assert.equal(history.epoch, acks[0]?.epoch);
    assert.equal(history["more"], false);
    const events = history["events"] as Record<string, unknown>[];
    assert.deepEqual(
      events.map(({ event, data, offset, messageId }) => ({ event, data, offset, messageId })),
      ["a", "b", "c"].map((data, index) => {
        return { event: "news", data, offset: index + 1, messageId: acks[index]?.messageId };
      }),
    );
    for (const { at } of events) assert.match(String(at), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  test("history starts behind a position, stops at its limit and says that there is more", async () => {
    const room = lobby();
    const member = await enter();
    const [first] = await publish(member, room, "a", "b", "c", "d");
    const since = { epoch: first?.epoch, offset: 1 };
    const page = await member.command("history", { room, since, limit: 2 });
    const data = (ack: Ack) => (ack["events"] as { data: unknown }[]).map((event) => event.data);
    assert.deepEqual([data(page), page["more"]], [["b", "c"], true]);
    const rest = await member.command("history", { room, since: { ...since, offset: 3 }, limit: 2 });
    assert.deepEqual([data(rest), rest["more"]], [["d"], false]);
  });

  test("subscribing since a position brings what was missed, then says resumed, then goes on live", async () => {
    const room = lobby();
    const publisher = await enter();
    const [first] = await publish(publisher, room, "known", "missed 1", "missed 2");
    const member = await enter();
    const since = { epoch: first?.epoch, offset: first?.offset };
    const ack = await member.command("subscribe", { room, since });
    assertShape(ack, ["room", "epoch", "offset", "recovered"], SUBSCRIBE_EXTRAS);
    assert.equal(ack["recovered"], true);
    assert.deepEqual(
      [await next(member), await next(member)],
      [
        ["news", "missed 1"],
        ["news", "missed 2"],
      ],
    );
    const resumed = await member.resumed.next("resumed");
    assert.deepEqual([resumed["room"], resumed["epoch"], resumed["offset"]], [room, first?.epoch, 3]);
    await publish(publisher, room, "live");
    assert.deepEqual(await next(member), ["news", "live"]);
  });

  test("subscribing since the newest position is recovered with nothing missed", async () => {
    const room = lobby();
    const publisher = await enter();
    const [only] = await publish(publisher, room, "known");
    const member = await enter();
    const ack = await member.command("subscribe", {
      room,
      since: { epoch: only?.epoch, offset: only?.offset },
    });
    assert.equal(ack["recovered"], true);
    await member.resumed.next("resumed");
    assert.deepEqual(member.events.drain(), []);
  });

  test("a position of another epoch is a gap that is told", async () => {
    const room = lobby();
    const publisher = await enter();
    await publish(publisher, room, "a");
    const member = await enter();
    const ack = await member.command("subscribe", { room, since: { epoch: "another", offset: 1 } });
    assert.equal(ack.ok, true);
    assert.equal(ack["recovered"], false);
    const gap = await member.gaps.next("gap");
    assert.deepEqual([gap["room"], gap["reason"]], [room, "epoch"]);
  });

  test("rewind brings the newest events", async () => {
    const room = lobby();
    await publish(await enter(), room, "a", "b", "c");
    const member = await enter();
    const ack = await member.command("subscribe", { room, rewind: 2 });
    assert.ok("recovered" in ack);
    assert.deepEqual(
      [await next(member), await next(member)],
      [
        ["news", "b"],
        ["news", "c"],
      ],
    );
  });

  test("events outside the list asked for are kept away", async () => {
    const room = lobby();
    const member = await enter();
    await member.command("subscribe", { room, events: ["wanted"] });
    await member.command("publish", { room, event: "unwanted", data: 1 });
    await member.command("publish", { room, event: "wanted", data: 2 });
    assert.deepEqual(await next(member), ["wanted", 2]);
  });

  test("a key makes a repeat the same message and another body a conflict", async () => {
    const room = lobby();
    const member = await subscribed(room);
    const body = { room, event: "news", data: "paid", key: unique("key") };
    const first = await member.command("publish", body);
    const again = await member.command("publish", body);
    assert.equal(first["duplicate"], undefined);
    assert.equal(again["duplicate"], true);
    assert.deepEqual([again.messageId, again.offset], [first.messageId, first.offset]);
    assertRefused(await member.command("publish", { ...body, data: "paid twice" }), "conflict");
    await publish(member, room, "fence");
    assert.deepEqual(
      [await next(member), await next(member)],
      [
        ["news", "paid"],
        ["news", "fence"],
      ],
    );
  });

  test("a person's room is joined already and open to its owner alone", async () => {
    const { id, token } = stranger();
    const owner = await enter(token);
    const other = await enter();
    const backend = await enter(serverToken());
    assertShape(await owner.command("subscribe", { room: `user:${id}` }), ["room"], SUBSCRIBE_EXTRAS);
    assertRefused(await other.command("subscribe", { room: `user:${id}` }), "not_found");
    assertRefused(await owner.command("publish", { room: `user:${id}`, event: "x", data: 1 }), "forbidden");
    const ack = await backend.command("publish", { room: `user:${id}`, event: "letter", data: "hello" });
    assert.equal(ack.ok, true, JSON.stringify(ack));
    assert.deepEqual(await next(owner), ["letter", "hello"]);
  });

  test("a person's room is joined without asking", async () => {
    const { id, token } = stranger();
    const owner = await enter(token);
    const backend = await enter(serverToken());
    await backend.command("publish", { room: `user:${id}`, event: "letter", data: "unasked" });
    assert.deepEqual(await next(owner), ["letter", "unasked"]);
  });

  test("metrics:host is open", async () => {
    const ack = await (await enter()).command("subscribe", { room: "metrics:host" });
    assertShape(ack, ["room"], SUBSCRIBE_EXTRAS);
  });

  test("organisations share names and nothing else", async () => {
    const room = lobby();
    const [ours, theirs] = [unique("org"), unique("org")];
    const here = await subscribed(room, stranger({ org: ours }).token);
    const there = await subscribed(room, stranger({ org: theirs }).token);
    await publish(here, room, "ours");
    const [theirAck] = await publish(there, room, "theirs");
    assert.equal(theirAck?.offset, 1);
    assert.deepEqual(await next(here), ["news", "ours"]);
    assert.deepEqual(await next(there), ["news", "theirs"]);
  });

  const refusals: [name: string, command: string, body: object, code: string][] = [
    ["a room of an undeclared kind", "subscribe", { room: "nosuchkind:1" }, "not_found"],
    [
      "a publish to an undeclared kind",
      "publish",
      { room: "nosuchkind:1", event: "e", data: 1 },
      "not_found",
    ],
    ["the history of an undeclared kind", "history", { room: "nosuchkind:1" }, "not_found"],
    ["a kind in capitals", "subscribe", { room: "Lobby:1" }, "not_found"],
    ["a subscription to no room", "subscribe", {}, "bad_request"],
    ["a room that is a number", "subscribe", { room: 7 }, "bad_request"],
    ["a room that is an object", "subscribe", { room: {} }, "bad_request"],
    ["a publish without an event", "publish", { room: "lobby:1", data: 1 }, "bad_request"],
    ["an event name that is a number", "publish", { room: "lobby:1", event: 1, data: 1 }, "bad_request"],
    ["a position that is no position", "subscribe", { room: "lobby:1", since: "yesterday" }, "bad_request"],
    ["an unknown lane", "publish", { room: "lobby:1", event: "e", data: 1, lane: "express" }, "bad_request"],
    [
      "a key of 129 bytes",
      "publish",
      { room: "lobby:1", event: "e", data: 1, key: "k".repeat(129) },
      "bad_request",
    ],
  ];
  for (const [what, command, body, code] of refusals) {
    test(`${what} is refused with ${code} and the connection lives on`, async () => {
      const member = await enter();
      assertRefused(await member.command(command, body), code);
      assertShape(await member.command("ping"), []);
    });
  }

  for (const lane of ["critical", "high", "normal", "medium", "low"]) {
    test(`lane ${lane} is taken`, async () => {
      const room = lobby();
      const member = await subscribed(room);
      const ack = await member.command("publish", { room, event: "news", data: lane, lane });
      assert.equal(ack.ok, true, JSON.stringify(ack));
      assert.deepEqual(await next(member), ["news", lane]);
    });
  }

  test("presence counts connections and users", async () => {
    const room = lobby();
    const { token } = stranger();
    const member = await subscribed(room, token);
    await subscribed(room, token);
    const ack = await member.command("presence", { room });
    assertShape(ack, ["room", "counts", "more"], ["members"]);
    assert.deepEqual(ack["counts"], { connections: 2, users: 1 });
  });

  for (const claim of ["sub", "userId", "id"]) {
    test(`the claim ${claim} names the user`, async () => {
      const id = unique("named");
      const member = await enter(mint({ [claim]: id }));
      assertShape(await member.command("subscribe", { room: `user:${id}` }), ["room"], SUBSCRIBE_EXTRAS);
    });
  }
}

test("by HTTP the same commands are acknowledged with the same members", async () => {
  const room = `lobby:${unique("room")}`;
  const { token } = stranger();
  const member = await bySocketIo()(server(), token);
  await member.command("subscribe", { room });
  const asked: [name: string, data: object][] = [
    ["ping", {}],
    ["publish", { room, event: "news", data: 1 }],
    ["history", { room, limit: 1 }],
    ["presence", { room }],
    ["presence:set", { status: "away" }],
    ["history", { room: "nothing:1" }],
  ];
  for (const [name, data] of asked) {
    const answer = await ask(`${server().http}/api/commands/root/${name}`, {
      method: "POST",
      body: JSON.stringify(data),
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    });
    const told = JSON.parse(answer.body) as Ack;
    const ack = await member.command(name, data);
    assert.deepEqual(Object.keys(told), Object.keys(ack), `${name}: ${answer.body}`);
    assert.deepEqual([told.ok, told.error], [ack.ok, ack.error]);
  }
  // What the HTTP door published is heard on the socket.
  assert.deepEqual(await next(member), ["news", 1]);
});

test("doors share rooms: what one publishes all others hear, at one offset", async () => {
  const room = `lobby:${unique("room")}`;
  const members: Member[] = [];
  for (const door of Object.values(DOORS)) members.push(await door(server(), stranger().token));
  for (const member of members) await member.command("subscribe", { room });
  for (const [index, member] of members.entries()) {
    const ack = await member.command("publish", { room, event: "news", data: index });
    assert.equal(ack.offset, index + 1);
  }
  for (const member of members) {
    for (const index of members.keys()) assert.deepEqual(await next(member), ["news", index]);
  }
});
