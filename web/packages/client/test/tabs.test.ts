import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Client } from "@tidings/client";
import { mint, served, unique } from "../../../testing/server.ts";
import { Studio } from "../../../testing/studio.ts";
import { Locks } from "./locks.ts";

const server = served(["--no-limits"]);
const tabs: Client[] = [];
beforeEach(() => vi.stubGlobal("navigator", { locks: new Locks() }));
afterEach(() => {
  tabs.splice(0).forEach((tab) => tab.disconnect());
  vi.unstubAllGlobals();
});

const until = (holds: () => void, timeout = 10_000) => vi.waitFor(holds, { timeout, interval: 10 });

/** A person with several tabs that share a connection; the first that is opened leads. */
class Person {
  readonly name: string;

  constructor(name = unique("person")) {
    this.name = name;
  }

  async open(): Promise<Client> {
    const tab = new Client({ url: server.http, token: mint({ sub: this.name }), share: this.name });
    tabs.push(tab);
    tab.connect();
    await until(() => expect(tab.state.status).toBe("connected"));
    return tab;
  }
}

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
  await until(() => expect(inside.state.status).toBe("live"));
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
