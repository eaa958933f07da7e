import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { byPlain, bySocketIo, closeDoors, type Door, type Member } from "../lib/doors.ts";
import { NEWEST } from "../lib/clients.ts";
import { mint, served, serverToken, unique } from "../lib/serve.ts";
import { pause } from "../lib/wait.ts";

const server = served(["--no-limits", "--auth-expiry-grace-seconds", "1"]);

const DOORS: Record<string, Door> = {
  "Socket.IO over WebSocket": bySocketIo(NEWEST),
  "Socket.IO over polling": bySocketIo({ ...NEWEST, transport: "polling" }),
  "the plain protocol": byPlain,
};

/** Events a second, in portions every ten milliseconds. */
const RATE = 500;
const PORTION_MS = 10;

const room = `lobby:${unique("busy")}`;
let publisher: Member;
let publishing: NodeJS.Timeout;
let published = 0;

function publish(): void {
  for (let count = 0; count < (RATE * PORTION_MS) / 1_000; count++) {
    const sent = publisher.command("publish", { room, event: "n", data: ++published });
    sent.catch(() => clearInterval(publishing));
  }
}

/** Comes in, hears the room, and remembers when it last heard it. */
async function listener(door: Door, claims: object): Promise<{ last: number; numbers: number[] }> {
  const member = await door(server(), mint({ ...claims }));
  const heard = { last: 0, numbers: [] as number[] };
  assert.equal((await member.command("subscribe", { room })).ok, true);
  member.events.each(({ data }) => {
    heard.last = Date.now();
    heard.numbers.push(data as number);
  });
  return heard;
}

function assertUnbroken(numbers: number[]): void {
  const breaks = numbers.filter((number, at) => at > 0 && number !== (numbers[at - 1] ?? 0) + 1);
  assert.deepEqual(breaks, []);
}

async function revoke(userId: string): Promise<void> {
  const answer = await fetch(`${server().http}/api/revocations`, {
    method: "POST",
    headers: { Authorization: `Bearer ${serverToken()}`, "Content-Type": "application/json" },
    body: JSON.stringify({ userId }),
  });
  assert.deepEqual(await answer.json(), { ok: true });
}

describe(`under ${RATE} events a second`, () => {
  before(async () => {
    publisher = await bySocketIo(NEWEST)(server(), serverToken());
    publishing = setInterval(publish, PORTION_MS);
  });

  after(() => {
    clearInterval(publishing);
    closeDoors();
  });

  for (const [name, door] of Object.entries(DOORS)) {
    describe(`one who came by ${name}`, () => {
      test("hears nothing a second after it was revoked, and the others miss nothing", async () => {
        const [victim, other] = [unique("eve"), unique("ada")];
        // A token that was made in the second of the revocation counts as made before it.
        const revoked = await listener(door, { sub: victim, iat: Math.floor(Date.now() / 1_000) });
        const stays = await listener(door, { sub: other });
        await pause(500);
        assert.ok(revoked.numbers.length > 100, `only ${revoked.numbers.length} events before`);
        const asked = Date.now();
        await revoke(victim);
        await pause(2_000);
        assert.ok(revoked.last - asked <= 1_000, `heard ${revoked.last - asked} ms after`);
        assert.ok(Date.now() - stays.last < 500, "the other heard nothing any more");
        assertUnbroken(revoked.numbers);
        assertUnbroken(stays.numbers);
      });

      test("hears nothing when its token and the grace are over, and until then everything", async () => {
        const exp = Math.floor(Date.now() / 1_000) + 2;
        const ends = await listener(door, { sub: unique("eve"), exp });
        const stays = await listener(door, { sub: unique("ada") });
        await pause((exp + 4) * 1_000 - Date.now());
        const after = ends.last - exp * 1_000;
        assert.ok(after > 0 && after <= 3_000, `heard until ${after} ms after its token's end`);
        assert.ok(Date.now() - stays.last < 500, "the other heard nothing any more");
        assertUnbroken(ends.numbers);
        assertUnbroken(stays.numbers);
      });
    });
  }
});
