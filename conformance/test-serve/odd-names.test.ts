import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { NEWEST } from "../lib/clients.ts";
import { byPlain, bySocketIo, closeDoors, type Door } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import { mint, served, serverToken, unique } from "../lib/serve.ts";

const server = served(["--no-limits"]);

const DOORS: Record<string, Door> = {
  "Socket.IO": bySocketIo(),
  "Socket.IO by polling": bySocketIo({ ...NEWEST, transport: "polling" }),
  "Socket.IO with msgpack": bySocketIo({ ...NEWEST, parser: "msgpack" }),
  "the plain protocol": byPlain,
};

/** Names that mean something to a JavaScript object, and nothing to the server. */
const NAMES = ["__proto__", "constructor", "hasOwnProperty", "prototype", "toString"];
/** Text, since an object literal with `__proto__` would set a prototype instead of a member. */
const POISON = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';

afterEach(closeDoors);

/** Whatever was heard, an object of this process is as it was. */
function assertUnpolluted(): void {
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  assert.equal(typeof {}.hasOwnProperty, "function");
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
}

function get(path: string, token: string) {
  return ask(server().http + path, { headers: { authorization: `Bearer ${token}` } });
}

for (const [door, enter] of Object.entries(DOORS)) {
  describe(`by ${door}`, () => {
    for (const name of NAMES) {
      test(`${name} is a user, a room, an event and a key like any other`, async () => {
        const org = unique("org");
        const token = mint({ sub: name, org, name });
        const member = await enter(server(), token);
        const room = `lobby:${name}`;
        assert.equal((await member.command("subscribe", { room })).ok, true);

        const said = { room, event: name, data: JSON.parse(POISON) as unknown, key: name };
        const ack = await member.command("publish", said);
        assert.deepEqual([ack.ok, ack.offset], [true, 1]);
        const heard = await member.events.next("the event");
        assert.equal(heard.event, name);
        // The msgpack parser of the stock client gives such a member to the object's own prototype.
        if (!door.includes("msgpack")) assert.equal(JSON.stringify(heard.data), POISON);
        assert.equal((await member.command("publish", said))["duplicate"], true);

        const presence = await member.command("presence", { room });
        assert.deepEqual(presence["counts"], { connections: 1, users: 1 });
        const [{ lastSeen, ...seen }, ...others] = presence["members"] as [{ lastSeen: string }];
        assert.deepEqual([seen, others], [{ userId: name, name, status: "online", devices: 1 }, []]);
        assert.ok(Date.parse(lastSeen) > 0);
        const { events } = (await member.command("history", { room })) as unknown as { events: object[] };
        assert.equal(events.length, 1);
        assertUnpolluted();
      });
    }
  });
}

test("what is poison to a parser that merges passes byte for byte", async () => {
  const token = serverToken();
  const member = await byPlain(server(), token);
  const room = `lobby:${unique("room")}`;
  await member.command("subscribe", { room });
  const body = `{"room":${JSON.stringify(room)},"event":"news","data":${POISON},"__proto__":{"volatile":true}}`;
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const answer = await ask(`${server().http}/api/publish`, { method: "POST", body, headers });
  assert.equal(answer.status, 200, answer.body);
  assert.match(answer.body, /"offset":1/, "the member of __proto__ does not make it volatile");
  assert.equal(JSON.stringify((await member.events.next("the event")).data), POISON);
  const history = await get(`/api/rooms/${encodeURIComponent(room)}/history`, token);
  assert.ok(history.body.includes(POISON), history.body);
  assertUnpolluted();
});

test("a user named __proto__ is spoken to and nobody else is", async () => {
  const org = unique("org");
  const [odd, other] = [
    await byPlain(server(), mint({ sub: "__proto__", org })),
    await byPlain(server(), mint({ sub: "ada", org })),
  ];
  for (const [userId, data] of [
    ["__proto__", "to the odd one"],
    ["ada", "to ada"],
  ] as const) {
    const body = JSON.stringify({ userId, event: "letter", data });
    const headers = { authorization: `Bearer ${serverToken({ org })}` };
    assert.equal((await ask(`${server().http}/api/publish`, { method: "POST", body, headers })).status, 200);
  }
  assert.equal((await odd.events.next("a letter")).data, "to the odd one");
  assert.equal((await other.events.next("a letter")).data, "to ada");
});
