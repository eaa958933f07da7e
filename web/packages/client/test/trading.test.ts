import { afterEach, describe, expect, test } from "vitest";
import { Client, followed, type AccountView, type OrderReply } from "@tidings/client";
import { ACCOUNT, digestOf, ordersLeft, tradingRoom, type TradingRoom } from "@tidings/client/trading";
import { Exchange } from "../../../testing/exchange.ts";
import { mint, served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";

const server = served(["--no-limits"]);
const forgetful = served(["--no-limits"], "[apps.trading]\nkeep_ended_seconds = 1\n");
const clients: Client[] = [];
const open = (user: string, at = server) => {
  const client = new Client({ url: at.http, token: mint({ sub: user }) });
  clients.push(client);
  client.connect();
  return client;
};
afterEach(() => clients.splice(0).forEach((client) => client.disconnect()));

/** Trades in a room as a member; a market order of one lot, unless said otherwise. */
const order = (symbol: string, side: "buy" | "sell", quantity = "1") =>
  ({ symbol, side, type: "market", quantity }) as const;

async function entered(exchange: Exchange, user: string, at = server): Promise<TradingRoom> {
  const room = tradingRoom(open(user, at), exchange.id);
  room.enter();
  await until(() => expect([room.state.status, room.state.own]).toEqual(["live", "live"]));
  return room;
}

/** What is known of an account, as far as a digest covers it. */
const known = ({ state }: TradingRoom) => ({
  cash: state.account?.cash,
  held: state.account?.positions.map(({ symbol, quantity }) => `${symbol} ${quantity}`),
});

async function atServer(exchange: Exchange, user: string) {
  const { cash, positions, digest } = await exchange.portfolio<AccountView>(user);
  const held = positions.map(({ symbol, quantity }) => `${symbol} ${quantity}`);
  expect(digestOf(user, cash, positions)).toBe(digest);
  return { cash, held };
}

/** Has a client lose the events of a name about something, as a broken proxy might; how many it has lost. */
function loses(client: Client, name: string, about: (data: never) => boolean): () => number {
  const socket = client.socket as unknown as { onevent: (packet: { data: unknown[] }) => void };
  const hear = socket.onevent.bind(socket);
  let lost = 0;
  socket.onevent = (packet) => {
    const [event, data] = packet.data;
    if (event === name && about(data as never)) lost += 1;
    else hear(packet);
  };
  return () => lost;
}

test("a digest is that of the server, whatever the order in which positions are known", async () => {
  const text = "ada\n9000.5\nBTC-EUR 0.25\nBTC/USD 3\n";
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const expected = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const positions = [
    { symbol: "BTC/USD", quantity: "3" },
    { symbol: "BTC-EUR", quantity: "0.25" },
  ];
  expect(digestOf("ada", "9000.5", positions)).toBe(expected);
});

test("an account, its orders and the room follow events alone, every digest holds among marks, also over a crash", async () => {
  const [ada, bob] = [unique("ada"), unique("bob")];
  const exchange = new Exchange(server);
  await exchange.run([ada, bob]);
  await exchange.price("ACME", 10);
  await exchange.price("BETA", 20);
  const room = await entered(exchange, ada);
  expect(room.state.proof).toEqual({ inStep: true, held: 0, resyncs: 0, seq: expect.any(Number) as number });
  // Marks come all the time, and more of them than are told.
  let round = 0;
  const trade = async () => {
    for (let end = round + 20; round < end; round += 1) {
      await exchange.price("ACME", 10 + (round % 7));
      await room.place(order(round % 2 ? "BETA" : "ACME", round % 5 === 4 ? "sell" : "buy", "3"));
    }
  };
  await trade();
  await until(() => expect(room.state.proof.held).toBeGreaterThanOrEqual(3));
  await until(async () => expect(known(room)).toEqual(await atServer(exchange, ada)));

  const waiting = await room.place({ symbol: "ACME", side: "buy", type: "limit", quantity: "5", price: "1" });
  await until(() =>
    expect(room.state.account?.openOrders.map(({ orderId }) => orderId)).toEqual([waiting.orderId]),
  );
  await exchange.price("ACME", 1, 2);
  await until(() => expect(room.state.account?.openOrders[0]?.remaining).toBe("3"));
  await room.cancel(waiting.orderId);
  await until(() => expect(room.state.account?.openOrders).toEqual([]));
  await expect(room.place(order("ACME", "sell", "900"))).rejects.toThrow(/^insufficient_position: /);
  await until(() => expect(room.state.failures[0]?.reason.code).toBe("insufficient_position"));

  await server.kill();
  await until(() => expect(room.state.own).toBe("joining"));
  await server.start();
  await until(() => expect(room.state.own).toBe("live"));
  const { held } = room.state.proof;
  await trade();
  await until(() => expect(room.state.proof.held).toBeGreaterThan(held));
  await until(async () => expect(known(room)).toEqual(await atServer(exchange, ada)));
  expect(room.state.proof).toMatchObject({ inStep: true, resyncs: 0 });

  await until(() =>
    expect(room.state.room?.standings.map(({ userId }) => userId).sort()).toEqual([ada, bob].sort()),
  );
  await until(() => expect(room.state.ticks["ACME"]?.length).toBeGreaterThan(0));
  await exchange.post("end");
  await until(() => expect(room.state.room?.state).toBe("ended"));
}, 120_000);

test("who lost an event finds it at the next digest, asks anew once, and is right; who does not check stays wrong", async () => {
  const ada = unique("ada");
  const exchange = new Exchange(server);
  await exchange.run([ada]);
  await exchange.price("ACME", 10);
  await exchange.price("BETA", 20);
  const [room, trusting] = [await entered(exchange, ada), open(ada)];
  const own = trusting.room(`trade:${exchange.id}:${ada}`);
  const unchecked = followed(own, ACCOUNT);
  own.enter();
  await until(() => expect(unchecked.state.account?.cash).toBe("100000"));
  const checking = clients[0];
  if (!checking) throw new Error("there is a client");
  const lost = [checking, trusting].map((client) =>
    loses(client, "position:updated", ({ symbol }: { symbol: string }) => symbol === "BETA"),
  );
  // The fill, and perhaps its mark, of a price that does not change any more.
  await room.place(order("BETA", "buy", "7"));
  await until(() => expect(Math.min(...lost.map((count) => count()))).toBeGreaterThan(0));
  expect(known(room).held).toEqual([]);
  const trade = async (times: number) => {
    for (let n = 0; n < times; n += 1) await room.place(order("ACME", "buy"));
  };
  await trade(6);
  await until(() => expect(room.state.proof).toMatchObject({ inStep: true, resyncs: 1 }));
  await trade(12);
  await until(async () => expect(known(room)).toEqual(await atServer(exchange, ada)));
  expect(known(room).held).toEqual(["ACME 18", "BETA 7"]);
  await until(() => expect(room.state.proof.held).toBeGreaterThanOrEqual(2));
  expect(room.state.proof).toMatchObject({ inStep: true, resyncs: 1 });
  // The same events, and nobody looks: what was lost is never found.
  await until(() => expect(unchecked.state.account?.positions.map(({ symbol }) => symbol)).toEqual(["ACME"]));
  expect(unchecked.state.account?.cash).toBe(known(room).cash);
});

test("who is no member sees the room, and has an account as soon as he joins and none when he has left", async () => {
  const eve = unique("eve");
  const exchange = new Exchange(server);
  await exchange.open([]);
  const room = tradingRoom(open(eve), exchange.id);
  const leave = room.enter();
  await until(() => expect([room.state.status, room.state.own]).toEqual(["live", "refused"]));
  expect(room.state.room?.state).toBe("open");
  await exchange.post("join", { userId: eve });
  await until(() => expect(room.state.account?.cash).toBe("100000"));
  expect(room.state.room?.members).toBe(1);
  await exchange.post("leave", { userId: eve });
  await until(() => expect(room.state.account).toBeUndefined());
  await exchange.post("join", { userId: eve });
  await until(() => expect([room.state.own, room.state.account?.cash]).toEqual(["live", "100000"]));
  await exchange.price("ACME", 12);
  await until(() => expect(room.state.room?.prices).toEqual([{ symbol: "ACME", price: "12" }]));
  leave();
  await until(() => expect([room.state.status, room.state.own]).toEqual(["idle", "idle"]));
});

test("how many orders the room takes is known from its answers, and comes back with time", async () => {
  const ada = unique("ada");
  const exchange = new Exchange(server);
  await exchange.run([ada], { ordersPerSecond: 2, orderBurst: 3 });
  await exchange.price("ACME", 10);
  const room = await entered(exchange, ada);
  expect(ordersLeft(room.state)).toBe(3);
  await expect(room.place(order("ACME", "sell"))).rejects.toMatchObject({ ordersRemaining: 3 });
  // Time gives some back: on a busy machine they are more than three.
  let reply: OrderReply;
  do reply = await room.place(order("ACME", "buy"));
  while (reply.ordersRemaining > 0);
  const { budget } = room.state;
  expect(ordersLeft(room.state, budget?.at)).toBe(0);
  expect(ordersLeft(room.state, (budget?.at ?? 0) + 1_100)).toBe(2);
  expect(ordersLeft(room.state, (budget?.at ?? 0) + 60_000)).toBe(3);
  const placesMore = async () => {
    for (;;) await room.place(order("ACME", "buy"));
  };
  await expect(placesMore()).rejects.toMatchObject({ code: "rate_limited" });
});

describe("a room that is removed", () => {
  /** One in which somebody has bought something and which has ended. */
  async function ended(user: string): Promise<[TradingRoom, Exchange]> {
    const exchange = new Exchange(forgetful);
    await exchange.run([user]);
    await exchange.price("ACME", 10);
    const room = await entered(exchange, user, forgetful);
    await room.place(order("ACME", "buy", "3"));
    await until(() => expect(known(room).held).toEqual(["ACME 3"]));
    return [room, exchange];
  }

  /** The id is taken until all of the one before is gone. */
  const anew = (exchange: Exchange) =>
    until(() => exchange.run([unique("bob")], { lateJoin: true, startingCash: "500" }), 30_000);

  const own = ({ state: { account, fills, budget, proof } }: TradingRoom) => [
    account,
    fills,
    budget,
    proof.inStep,
  ];

  test("is forgotten with the account, and the next of its id is entered as soon as it is there", async () => {
    const ada = unique("ada");
    const [room, exchange] = await ended(ada);
    await exchange.post("end");
    await until(() => expect(room.state.room).toBeUndefined());
    expect(own(room)).toEqual([undefined, [], undefined, undefined]);
    await anew(exchange);
    await until(() => expect([room.state.status, room.state.own]).toEqual(["live", "refused"]), 30_000);
    expect(room.state.room).toMatchObject({ state: "running", rules: { startingCash: "500" } });
    expect(own(room)).toEqual([undefined, [], undefined, undefined]);
    await exchange.post("join", { userId: ada });
    await until(() => expect(room.state.account).toMatchObject({ cash: "500", positions: [] }));
  }, 120_000);

  test("is forgotten as well by who was away as it was made anew", async () => {
    const [room, exchange] = await ended(unique("ada"));
    const client = clients[0];
    client?.disconnect();
    await exchange.post("end");
    await anew(exchange);
    client?.connect();
    await until(() => expect(room.state.room?.rules.startingCash).toBe("500"));
    await until(() => expect(room.state.own).toBe("refused"));
    expect(own(room)).toEqual([undefined, [], undefined, undefined]);
  }, 120_000);
});
