import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { connected, emitAck, NEWEST, type Client } from "../lib/clients.ts";
import { closeDoors, hear, openPlain, say, type Ack } from "../lib/doors.ts";
import { upgradeByHand } from "../lib/http.ts";
import { mint, served, stranger, unique } from "../lib/serve.ts";

// Counts of connections are raised, rates are those of the first start.
const RAISED = ["--limits-connections-per-user", "1000", "--limits-connections-per-network", "2000"];
const rated = served(["--trusted-proxies", "127.0.0.1", ...RAISED]);
const counted = served(["--trusted-proxies", "127.0.0.1"]);
const unlimited = served(["--trusted-proxies", "127.0.0.1", "--no-limits"]);

afterEach(closeDoors);

/** A stock client that comes from an address of its own, as a proxy would say. */
function from(address: string, token: string, server: typeof rated): Promise<Client> {
  return connected(NEWEST, server(), { auth: { token }, extraHeaders: { "X-Forwarded-For": address } });
}

/** Lets every client say `each` pings at once; how many were answered with yes, and in how many seconds. */
async function storm(clients: Client[], each: number): Promise<{ passed: number; seconds: number }> {
  const began = Date.now();
  const said = clients.flatMap((client) => Array.from({ length: each }, () => emitAck(client, "ping", {})));
  const acks = (await Promise.all(said)).map(([ack]) => ack as Ack);
  return { passed: acks.filter(({ ok }) => ok).length, seconds: (Date.now() - began) / 1_000 };
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
  burst: number;
  rate: number;
  size: number;
  each: number;
  who: () => Crowd["who"];
}[] = [
  {
    name: "200 sockets of one user, each from an address of its own",
    burst: 200,
    rate: 100,
    size: 200,
    each: 10,
    who: () => {
      const { token } = stranger();
      return (at) => ({ address: `10.1.${Math.floor(at / 200)}.${at + 1}`, token });
    },
  },
  {
    name: "1,000 users behind one IPv6 network",
    burst: 2_000,
    rate: 1_000,
    size: 1_000,
    each: 8,
    who: () => {
      const mark = unique("user");
      return (at) => ({
        address: `2001:db8:7:7::${(at + 1).toString(16)}`,
        token: mint({ sub: `${mark}-${at}` }),
      });
    },
  },
];

for (const { name, burst, rate, size, each, who } of CROWDS) {
  describe(name, () => {
    test("do not get a tenth more than one bucket holds", async () => {
      const { passed, seconds } = await stormOf({ server: rated, size, each, who: who() });
      const most = (burst + rate * seconds) * 1.1;
      assert.ok(passed > 0 && passed <= most, `${passed} passed in ${seconds} s, at most ${most} may`);
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
