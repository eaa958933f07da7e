import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Client } from "@tidings/client";
import { watchSleep } from "../src/sleep.ts";
import { mint, Served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { FrozenRelay } from "./frozen_relay.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a clock that jumps means that the machine slept; one that runs late a little does not", () => {
  let now = 0;
  let woken = 0;
  const stop = watchSleep(() => (woken += 1), { now: () => now });
  for (const step of [2_000, 2_100, 4_000, 2_000]) {
    now += step;
    vi.advanceTimersByTime(2_000);
  }
  expect(woken).toBe(0);
  now += 60_000;
  vi.advanceTimersByTime(2_000);
  expect(woken).toBe(1);
  stop();
  now += 60_000;
  vi.advanceTimersByTime(10_000);
  expect(woken).toBe(1);
});

test("a page that is shown again, restored or back online looks after its connection", () => {
  const document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  const window = new EventTarget();
  let woken = 0;
  const stop = watchSleep(() => (woken += 1), { now: Date.now, document, window });
  document.dispatchEvent(new Event("visibilitychange"));
  expect(woken).toBe(0);
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  window.dispatchEvent(new Event("online"));
  window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
  expect(woken).toBe(3);
  stop();
  window.dispatchEvent(new Event("online"));
  expect(woken).toBe(3);
});

test("a connection that is dead and does not know it is replaced within seconds, and misses nothing", async () => {
  vi.useRealTimers();
  const server = new Served();
  await server.start();
  const relay = await FrozenRelay.before(server.http);
  const client = new Client({ url: relay.http, token: mint({ sub: unique("user") }) });
  try {
    client.connect();
    const room = client.room(`lobby:${unique("sleep")}`);
    const heard: unknown[] = [];
    room.on("said", (data) => void heard.push(data));
    room.enter();
    await until(() => expect(room.state.status).toBe("live"));
    // Nothing comes through the old connection any more, and nobody closes it: so it is after a sleep.
    relay.freeze();
    await server.publish(room.name, "said", "while asleep");
    client.check();
    await until(() => expect(heard).toEqual(["while asleep"]));
  } finally {
    client.disconnect();
    relay.end();
    await server.end();
  }
});
