import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Client, type Place, type Room } from "@tidings/client";
import { mint, served, unique } from "../../../testing/server.ts";
import { Studio } from "../../../testing/studio.ts";
import { until } from "../../../testing/until.ts";
import { Locks } from "./locks.ts";

// Most of what is said in a room is in the log alone.
const CONFIG = `
[limits]
room_bytes = 65536

[rooms.brief]
subscribe = "signed-in"
publish = "signed-in"
history = "signed-in"
keep = "recent"
size = 10

[rooms.log]
subscribe = "signed-in"
publish = "signed-in"
history = "signed-in"
keep = "durable"
size = 2000
`;
const server = served(["--no-limits"], CONFIG);
const tabs: Client[] = [];
beforeEach(() => vi.stubGlobal("navigator", { locks: new Locks() }));
afterEach(() => {
  tabs.splice(0).forEach((tab) => tab.disconnect());
  vi.unstubAllGlobals();
});

const isLive = (room: Room) => until(() => expect(room.state.status).toBe("live"));

/** A person with several tabs that share a connection; the first that is opened leads. */
class Person {
  readonly name: string;
  #gate = Promise.resolve();
  #letIn = () => {};

  constructor(name = unique("person")) {
    this.name = name;
  }

  async open(): Promise<Client> {
    const token = async () => {
      await this.#gate;
      return mint({ sub: this.name });
    };
    const tab = new Client({ url: server.http, token, share: this.name });
    tabs.push(tab);
    tab.connect();
    await until(() => expect(tab.state.status).toBe("connected"));
    return tab;
  }

  /** From now on no connection comes up, until what is answered is called. */
  lockOut(): () => void {
    this.#gate = new Promise((letIn) => (this.#letIn = letIn));
    return () => this.#letIn();
  }

  /** Breaks the connection there is. */
  async break(): Promise<void> {
    await server.post(`/api/users/${this.name}/disconnect`, {});
  }
}

/** What a tab hears of a room from now on, by number. */
function record(room: Room): number[] {
  const heard: number[] = [];
  room.on("said", (data: unknown, place: Place) => {
    expect(place.offset).toBe(data);
    heard.push(data as number);
  });
  return heard;
}

/** So many tabs that are in a room of their own, and what each of them hears. */
async function inRoom(count: number, kind = "lobby") {
  const person = new Person();
  const name = `${kind}:${unique("room")}`;
  const all = [];
  for (let n = 0; n < count; n += 1) {
    const tab = await person.open();
    const room = tab.room(name);
    const heard = record(room);
    const leave = room.enter();
    await isLive(room);
    all.push({ tab, room, heard, leave });
  }
  return { person, name, all, heard: all.map(({ heard }) => heard) };
}

/** Says numbers in a room in which nothing else is said, so that each is at the place of its own number. */
async function say(room: string, from: number, to = from): Promise<void> {
  for (let n = from; n <= to; n += 1) await server.publish(room, "said", n);
}

const upTo = (last: number) => Array.from({ length: last }, (_, n) => n + 1);

/** How many connections are in a room. */
async function connections(room: string): Promise<number> {
  const headers = { authorization: `Bearer ${mint({ sub: unique("looks"), scope: "publish" })}` };
  const answer = await fetch(`${server.http}/api/rooms/${room}/stats`, { headers });
  return ((await answer.json()) as { connections: number }).connections;
}

test("all tabs of a connection that breaks hear what was said meanwhile, once", async () => {
  const { person, name, all, heard } = await inRoom(3);
  await say(name, 1, 5);
  await until(() => expect(heard).toEqual([upTo(5), upTo(5), upTo(5)]));
  const letIn = person.lockOut();
  await person.break();
  await until(() => all.forEach(({ tab }) => expect(tab.state.status).toBe("reconnecting")));
  await say(name, 6, 10);
  letIn();
  await until(() => all.forEach(({ room }) => expect(room.state.status).toBe("live")));
  await say(name, 11);
  await until(() => heard.forEach((one) => expect(one.at(-1)).toBe(11)));
  expect(heard).toEqual([upTo(11), upTo(11), upTo(11)]);
  expect(all.map(({ room }) => room.state.gap)).toEqual([undefined, undefined, undefined]);
});

test("when the tab that leads is closed the others hear what was said meanwhile, once", async () => {
  const { person, name, all, heard } = await inRoom(3);
  await say(name, 1, 5);
  await until(() => expect(heard).toEqual([upTo(5), upTo(5), upTo(5)]));
  const letIn = person.lockOut();
  const [first, ...left] = all;
  first?.tab.disconnect();
  await until(() => left.forEach(({ tab }) => expect(tab.state.status).toBe("connecting")));
  await say(name, 6, 10);
  letIn();
  await until(() => left.forEach(({ room }) => expect(room.state.status).toBe("live")));
  await say(name, 11);
  await until(() => left.forEach(({ heard }) => expect(heard.at(-1)).toBe(11)));
  expect(heard).toEqual([upTo(5), upTo(11), upTo(11)]);
});

test("a tab that enters a room another tab is in gets its past, and the other nothing twice", async () => {
  const { person, name, all, heard } = await inRoom(1);
  await say(name, 1, 5);
  await until(() => expect(heard).toEqual([upTo(5)]));
  const late = (await person.open()).room(name);
  const its = record(late);
  late.enter({ rewind: 3 });
  await until(() => expect(its).toEqual([3, 4, 5]));
  await say(name, 6);
  await until(() => expect(its).toEqual([3, 4, 5, 6]));
  expect(heard).toEqual([upTo(6)]);
  expect(all[0]?.room.state.gap).toBeUndefined();
});

