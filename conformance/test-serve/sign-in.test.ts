import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { connect, emitAck, heard, NEWEST, open, type Client } from "../lib/clients.ts";
import {
  argumentsOf,
  closeDoors,
  hear,
  openPlain,
  plainMember,
  say,
  type Ack,
  type Member,
} from "../lib/doors.ts";
import { BAD_TOKENS, mint, served, stranger, unique } from "../lib/serve.ts";

const server = served(["--no-limits"]);

afterEach(closeDoors);

interface Refused extends Error {
  data: { code: string };
}

/** Fails unless CONNECT is refused; answers the code. */
async function refusedCode(options: object): Promise<string> {
  const client = open(NEWEST, server(), options);
  const [error] = (await heard(client, "connect_error")) as [Refused];
  assert.equal(typeof error.message, "string");
  assert.deepEqual(Object.keys(error.data), ["code"]);
  assert.equal(client.connected, false);
  return error.data.code;
}

/** Connects and answers whether the socket is this user's: only the owner may subscribe to `user:ID`. */
async function isUser(options: object, id: string): Promise<boolean> {
  const client = open(NEWEST, server(), { ...options, autoConnect: false });
  await connect(client);
  const [ack] = (await emitAck(client, "subscribe", { room: `user:${id}` })) as [Ack];
  return ack.ok;
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

describe("on Socket.IO", () => {
  for (const [why, token, code] of BAD_TOKENS) {
    test(`a token ${why} is refused with ${code}`, async () => {
      assert.equal(await refusedCode({ auth: { token } }), code);
    });
  }

  test("no token is refused", async () => {
    assert.equal(await refusedCode({}), "unauthorized");
  });

  test("a token that is no string is refused", async () => {
    assert.equal(await refusedCode({ auth: { token: { sub: "eve" } } }), "unauthorized");
  });

  test("the token is taken from query, auth payload or header", async () => {
    for (const place of ["query", "auth", "header"]) {
      const { id, token } = stranger();
      const options = {
        query: { query: { token } },
        auth: { auth: { token } },
        header: { extraHeaders: bearer(token) },
      };
      assert.ok(await isUser(options[place as keyof typeof options], id), place);
    }
  });

  test("the query goes before the auth payload, and that before the header", async () => {
    const [first, second, third] = [stranger(), stranger(), stranger()];
    const behind = { auth: { token: second.token }, extraHeaders: bearer(third.token) };
    assert.ok(await isUser({ query: { token: first.token }, ...behind }, first.id));
    assert.ok(await isUser(behind, second.id));
  });

  test("a bad token in front is not made up for by a good one behind", async () => {
    const { token } = stranger();
    assert.equal(await refusedCode({ query: { token: "garbage" }, auth: { token } }), "unauthorized");
    assert.equal(
      await refusedCode({ auth: { token: "garbage" }, extraHeaders: bearer(token) }),
      "unauthorized",
    );
  });

  test("a refused client may come back with a fresh token", async () => {
    const client = open(NEWEST, server(), { auth: { token: "garbage" } });
    await heard(client, "connect_error");
    client.auth = { token: stranger().token };
    await connect(client);
    assert.equal(client.connected, true);
  });

  test("an auth function is asked again at every connection", async () => {
    let asked = 0;
    const auth = (give: (payload: object) => void) => {
      asked += 1;
      give({ token: stranger().token });
    };
    const client = open(NEWEST, server(), { auth, autoConnect: false });
    await connect(client);
    const back = heard(client, "connect");
    client.io.engine.close();
    await back;
    assert.equal(asked, 2);
  });

  test("a command without an ack callback runs, and its refusal is an event", async () => {
    const { client } = await argumentsOf(server(), stranger().token, "news");
    const refusal = heard(client, "tidings:error");
    client.emit("subscribe", { room: "nosuchkind:1" });
    const [body] = (await refusal) as [{ command: string; error: Ack["error"] }];
    assert.equal(body.command, "subscribe");
    assert.equal(body.error?.code, "not_found");
  });
});

describe("recovery of stock clients", () => {
  async function joined(auth: object) {
    const room = `lobby:${unique("room")}`;
    const member = await argumentsOf(server(), stranger().token, "news", auth, {
      reconnection: false,
    });
    await emitAck(member.client, "subscribe", { room });
    const publisher = (await argumentsOf(server(), stranger().token, "news")).client;
    const publish = (data: unknown) => emitAck(publisher, "publish", { room, event: "news", data });
    return { ...member, publish };
  }

  test("events carry an offset as last argument", async () => {
    const { heard: news, publish } = await joined({});
    await publish("hello");
    const args = await news.next("news");
    assert.equal(args[0], "hello");
    assert.equal(args.length, 2);
    assert.equal(typeof args[1], "string");
  });

  test("a client that wants no recovery hears the data alone", async () => {
    const { heard: news, publish } = await joined({ recovery: false });
    await publish("hello");
    assert.deepEqual(await news.next("news"), ["hello"]);
  });

  test("a lost connection comes back with its rooms and what it missed", async () => {
    const { client, heard: news, publish } = await joined({});
    await publish("before");
    await news.next("news");
    await lose(client);
    await publish("missed 1");
    await publish("missed 2");
    await connect(client);
    await publish("live");
    assert.equal(client.recovered, true);
    assert.deepEqual(
      (await news.take(3, "news")).map((args) => args[0]),
      ["missed 1", "missed 2", "live"],
    );
  });

  test("a session is not recovered with another subject's token", async () => {
    const { client } = await joined({});
    await lose(client);
    client.auth = { token: stranger().token };
    await connect(client);
    assert.equal(client.recovered, false);
  });

  async function lose(client: Client): Promise<void> {
    const gone = heard(client, "disconnect");
    client.io.engine.close();
    await gone;
  }
});

describe("on the plain protocol", () => {
  async function signIn(message: object, query = "", headers: Record<string, string> = {}): Promise<Member> {
    const wire = await openPlain(server(), query, headers);
    say(wire, { type: "auth", ...message });
    await hear(wire, "auth:ok");
    return plainMember(wire);
  }

  async function owns(member: Member, id: string): Promise<boolean> {
    return (await member.command("subscribe", { room: `user:${id}` })).ok;
  }

  test("a good token is answered with who it is and until when", async () => {
    const wire = await openPlain(server());
    const exp = Math.floor(Date.now() / 1000) + 200;
    say(wire, { type: "auth", token: mint({ sub: "alice", org: "acme", exp }) });
    const { sessionId, expiresAt, ...answer } = await hear(wire, "auth:ok");
    assert.deepEqual(answer, { type: "auth:ok", userId: "alice", org: "acme" });
    assert.equal(typeof sessionId, "string");
    assert.equal(Date.parse(String(expiresAt)), exp * 1000);
  });

  test("a token without an organisation belongs to default", async () => {
    const wire = await openPlain(server());
    say(wire, { type: "auth", token: stranger().token });
    assert.equal((await hear(wire, "auth:ok"))["org"], "default");
  });

  for (const [why, token] of BAD_TOKENS) {
    test(`a token ${why} is closed with 4401`, async () => {
      const wire = await openPlain(server());
      say(wire, { type: "auth", token });
      assert.equal((await wire.end()).code, 4401);
    });
  }

  test("a command before signing in is closed with 4401", async () => {
    const wire = await openPlain(server());
    say(wire, { type: "subscribe", id: 1, room: "lobby:1" });
    assert.equal((await wire.end()).code, 4401);
  });

  test("silence instead of signing in is closed with 4401 after five seconds", async () => {
    const wire = await openPlain(server());
    assert.equal((await wire.end(20_000)).code, 4401);
  });

  test("what is wrong beside the token is refused, and signing in may be tried again", async () => {
    const [wire, token] = [await openPlain(server()), stranger().token];
    for (const wrong of [{ persistent: "yes" }, { gaps: 1 }, { recovery: "no" }]) {
      say(wire, { type: "auth", token, ...wrong });
      const { ok, error } = await hear(wire, "ack");
      assert.deepEqual([ok, (error as { code: string }).code], [false, "bad_request"], JSON.stringify(wrong));
    }
    say(wire, { type: "auth", token });
    assert.equal((await hear(wire, "auth:ok"))["org"], "default");
  });

  test("the token is taken from query, message or header, in that order", async () => {
    const [first, second, third] = [stranger(), stranger(), stranger()];
    const query = `?token=${first.token}`;
    const headers = bearer(third.token);
    assert.ok(await owns(await signIn({ token: second.token }, query, headers), first.id), "query");
    assert.ok(await owns(await signIn({ token: second.token }, "", headers), second.id), "message");
    assert.ok(await owns(await signIn({}, "", headers), third.id), "header");
  });

  test("without a token a client on loopback is anonymous, and good for open rooms alone", async () => {
    const member = await signIn({});
    assert.equal((await member.command("subscribe", { room: "metrics:host" })).ok, true);
    for (const [command, body] of [
      ["subscribe", { room: "lobby:1" }],
      ["publish", { room: "lobby:1", event: "e", data: 1 }],
      ["history", { room: "lobby:1" }],
      ["subscribe", { room: "user:alice" }],
    ] as const) {
      const ack = await member.command(command, body);
      assert.equal(ack.ok, false, `${command} ${body.room}`);
      assert.ok(
        ["unauthorized", "forbidden", "not_found"].includes(ack.error?.code ?? ""),
        JSON.stringify(ack),
      );
    }
  });

  test("the host's own metrics arrive without signing in", async () => {
    const member = await signIn({});
    await member.command("subscribe", { room: "metrics:host" });
    const event = await member.events.next("metrics", 20_000);
    assert.equal(typeof event.event, "string");
  });

  test("every event names its room, message and place", async () => {
    const member = await signIn({ token: stranger().token });
    const room = `lobby:${unique("room")}`;
    await member.command("subscribe", { room });
    const ack = await member.command("publish", { room, event: "news", data: { a: 1 } });
    const event = (await member.events.next("event")) as unknown as Record<string, unknown>;
    const { messageId, epoch, offset } = ack;
    delete event["tag"];
    assert.deepEqual(event, { room, event: "news", data: { a: 1 }, messageId, epoch, offset });
  });

  test("a heartbeat is answered", async () => {
    const wire = await openPlain(server());
    say(wire, { type: "auth", token: stranger().token });
    await hear(wire, "auth:ok");
    say(wire, { type: "heartbeat" });
    assert.equal((await hear(wire, "heartbeat")).type, "heartbeat");
  });
});
