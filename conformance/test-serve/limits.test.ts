import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { heard, NEWEST, open } from "../lib/clients.ts";
import {
  byPlain,
  bySocketIo,
  closeDoors,
  hear,
  openPlain,
  say,
  type Ack,
  type Door,
  type Member,
} from "../lib/doors.ts";
import { ask, upgradeByHand } from "../lib/http.ts";
import { served, stranger, unique } from "../lib/serve.ts";
import { until } from "../lib/wait.ts";

// Those who are counted before they have signed in stay until all have come.
const server = served(["--trusted-proxies", "127.0.0.1", "--limits-plain-auth-ms", "120000"]);
/** Publishes of a user: so many at once, and as many again in a minute. */
const PUBLISHES = 100;

afterEach(closeDoors);

/** Publishes by HTTP, from an address of its own. */
async function byHttp(token: string, body: object): Promise<Ack & { status: number; retryAfter?: string }> {
  const {
    status,
    headers,
    body: text,
  } = await ask(`${server().http}/api/publish`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "x-forwarded-for": "192.0.2.77",
    },
    body: JSON.stringify(body),
  });
  const retryAfter = headers["retry-after"];
  return { ...(JSON.parse(text) as Ack), status, ...(retryAfter && { retryAfter }) };
}

for (const [name, door] of Object.entries({
  "Socket.IO": bySocketIo(),
  "the plain protocol": byPlain,
} as Record<string, Door>)) {
  test(`a user's publishes are limited to a hundred a minute by ${name}, and the budget is told`, async () => {
    const member = await door(server(), stranger().token);
    const room = `lobby:${unique("room")}`;
    const acks: Ack[] = [];
    // Time gives some back: a busy machine needs more of them.
    for (let index = 0; index < 10 * PUBLISHES && acks.at(-1)?.ok !== false; index++) {
      acks.push(await member.command("publish", { room, event: "e", data: index }));
    }
    const refusal = acks.find(({ ok }) => !ok);
    assert.equal(refusal?.error?.code, "rate_limited");
    assert.equal(refusal.error.retryable, true);
    assert.ok((refusal.error.retryAfterMs ?? 0) > 0);
    assert.ok(acks.length > PUBLISHES, `refused after ${acks.length - 1}`);
    assert.equal(acks[0]?.["remaining"], PUBLISHES - 1);
    assert.equal(refusal["remaining"], 0);
  });
}

test("Socket.IO, the plain protocol and HTTP share one bucket of a user", async () => {
  const { token } = stranger();
  const members: Member[] = [await bySocketIo()(server(), token), await byPlain(server(), token)];
  const publish = { room: `lobby:${unique("room")}`, event: "e", data: 1 };
  let accepted = 0;
  let refused: Ack | undefined;
  const begun = performance.now();
  for (let round = 0; round < 10 * PUBLISHES && !refused; round++) {
    for (const command of [
      ...members.map((member) => () => member.command("publish", publish)),
      () => byHttp(token, publish),
    ]) {
      const ack = await command();
      if (ack.ok) accepted += 1;
      else refused = ack;
      if (!ack.ok) break;
    }
  }
  assert.equal(refused?.error?.code, "rate_limited");
  // A bucket for each door would have let three times as many pass; time gives a few back.
  const most = PUBLISHES * (1 + (performance.now() - begun) / 60_000) + 1;
  assert.ok(accepted >= PUBLISHES && accepted <= most, `${accepted} were accepted, at most ${most} may`);
  for (const member of members) {
    assert.equal((await member.command("ping")).ok, true, "ping is not counted");
    assert.equal((await member.command("subscribe", { room: publish.room })).ok, true);
    assert.equal((await member.command("unsubscribe", { room: publish.room })).ok, true);
  }
  const isRefused = async () => {
    const answer = await byHttp(token, publish);
    return !answer.ok && answer;
  };
  const late = await until(isRefused, "a refusal");
  assert.deepEqual([late.status, late.retryAfter, late["remaining"]], [429, "1", 0]);
});

test("a client that floods is refused, then closed with 4429", async () => {
  const wire = await openPlain(server());
  say(wire, { type: "auth", token: stranger().token });
  await hear(wire, "auth:ok");
  let refusals = 0;
  wire.heard.each((item) => {
    const ack = JSON.parse(item.toString()) as Ack;
    if (ack.error?.code === "rate_limited" && (ack.error.retryAfterMs ?? 0) > 0) refusals += 1;
  });
  for (let id = 0; id < 1_000; id++) say(wire, { type: "ping", id });
  assert.equal((await wire.end()).code, 4429);
  assert.ok(refusals >= 50, `${refusals} refusals before the close`);
});

test("the 21st socket of a user is refused at CONNECT with rate_limited", async () => {
  const { token } = stranger();
  await Promise.all(Array.from({ length: 20 }, () => bySocketIo()(server(), token)));
  const client = open(NEWEST, server(), { auth: { token } });
  const [error] = (await heard(client, "connect_error")) as [
    Error & { data: { code: string; retryAfterMs: number } },
  ];
  assert.equal(error.data.code, "rate_limited");
  assert.ok(error.data.retryAfterMs > 0);
});

test("the 101st connection of an address is refused with 429 before the 101", async () => {
  const headers = { "X-Forwarded-For": "192.0.2.101" };
  await Promise.all(Array.from({ length: 100 }, () => openPlain(server(), "", headers)));
  const answer = await upgradeByHand(server().address, "/ws", headers);
  assert.match(answer, /^HTTP\/1\.1 429 /);
  assert.match(answer, /retry-after: \d+/);
  assert.match(answer, /"code":"rate_limited"/);
});
