import { describe, expect, test } from "vitest";
import type { Place, Room } from "@tidings/client";
import { opening } from "../../../testing/clients.ts";
import { mint, served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";

// Most of what is said in a room of the kind `log` is in the log alone.
const CONFIG = `
[limits]
room_bytes = 65536

[rooms.log]
subscribe = "signed-in"
publish = "signed-in"
history = "signed-in"
keep = "durable"
size = 2000

[rooms.recent]
subscribe = "signed-in"
publish = "signed-in"
keep = "recent"
size = 100
history = "signed-in"
presence = "signed-in"
roster = "members"

[rooms.closed]
subscribe = "role:nobody"
`;
const server = served([], CONFIG);
const open = opening(server);

const isLive = (room: Room) => until(() => expect(room.state.status).toBe("live"));

/** Everything a room says from now on. */
function record(room: Room, name = "said"): { data: unknown; place: Place }[] {
  const heard: { data: unknown; place: Place }[] = [];
  room.on(name, (data, place) => void heard.push({ data, place }));
  return heard;
}

const numbers = (heard: { data: unknown }[]) => heard.map(({ data }) => data);

describe("rooms", () => {
  test("events of one name reach the rooms they were said in", async () => {
    const client = open();
    const [left, right] = [client.room(`lobby:${unique("left")}`), client.room(`lobby:${unique("right")}`)];
    const heard = [record(left), record(right)] as const;
    [left, right].forEach((room) => room.enter());
    await Promise.all([isLive(left), isLive(right)]);
    await client.publish(left.name, "said", "to the left");
    await client.publish(right.name, "said", "to the right");
    await until(() => expect(numbers(heard[1])).toEqual(["to the right"]));
    expect(numbers(heard[0])).toEqual(["to the left"]);
    expect(heard[0][0]?.place).toMatchObject({ room: left.name, offset: 1 });
  });

  test("who wants many rooms at once is in all of them soon, and is not cut off for asking", async () => {
    const client = open();
    const states: string[] = [];
    client.watch(() => states.push(client.state.status));
    const name = unique("many");
    const rooms = Array.from({ length: 120 }, (_, n) => client.room(`lobby:${name}-${n}`));
    rooms.forEach((room) => room.enter());
    await until(() =>
      expect(rooms.map((room) => room.state.status)).toEqual(Array.from(rooms, () => "live")),
    );
    expect(states.filter((state) => state !== "connecting" && state !== "connected")).toEqual([]);
  });

  test("a room goes on where it was after the server was killed, nothing lost and nothing twice", async () => {
    const client = open();
    const room = client.room(`lobby:${unique("durable")}`);
    const heard = record(room);
    room.enter();
    await isLive(room);
    for (const n of [1, 2, 3]) await client.publish(room.name, "said", n);
    await until(() => expect(heard).toHaveLength(3));

    await server.kill();
    await until(() => expect(client.state.status).toBe("reconnecting"));
    await server.start();
    // Said by somebody else while this client is perhaps still away.
    for (const n of [4, 5, 6]) await server.publish(room.name, "said", n);
    await until(() => expect(heard.length).toBeGreaterThanOrEqual(6));
    await client.publish(room.name, "said", 7);
    await until(() => expect(heard.length).toBeGreaterThanOrEqual(7));
    expect(numbers(heard)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(heard.map(({ place }) => place.offset)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(room.state.gap).toBeUndefined();
  });

  test("what is gone for good is told as a gap, once", async () => {
    const client = open();
    const room = client.room(`recent:${unique("memory")}`);
    const gaps: unknown[] = [];
    room.onNotice("gap", (gap) => void gaps.push(gap.reason));
    const heard = record(room);
    room.enter();
    await isLive(room);
    await client.publish(room.name, "said", "before");
    await until(() => expect(heard).toHaveLength(1));

    await server.kill();
    await until(() => expect(client.state.status).toBe("reconnecting"));
    await server.start();
    await isLive(room);
    await client.publish(room.name, "said", "after");
    await until(() => expect(heard).toHaveLength(2));
    expect(gaps).toEqual(["epoch"]);
  });

  test("rewind brings the newest events first, and a break meanwhile brings none of them twice", async () => {
    const name = `lobby:${unique("past")}`;
    for (const n of [1, 2, 3, 4]) await server.publish(name, "said", n);
    const client = open();
    const room = client.room(name);
    const heard = record(room);
    room.enter({ rewind: 2 });
    await until(() => expect(numbers(heard)).toEqual([3, 4]));
    client.socket?.io.engine.close();
    await server.publish(name, "said", 5);
    await until(() => expect(numbers(heard)).toEqual([3, 4, 5]));
  });

  test("a snapshot that is asked for while what was missed is on its way breaks nothing off", async () => {
    const name = `log:${unique("long")}`;
    const { epoch } = (await server.publish(name, "said", "first")) as { epoch: string };
    await server.publishMany(name, "said", "x".repeat(2_000), 1_000);
    const client = open();
    const room = client.room(name);
    const heard = record(room);
    room.enter({ since: { epoch, offset: 1 } });
    await isLive(room);
    // What was missed comes page by page, and most of it is not on its way yet.
    room.renew();
    await client.command("/", "ping", {});
    await server.publish(name, "said", "last");
    await until(() => expect(heard.at(-1)?.place.offset).toBe(1_002));
    expect(heard.map(({ place }) => place.offset)).toEqual(Array.from({ length: 1_001 }, (_, n) => n + 2));
  });

  test("several who are in a room share one subscription, and it ends with the last of them", async () => {
    const client = open();
    const room = client.room(`lobby:${unique("shared")}`);
    const first = room.enter();
    const second = room.enter();
    await isLive(room);
    const members = async () => {
      const stats = (await client.request(`/api/rooms/${room.name}/stats`)) as { connections: number };
      return stats.connections;
    };
    expect(await members()).toBe(1);
    first();
    first();
    expect(await members()).toBe(1);
    expect(room.state.status).toBe("live");
    second();
    // Back within the same turn: it has not been away.
    const third = room.enter();
    await client.publish(room.name, "said", 1);
    expect(room.state.status).toBe("live");
    third();
    await until(() => expect(room.state.status).toBe("idle"));
    await until(async () => expect(await members()).toBe(0));
  });

  test("a room one may not enter says so, and is not asked for again and again", async () => {
    const client = open();
    const room = client.room("closed:door");
    room.enter();
    await until(() => expect(room.state.status).toBe("refused"));
    expect(room.state.error?.code).toBe("not_found");
  });

  test("who comes and goes is shown with the status they have", async () => {
    const name = `recent:${unique("people")}`;
    const [me, other] = [unique("me"), unique("other")];
    const mine = open({ token: mint({ sub: me, name: "Me" }) });
    const room = mine.room(name);
    room.enter();
    await until(() => expect(room.state.presence?.members.map(({ userId }) => userId)).toEqual([me]));
    const theirs = open({ token: mint({ sub: other, name: "Other" }) });
    theirs.room(name).enter();
    await until(() => expect(room.state.presence?.counts).toEqual({ connections: 2, users: 2 }));
    await theirs.command("/", "presence:set", { status: "away" });
    const statusOf = (id: string) => room.state.presence?.members.find(({ userId }) => userId === id)?.status;
    await until(() => expect(statusOf(other)).toBe("away"));
    theirs.room(name).enter()();
    theirs.disconnect();
    await until(() => expect(statusOf(other)).toBeUndefined());
    expect(room.state.presence?.members).toHaveLength(1);
  });

  test("a listener that throws keeps no other from hearing", async () => {
    const client = open();
    const room = client.room(`lobby:${unique("throws")}`);
    const thrown: unknown[] = [];
    const caught = (error: unknown) => void thrown.push(error);
    process.prependOnceListener("uncaughtException", caught);
    const others = process.listeners("uncaughtException").filter((listener) => listener !== caught);
    others.forEach((listener) => process.off("uncaughtException", listener));
    room.on("said", () => {
      throw new Error("on purpose");
    });
    const heard = record(room);
    room.enter();
    await isLive(room);
    await client.publish(room.name, "said", 1);
    await until(() => expect(heard).toHaveLength(1));
    await until(() => expect(thrown).toHaveLength(1));
    others.forEach((listener) => process.on("uncaughtException", listener));
  });
});
