import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { connected, NEWEST, type Client } from "../lib/clients.ts";
import { closeDoors, hear, openPlain, say, type Ack } from "../lib/doors.ts";
import { upgradeByHand } from "../lib/http.ts";
import { mint, served, stranger, unique } from "../lib/serve.ts";
import { until, within } from "../lib/wait.ts";

/** Messages of a user, and of an address: so many a second, and so many at once. */
const USER = { rate: 20, burst: 40 };
const ADDRESS = { rate: 50, burst: 100 };

// Counts of connections are raised, and rates are so low that a storm is more than they let pass in a minute.
const RAISED = ["--limits-connections-per-user", "1000", "--limits-connections-per-network", "2000"];
const LOWERED = Object.entries({ user: USER, address: ADDRESS }).flatMap(([name, { rate, burst }]) => [
  ...[`--limits-${name}-messages-per-second`, String(rate)],
  ...[`--limits-${name}-messages-burst`, String(burst)],
]);
const rated = served(["--trusted-proxies", "127.0.0.1", ...RAISED, ...LOWERED]);
const counted = served(["--trusted-proxies", "127.0.0.1"]);
const unlimited = served(["--trusted-proxies", "127.0.0.1", "--no-limits"]);

afterEach(closeDoors);

/** A stock client that comes from an address of its own, as a proxy would say. */
function from(address: string, token: string, server: typeof rated): Promise<Client> {
  return connected(NEWEST, server(), { auth: { token }, extraHeaders: { "X-Forwarded-For": address } });
}

/** One process says and hears thousands of them. */
const STORM_MS = 120_000;

const ping = (client: Client, ms?: number) =>
  within(new Promise<Ack>((resolve) => client.emit("ping", {}, resolve)), "ack of ping", ms);

/** Lets every client say `each` pings at once; how many were answered with yes, and in how many seconds. */
async function storm(clients: Client[], each: number): Promise<{ passed: number; seconds: number }> {
  const began = performance.now();
  const said = clients.flatMap((client) => Array.from({ length: each }, () => ping(client, STORM_MS)));
  const passed = (await Promise.all(said)).filter(({ ok }) => ok).length;
  const seconds = (performance.now() - began) / 1_000;
  // Coming may have used everything up, and the storm be over within a moment. What is refused takes nothing.
  let at = 0;
  await until(async () => (await ping(clients[at++ % clients.length] as Client)).ok, "a ping that passes");
  return { passed, seconds };
}

interface Crowd {
  server: typeof rated;
  size: number;
  each: number;
  who: (at: number) => { address: string; token: string };
}

async function stormOf({ server, size, each, who }: Crowd): ReturnType<typeof storm> {
  const clients: Client[] = [];
  for (let at = 0; at < size; at++) {
    const { address, token } = who(at);
    clients.push(await from(address, token, server));
  }
  return storm(clients, each);
}

const CROWDS: {
  name: string;
  limit: typeof USER;
  size: number;
  each: number;
  who: () => Crowd["who"];
}[] = [
  {
    name: "200 sockets of one user, each from an address of its own",
    limit: USER,
    size: 200,
    each: 10,
    who: () => {
      const { token } = stranger();
      return (at) => ({ address: `10.1.${Math.floor(at / 200)}.${at + 1}`, token });
    },
  },
  {
    name: "1,000 users behind one IPv6 network",
    limit: ADDRESS,
    size: 1_000,
    each: 4,
    who: () => {
      const mark = unique("user");
      return (at) => ({
        address: `2001:db8:7:7::${(at + 1).toString(16)}`,
        token: mint({ sub: `${mark}-${at}` }),
      });
    },
  },
];

for (const { name, limit, size, each, who } of CROWDS) {
  describe(name, () => {
    test("do not get a tenth more than one bucket holds", async () => {
      const { passed, seconds } = await stormOf({ server: rated, size, each, who: who() });
      const most = (limit.burst + limit.rate * seconds) * 1.1;
      assert.ok(passed <= most, `${passed} passed in ${seconds} s, at most ${most} may`);
      assert.ok(passed < size * each, "the storm was too small to show anything");
    });

    test("would get it all without limits", async () => {
      const { passed } = await stormOf({ server: unlimited, size, each, who: who() });
      assert.equal(passed, size * each);
    });
  });
}

test("the 201st connection of an IPv6 network is refused with 429 before the 101", async () => {
  const at = (host: number) => ({ "X-Forwarded-For": `2001:db8:9:9::${host.toString(16)}` });
  // They are signed in: those who are not have fewer places.
  const open = async (host: number) => {
    const wire = await openPlain(counted(), "", at(host + 1));
    say(wire, { type: "auth", token: stranger().token });
    return hear(wire, "auth:ok");
  };
  await Promise.all(Array.from({ length: 200 }, (_, host) => open(host)));
  const answer = await upgradeByHand(counted().address, "/ws", at(201));
  assert.match(answer, /^HTTP\/1\.1 429 /);
  assert.match(answer, /"code":"rate_limited"/);
  // The next network is another one.
  await openPlain(counted(), "", { "X-Forwarded-For": "2001:db8:9:a::1" });
});
