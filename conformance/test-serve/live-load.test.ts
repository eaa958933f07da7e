import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { byPlain, bySocketIo, closeDoors, type Door, type Member } from "../lib/doors.ts";
import { NEWEST } from "../lib/clients.ts";
import { mint, served, serverToken, unique } from "../lib/serve.ts";
import { until, within } from "../lib/wait.ts";

/** Longer than a machine stands still: what was published before a token ended is fetched by polling, too. */
const GRACE_MS = 3_000;
const server = served(["--no-limits", "--auth-expiry-grace-seconds", String(GRACE_MS / 1_000)]);

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
/** When each was acknowledged. */
const acknowledged = new Map<number, number>();

function publish(): void {
  for (let count = 0; count < (RATE * PORTION_MS) / 1_000; count++) {
    const number = ++published;
    const sent = publisher.command("publish", { room, event: "n", data: number });
    sent.then(() => acknowledged.set(number, Date.now())).catch(() => clearInterval(publishing));
  }
}

/** What somebody who came in hears in the room, and the end of his connection. */
interface Listener {
  numbers: number[];
  ended: Promise<void>;
}

async function listener(door: Door, claims: object): Promise<Listener> {
  const member = await door(server(), mint({ ...claims }));
  const numbers: number[] = [];
  assert.equal((await member.command("subscribe", { room })).ok, true);
  member.events.each(({ data }) => numbers.push(data as number));
  return { numbers, ended: member.ended };
}

/** Waits until so many events more were heard. */
async function hears({ numbers }: Listener, more: number): Promise<void> {
  const enough = numbers.length + more;
  await until(() => numbers.length >= enough, `event ${enough} of those after ${numbers[0]}`, 30_000);
}

/** What is published from now on is heard by the one, and by the other, whose connection has ended, no more. */
async function isApart(gone: Listener, stays: Listener): Promise<void> {
  const first = published + 1;
  await until(() => (stays.numbers.at(-1) ?? 0) >= first + RATE, "what was published behind the end", 30_000);
  const late = gone.numbers.filter((number) => number >= first);
  assert.deepEqual(late, [], "heard behind the end");
  assertUnbroken(gone.numbers);
  assertUnbroken(stays.numbers);
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
      test("hears nothing once it was revoked, and the others miss nothing", async (t) => {
        const [victim, other] = [unique("eve"), unique("ada")];
        // A token that was made in the second of the revocation counts as made before it.
        const revoked = await listener(door, { sub: victim, iat: Math.floor(Date.now() / 1_000) });
        const stays = await listener(door, { sub: other });
        await hears(revoked, 101);
        const asked = performance.now();
        await revoke(victim);
        await within(revoked.ended, "the end of the connection");
        t.diagnostic(`closed ${Math.round(performance.now() - asked)} ms after it was asked for`);
        await isApart(revoked, stays);
      });

      test("hears nothing when its token and the grace are over, and until then everything", async (t) => {
        const exp = Math.floor(Date.now() / 1_000) + 4;
        const stays = await listener(door, { sub: unique("ada") });
        const ends = await listener(door, { sub: unique("eve"), exp });
        await within(ends.ended, "the end of the connection", 30_000);
        const after = Date.now() - exp * 1_000;
        t.diagnostic(`closed ${after} ms after its token's end`);
        assert.ok(after >= GRACE_MS, `closed ${after} ms after its token's end`);
        const before = [...acknowledged].filter(([, at]) => at < exp * 1_000).map(([number]) => number);
        const [last = 0, due = 0] = [ends.numbers.at(-1), before.at(-1)];
        assert.ok(due > 0 && last >= due, `heard up to ${last} of ${due} before its token's end`);
        await isApart(ends, stays);
      });
    });
  }
});
