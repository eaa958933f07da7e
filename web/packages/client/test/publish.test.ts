import { expect, test } from "vitest";
import { Refusal, type PublishedEvent } from "@tidings/client";
import { opening } from "../../../testing/clients.ts";
import { mint, served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";

const server = served();
const open = opening(server);

const refusalOf = async (promise: Promise<unknown>): Promise<Refusal> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Refusal);
  return error as Refusal;
};

test("a publish that meets a dead server is done once, when it is back", async () => {
  const client = open();
  const room = `lobby:${unique("retry")}`;
  await client.publish(room, "said", 0);
  const session = client.state.session;
  await server.kill();
  // Some of these are said into a connection that is dead and not known to be.
  const published = [1, 2, 3].map((n) => client.publish(room, "said", n));
  await server.start();
  const answers = await Promise.all(published);
  expect(client.state.session).not.toBe(session);
  expect(new Set(answers.map(({ messageId }) => messageId)).size).toBe(3);
  const history = (await client.request(`/api/rooms/${room}/history`)) as { events: { data: number }[] };
  expect(history.events.map(({ data }) => data).sort()).toEqual([0, 1, 2, 3]);
});

test("the same key is the same event, also from another client", async () => {
  const token = mint({ sub: unique("user") });
  const room = `lobby:${unique("key")}`;
  const first = await open({ token }).publish(room, "said", 1, { key: "once" });
  const again = await open({ token }).publish(room, "said", 1, { key: "once" });
  expect(again).toMatchObject({ messageId: first.messageId, duplicate: true });
  const other = await refusalOf(open({ token }).publish(room, "said", 2, { key: "once" }));
  expect(other.code).toBe("conflict");
});

test("what the server refuses is refused at once, with its code", async () => {
  const client = open();
  expect((await refusalOf(client.publish("nowhere:1", "said", 1))).code).toBe("not_found");
  expect((await refusalOf(client.command("/", "no such command", {}))).code).toBe("not_found");
  expect((await refusalOf(client.request("/api/rooms"))).code).toBe("forbidden");
});

test("without a server a publish gives up when its time is over, and without a connection at once", async () => {
  const client = open({ url: "http://127.0.0.1:9" });
  const refusal = await refusalOf(client.publish("lobby:1", "said", 1, { timeoutMs: 300 }));
  expect(refusal.code).toBe("unavailable");
  client.disconnect();
  expect((await refusalOf(client.publish("lobby:1", "said", 1))).message).toBe("there is no connection");
});

test("no more than a thousand answers are waited for", async () => {
  const client = open({ url: "http://127.0.0.1:9" });
  const all = Array.from({ length: 1_001 }, () =>
    refusalOf(client.publish("lobby:1", "said", 1, { timeoutMs: 200 })),
  );
  const messages = (await Promise.all(all)).map(({ message }) => message);
  expect(messages.filter((message) => message.startsWith("1000 answers"))).toHaveLength(1);
});

test("who asks in a namespace that does not exist is told so at once, and so is who asks again", async () => {
  const client = open();
  await until(() => expect(client.state.status).toBe("connected"));
  const command = (key?: string) =>
    refusalOf(client.command("/no-such-namespace", "anything", {}, key === undefined ? {} : { key }));
  const refusals = [...(await Promise.all([command(), command("k")])), await command()];
  expect(refusals.map(({ code, retryable }) => [code, retryable])).toEqual(
    Array.from({ length: 3 }, () => ["not_found", false]),
  );
  expect(client.state.status).toBe("connected");
});

test.each(["websocket", "polling"])(
  "what is too large by %s is refused for good, and what was said beside it is not",
  async (transport) => {
    const client = open({ socket: { transports: [transport] } });
    const room = `lobby:${unique("large")}`;
    const large = refusalOf(client.publish(room, "said", "x".repeat(1_000_001)));
    const small = client.publish(room, "said", "small");
    expect((await large).code).toBe("too_large");
    expect((await small).room).toBe(room);
  },
);

test.each([
  ["an ArrayBuffer", () => new ArrayBuffer(1_000_001)],
  ["bytes in an object", () => ({ picture: new Uint8Array(1_000_001) })],
  ["letters of three bytes", () => "\u20ac".repeat(350_000)],
])(
  "%s that is too large is refused for good, and what is longer as JSON and is not is published",
  async (_, said) => {
    const client = open({ socket: { transports: ["websocket"] } });
    const room = `lobby:${unique("bytes")}`;
    const large = refusalOf(client.publish(room, "said", said()));
    const small = client.publish(room, "said", "x".repeat(500_000));
    expect((await large).code).toBe("too_large");
    expect((await small).room).toBe(room);
  },
);

test("a command with a key is done once in the namespace of rooms as well", async () => {
  const client = open();
  const said = { room: `lobby:${unique("once")}`, event: "said", data: 1 };
  const publish = () => client.command("/", "publish", said, { key: "k1" }) as Promise<PublishedEvent>;
  const first = await publish();
  expect(await publish()).toMatchObject({ messageId: first.messageId, duplicate: true });
});
