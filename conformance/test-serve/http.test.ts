import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { byPlain, closeDoors, type Ack, type Member } from "../lib/doors.ts";
import { ask, upgradeByHand, type Answer } from "../lib/http.ts";
import { Wire } from "../lib/wire.ts";
import { BAD_TOKENS, served, serverToken, stranger, unique } from "../lib/serve.ts";

const ALLOWED = "https://a.example";
const EVIL = "https://evil.example";
const server = served(["--no-limits", "--allow-origin", ALLOWED]);

afterEach(closeDoors);

function post(
  path: string,
  body: unknown,
  token?: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return ask(server().http + path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: {
      "content-type": "application/json",
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
  });
}

/** Publishes with a server's rights and answers the ack. */
async function publish(body: object, token = serverToken()): Promise<Ack> {
  const answer = await post("/api/publish", { event: "news", ...body }, token);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Ack;
}

function assertRefusal({ status, headers, body }: Answer, expected: number, code: string): void {
  assert.equal(status, expected, body);
  assert.match(headers["content-type"] ?? "", /^application\/json/);
  const refusal = JSON.parse(body) as Ack;
  assert.equal(refusal.ok, false);
  assert.equal(refusal.error?.code, code);
  assert.equal(typeof refusal.error?.message, "string");
  assert.equal(typeof refusal.error?.retryable, "boolean");
}

async function subscribed(room: string, token = stranger().token): Promise<Member> {
  const member = await byPlain(server(), token);
  assert.equal((await member.command("subscribe", { room })).ok, true);
  return member;
}

async function hears(member: Member, ...expected: unknown[]): Promise<void> {
  for (const data of expected) assert.deepEqual((await member.events.next("event")).data, data);
}

const lobby = () => `lobby:${unique("room")}`;

describe("POST /api/publish", () => {
  test("is acknowledged like a publish on a socket, and heard", async () => {
    const room = lobby();
    const member = await subscribed(room);
    const ack = await publish({ room, data: { a: 1 } });
    assert.equal(ack.ok, true);
    assert.equal(ack.room, room);
    assert.equal(ack.offset, 1);
    for (const key of ["messageId", "epoch", "durability"]) assert.equal(typeof ack[key], "string", key);
    await hears(member, { a: 1 });
  });

  test("reaches several rooms", async () => {
    const rooms = [lobby(), lobby()];
    const members = [await subscribed(rooms[0] ?? ""), await subscribed(rooms[1] ?? "")];
    await publish({ rooms, data: "both" });
    for (const member of members) await hears(member, "both");
  });

  test("reaches a user", async () => {
    const { id, token } = stranger();
    const member = await byPlain(server(), token);
    await publish({ userId: id, data: "letter" });
    await hears(member, "letter");
  });

  test("reaches an organisation and no other", async () => {
    const [ours, theirs] = [unique("org"), unique("org")];
    const here = await byPlain(server(), stranger({ org: ours }).token);
    const { id, token } = stranger({ org: theirs });
    const there = await byPlain(server(), token);
    await publish({ org: ours, data: "to all of us" }, serverToken({ org: ours }));
    await publish({ userId: id, data: "fence" }, serverToken({ org: theirs }));
    await hears(here, "to all of us");
    await hears(there, "fence");
  });

  test("with a key is the same message again", async () => {
    const body = { room: lobby(), data: "paid", key: unique("key") };
    const first = await publish(body);
    const again = await publish(body);
    assert.deepEqual([again["duplicate"], again.messageId, again.offset], [true, first.messageId, 1]);
    const other = await post("/api/publish", { event: "news", ...body, data: "other" }, serverToken());
    assertRefusal(other, 409, "conflict");
  });

  test("wants a token", async () => {
    assertRefusal(await post("/api/publish", { room: lobby(), event: "e", data: 1 }), 401, "unauthorized");
  });

  for (const [why, token, code] of BAD_TOKENS) {
    test(`refuses a token ${why}`, async () => {
      assertRefusal(await post("/api/publish", { room: lobby(), event: "e", data: 1 }, token), 401, code);
    });
  }

  test("refuses a person where only servers may publish", async () => {
    const { id, token } = stranger();
    const answer = await post("/api/publish", { room: `user:${id}`, event: "e", data: 1 }, token);
    assertRefusal(answer, 403, "forbidden");
  });

  test("does not know a room of an undeclared kind", async () => {
    const answer = await post("/api/publish", { room: "nosuchkind:1", event: "e", data: 1 }, serverToken());
    assertRefusal(answer, 404, "not_found");
  });

  for (const [what, body] of [
    ["no JSON", "{"],
    ["an array", []],
    ["no event", { room: "lobby:1", data: 1 }],
    ["no destination", { event: "e", data: 1 }],
    ["a room that is a number", { room: 1, event: "e", data: 1 }],
  ] as const) {
    test(`refuses ${what}`, async () => {
      assertRefusal(await post("/api/publish", body, serverToken()), 400, "bad_request");
    });
  }

  test("refuses a body over the limit", async () => {
    const data = "x".repeat(1_100_000);
    assertRefusal(
      await post("/api/publish", { room: lobby(), event: "e", data }, serverToken()),
      413,
      "too_large",
    );
  });
});