test("a tab that comes back to such a room goes on where it was", async () => {
  const { name, all, heard } = await inRoom(2);
  const [, second] = all;
  await say(name, 1, 2);
  await until(() => expect(heard).toEqual([upTo(2), upTo(2)]));
  second?.leave();
  await until(() => expect(second?.room.state.status).toBe("idle"));
  await say(name, 3, 5);
  await until(() => expect(heard[0]).toEqual(upTo(5)));
  second?.room.enter();
  await until(() => expect(heard[1]).toEqual(upTo(5)));
  await say(name, 6);
  await until(() => expect(heard).toEqual([upTo(6), upTo(6)]));
});

test("what is gone for good is told the tab that misses it, once, and no other", async () => {
  const { person, all, heard } = await inRoom(1, "brief");
  const { name } = all[0]?.room ?? { name: "" };
  await say(name, 1, 12);
  await until(() => expect(heard).toEqual([upTo(12)]));
  const { epoch = "" } = all[0]?.room.state.position ?? {};
  const tab = await person.open();
  const late = tab.room(name);
  const gaps = { first: [] as unknown[], late: [] as unknown[], tab: [] as unknown[] };
  all[0]?.tab.onNotice("gap", ({ to }) => void gaps.first.push(to));
  late.onNotice("gap", ({ to }) => void gaps.late.push(to));
  tab.onNotice("gap", ({ to }) => void gaps.tab.push(to));
  const its = record(late);
  late.enter({ since: { epoch, offset: 1 } });
  await until(() => expect(its.at(-1)).toBe(12));
  expect(gaps).toEqual({ first: [], late: [2], tab: [2] });
  await say(name, 13);
  await until(() => expect(its.at(-1)).toBe(13));
  expect(heard).toEqual([upTo(13)]);
});

test("a tab that enters while another is sent what it missed breaks nothing off", async () => {
  const name = `log:${unique("long")}`;
  const { epoch } = (await server.publish(name, "said", "first")) as { epoch: string };
  await server.publishMany(name, "said", "x".repeat(2_000), 1_000);
  const person = new Person();
  const [first, second] = [await person.open(), await person.open()].map((tab) => tab.room(name));
  if (!first || !second) throw new Error("there are two tabs");
  const heard: number[] = [];
  first.on("said", (_, { offset = 0 }) => void heard.push(offset));
  first.enter({ since: { epoch, offset: 1 } });
  await isLive(first);
  // It comes page by page, and most of it is not on its way yet.
  second.enter();
  await isLive(second);
  await server.publish(name, "said", "last");
  await until(() => expect(heard.at(-1)).toBe(1_002));
  expect(heard).toEqual(upTo(1_002).slice(1));
});

test("what a tab hears that leads no more is not heard by the others", async () => {
  const { person, name, all, heard } = await inRoom(2);
  await say(name, 1, 2);
  await until(() => expect(heard).toEqual([upTo(2), upTo(2)]));
  const { epoch } = all[1]?.room.state.position ?? {};
  const asleep = new BroadcastChannel(`tidings:${server.http}:${person.name}`);
  const args = [9, { room: name, messageId: "9", epoch, offset: 9 }];
  asleep.postMessage({ kind: "event", leader: "asleep", namespace: "/", name: "said", args });
  await say(name, 3);
  await until(() => expect(heard[1]?.length).toBe(3));
  asleep.close();
  expect(heard).toEqual([upTo(3), upTo(3)]);
});

test("what another tab hears in a room moves nobody there who has not entered it", async () => {
  const studio = new Studio(server);
  const [a = "", b = ""] = await studio.people(2);
  const id = await studio.begin(a, b);
  const person = new Person(a);
  const [inside, outside] = [await person.open(), await person.open()].map((tab) => tab.room(`match:${id}`));
  if (!inside || !outside) throw new Error("there are two tabs");
  const heard: string[] = [];
  inside.on("matchUpdated", () => void heard.push("inside"));
  outside.on("matchUpdated", () => void heard.push("outside"));
  inside.enter();
  await isLive(inside);
  const round = (currentRound: number) => studio.post(`/matches/${id}/score`, { currentRound });
  await round(1);
  await until(() => expect(heard).toContain("inside"));
  // The other tab was told before this one was answered.
  await tabs[1]?.command("/", "ping", {});
  expect(outside.state.position).toBeUndefined();
  expect(heard).toEqual(["inside"]);
  outside.enter();
  await until(() => expect(outside.state.snapshot).toMatchObject({ currentRound: 1 }));
  await round(2);
  await until(() => expect(heard).toEqual(["inside", "inside", "outside"]));
});

test("a room that a tab let go while the connection was away is left with the last who is in it", async () => {
  const { person, name, all } = await inRoom(2);
  const [first, second] = all;
  const letIn = person.lockOut();
  await person.break();
  await until(() => all.forEach(({ tab }) => expect(tab.state.status).toBe("reconnecting")));
  second?.leave();
  await until(() => expect(second?.room.state.status).toBe("idle"));
  letIn();
  await until(() => expect(first?.room.state.status).toBe("live"));
  expect(await connections(name)).toBe(1);
  first?.leave();
  await until(async () => expect(await connections(name)).toBe(0));
});

test("so is one that the server took all tabs out of, and that one of them entered again", async () => {
  const { person, name, all } = await inRoom(2);
  await server.post(`/api/admin/rooms/${name}/kick`, { userId: person.name });
  await until(() => all.forEach(({ room }) => expect(room.state.status).toBe("left")));
  all.forEach(({ leave }) => leave());
  const [first] = all;
  await until(() => expect(first?.room.state.status).toBe("idle"));
  const leave = first?.room.enter();
  await until(() => expect(first?.room.state.status).toBe("live"));
  expect(await connections(name)).toBe(1);
  leave?.();
  await until(async () => expect(await connections(name)).toBe(0));
});
