import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { emitAck, heard, inbox, NEWEST, open, type Kind } from "../lib/clients.ts";
import { closeDoors, hear, openPlain, say, type Ack } from "../lib/doors.ts";
import { mint, served, serverToken, unique } from "../lib/serve.ts";
import { pause } from "../lib/wait.ts";

const server = served(["--no-limits", "--auth-expiry-grace-seconds", "0"]);
const KINDS: Record<string, Kind> = {
  WebSocket: NEWEST,
  polling: { ...NEWEST, transport: "polling" },
  msgpack: { ...NEWEST, parser: "msgpack" },
};

afterEach(closeDoors);

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
/** Seconds a token of a test lives; when half of it is over its bearer is told, and has longer than a machine stands still. */
const BRIEF = 6;

async function post(path: string, body: object): Promise<Record<string, unknown>> {
  const answer = await fetch(server().http + path, {
    method: "POST",
    headers: { Authorization: `Bearer ${serverToken()}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await answer.json()) as Record<string, unknown>;
}

for (const [name, kind] of Object.entries(KINDS)) {
  describe(`a stock client by ${name}`, () => {
    test("comes back by itself when its token ends and its auth function has a fresh one", async () => {
      const sub = unique("ada");
      let asked = 0;
      const auth = (answer: (payload: object) => void) => {
        asked += 1;
        answer({ token: mint({ sub, exp: inSeconds(asked === 1 ? BRIEF : 300) }) });
      };
      const client = open(kind, server(), { auth });
      const [connects, warned] = [inbox(client, "connect"), inbox(client, "tidings:token")];
      const [disconnects, news] = [inbox(client, "disconnect"), inbox(client, "news")];
      await connects.next("connect");
      const room = `lobby:${unique("room")}`;
      await emitAck(client, "subscribe", { room });
      const [reason] = await disconnects.next("disconnect", 30_000);
      assert.notEqual(reason, "io server disconnect");
      const [told] = (await warned.next("tidings:token")) as [{ expiresAt: string }];
      assert.ok(Date.parse(told.expiresAt) <= Date.now());
      await connects.next("connect");
      assert.equal(asked, 2);
      // It is in its room as before.
      assert.equal((await post("/api/publish", { room, event: "news", data: 1 }))["ok"], true);
      assert.equal((await news.next("news"))[0], 1);
    });

    test("renews in place and stays", async () => {
      const sub = unique("ada");
      const exp = inSeconds(BRIEF);
      const client = open(kind, server(), { auth: { token: mint({ sub, exp }) } });
      const [warned, disconnects] = [inbox(client, "tidings:token"), inbox(client, "disconnect")];
      await heard(client, "connect");
      await warned.next("tidings:token");
      const [ack] = (await emitAck(client, "auth", { token: mint({ sub }) })) as [Ack];
      assert.equal(ack.ok, true);
      assert.ok(Date.parse(String(ack["expiresAt"])) > Date.now() + 200_000);
      await pause(exp * 1_000 + 500 - Date.now());
      assert.deepEqual(disconnects.drain(), []);
      assert.equal((await post(`/api/users/${sub}/disconnect`, {}))["disconnected"], 1, "it is there");
    });

    test("does not come back in a loop when it is revoked", async () => {
      const sub = unique("eve");
      const token = mint({ sub, iat: inSeconds(0) });
      const client = open(kind, server(), { auth: { token } });
      await heard(client, "connect");
      const refusals = inbox(client, "connect_error");
      const gone = heard(client, "disconnect");
      assert.deepEqual(await post("/api/revocations", { userId: sub }), { ok: true });
      const [reason] = await gone;
      assert.notEqual(reason, "io server disconnect");
      const [refused] = (await refusals.next("connect_error")) as [{ data: { code: string } }];
      assert.equal(refused.data.code, "unauthorized");
      await assert.rejects(refusals.next("another attempt", 1_000));
      assert.equal(client.connected, false);
    });

    test("comes back by itself when it is disconnected", async () => {
      const sub = unique("ada");
      const client = open(kind, server(), { auth: { token: mint({ sub }) } });
      await heard(client, "connect");
      const back = heard(client, "disconnect").then(() => heard(client, "connect"));
      assert.deepEqual(await post(`/api/users/${sub}/disconnect`, {}), { ok: true, disconnected: 1 });
      await back;
      assert.equal(client.recovered, true);
    });
  });
}

describe("a plain client", () => {
  test("is told when its token ends, and renews by a second auth", async () => {
    const sub = unique("ada");
    const wire = await openPlain(server());
    say(wire, { type: "auth", token: mint({ sub, exp: inSeconds(BRIEF) }) });
    const first = await hear(wire, "auth:ok");
    assert.equal((await hear(wire, "token"))["expiresAt"], first["expiresAt"]);
    say(wire, { type: "auth", token: mint({ sub }) });
    const second = await hear(wire, "auth:ok");
    assert.equal(second["sessionId"], first["sessionId"]);
    assert.ok(String(second["expiresAt"]) > String(first["expiresAt"]));
  });
});