describe("POST /api/publish/batch", () => {
  test("publishes all messages in their order", async () => {
    const room = lobby();
    const member = await subscribed(room);
    const messages = [1, 2, 3].map((data) => ({ room, event: "news", data }));
    const answer = await post("/api/publish/batch", { messages }, serverToken());
    assert.equal(answer.status, 200, answer.body);
    assert.equal((JSON.parse(answer.body) as Ack).ok, true);
    await hears(member, 1, 2, 3);
  });

  test("refuses what is no list of messages, and wants a token", async () => {
    assertRefusal(await post("/api/publish/batch", { messages: "all" }, serverToken()), 400, "bad_request");
    assertRefusal(await post("/api/publish/batch", { messages: [] }), 401, "unauthorized");
  });
});

describe("GET /api/rooms/{room}/history", () => {
  test("answers what was published", async () => {
    const room = lobby();
    const ack = await publish({ room, data: "kept" });
    const answer = await ask(`${server().http}/api/rooms/${encodeURIComponent(room)}/history`, {
      headers: { authorization: `Bearer ${stranger().token}` },
    });
    assert.equal(answer.status, 200, answer.body);
    const { events, epoch } = JSON.parse(answer.body) as { epoch: string; events: Record<string, unknown>[] };
    assert.equal(epoch, ack.epoch);
    assert.deepEqual(
      events.map(({ event, data, offset, messageId }) => ({ event, data, offset, messageId })),
      [{ event: "news", data: "kept", offset: 1, messageId: ack.messageId }],
    );
  });

  test("wants a token and does not know undeclared kinds", async () => {
    const url = `${server().http}/api/rooms`;
    assertRefusal(await ask(`${url}/lobby%3A1/history`), 401, "unauthorized");
    const headers = { authorization: `Bearer ${stranger().token}` };
    assertRefusal(await ask(`${url}/nosuchkind%3A1/history`, { headers }), 404, "not_found");
  });
});

describe("operations", () => {
  for (const path of ["/healthz", "/readyz"]) {
    test(`${path} says yes and no more`, async () => {
      const answer = await ask(server().http + path);
      assert.equal(answer.status, 200);
      assert.doesNotMatch(answer.body, /\d+\.\d+\.\d+/, "no version");
    });
  }

  test("/metrics is in Prometheus' text format", async () => {
    const answer = await ask(`${server().http}/metrics`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers["content-type"] ?? "", /^(text\/plain|application\/openmetrics-text)/);
    assert.match(answer.body, /^# TYPE [a-z_:]+ (counter|gauge|histogram)$/m);
    assert.match(answer.body, /^tidings_[a-z_]+(\{[^}]*\})? [\d.e+-]+$/m);
  });

  test("an unknown path below /api is a refusal object", async () => {
    const headers = { authorization: `Bearer ${stranger().token}` };
    assertRefusal(await ask(`${server().http}/api/nothing-here`, { headers }), 404, "not_found");
  });
});

describe("origins", () => {
  const polling = "/socket.io/?EIO=4&transport=polling";
  const sockets = ["/socket.io/?EIO=4&transport=websocket", "/ws"];

  for (const path of sockets) {
    test(`a WebSocket to ${path} from a foreign origin is refused`, async () => {
      const answer = await upgradeByHand(server().address, path, { Origin: EVIL });
      assert.match(answer, /^HTTP\/1\.1 40[03] /);
    });

    for (const [what, origin] of [
      ["an allowed origin", () => ALLOWED],
      ["its own origin", () => server().http],
    ] as const) {
      test(`a WebSocket to ${path} from ${what} is taken`, async () => {
        const wire = await Wire.open(server().ws + path, { Origin: origin() });
        wire.terminate();
      });
    }
  }

  test("polling from a foreign origin is refused with code 4", async () => {
    const answer = await ask(server().http + polling, { headers: { origin: EVIL } });
    assert.equal(answer.status, 403);
    assert.equal((JSON.parse(answer.body) as { code: number }).code, 4);
    assert.equal(answer.headers["access-control-allow-origin"], undefined);
  });

  test("polling from an allowed origin carries its headers", async () => {
    const answer = await ask(server().http + polling, { headers: { origin: ALLOWED } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["access-control-allow-origin"], ALLOWED);
    assert.match(answer.headers.vary ?? "", /origin/i);
  });

  test("a preflight is answered for the allowed origin alone", async () => {
    const preflight = (origin: string) =>
      ask(server().http + polling, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type",
        },
      });
    const answer = await preflight(ALLOWED);
    assert.ok([200, 204].includes(answer.status), `status ${answer.status}`);
    assert.equal(answer.headers["access-control-allow-origin"], ALLOWED);
    assert.match(answer.headers["access-control-allow-methods"] ?? "", /POST/);
    assert.match(answer.headers["access-control-allow-headers"] ?? "", /content-type/i);
    assert.equal((await preflight(EVIL)).headers["access-control-allow-origin"], undefined);
  });

  test("publishing from a foreign page is refused or at least unreadable to it", async () => {
    const body = { room: lobby(), event: "e", data: 1 };
    const answer = await post("/api/publish", body, serverToken(), { origin: EVIL });
    assert.equal(answer.headers["access-control-allow-origin"], undefined);
  });
});
