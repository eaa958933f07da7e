import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { useLayoutEffect } from "react";
import { afterEach, expect, test } from "vitest";
import { Client } from "@tidings/client";
import { TidingsProvider, useOrders, usePortfolio, useTradingRoom } from "@tidings/react";
import { Exchange } from "../../../testing/exchange.ts";
import { mint, served, unique } from "../../../testing/server.ts";

const server = served(["--no-limits"]);
afterEach(cleanup);
const text = (id: string) => screen.getByTestId(id).textContent;

/** Each text of the orders, as they were rendered: some are there for a second, and nobody may look meanwhile. */
const rendered: string[] = [];

/** Waits until the orders were seen to be so, one after the other, whatever came between. */
const saw = (...texts: string[]) =>
  waitFor(() => {
    let next = 0;
    for (const seen of rendered) if (seen === texts[next]) next += 1;
    expect(texts.slice(next), rendered.join(", ")).toEqual([]);
  });

function Page({ room }: { room: string }) {
  const { room: seen, standings, me, proof, live } = useTradingRoom(room);
  return (
    <>
      <p data-testid="room">{[seen?.state, me, live, proof?.inStep].join(" ")}</p>
      <p data-testid="standings">{standings.map(({ userId }) => userId).join()}</p>
      <Portfolio room={room} />
      <Orders room={room} />
    </>
  );
}

function Portfolio({ room }: { room: string }) {
  const { cash, positions } = usePortfolio(room);
  return (
    <p data-testid="portfolio">
      {[cash, ...positions.map(({ symbol, quantity }) => `${quantity} ${symbol}`)].join(" ")}
    </p>
  );
}

function Orders({ room }: { room: string }) {
  const { open, fills, left, place, cancel } = useOrders(room);
  const buy = (type: "market" | "limit") =>
    void place({
      symbol: "ACME",
      side: "buy",
      type,
      quantity: "2",
      ...(type === "limit" ? { price: "1" } : {}),
    });
  const said = [left, open.length, ...fills.map(({ price }) => price)].join(" ");
  useLayoutEffect(() => void rendered.push(said), [said]);
  return (
    <>
      <p data-testid="orders">{said}</p>
      <button onClick={() => buy("market")}>market</button>
      <button onClick={() => buy("limit")}>limit</button>
      <button onClick={() => void cancel(open[0]?.orderId ?? "")}>cancel</button>
    </>
  );
}

test("three hooks of one room share one subscription, and show an order, what it was filled at, and what one has", async () => {
  const ada = unique("ada");
  const exchange = new Exchange(server);
  await exchange.run([ada], { ordersPerSecond: 1, orderBurst: 2 });
  await exchange.price("ACME", 10);
  const client = new Client({ url: server.http, token: mint({ sub: ada }) });
  const asked: unknown[] = [];
  client.connect();
  client.socket?.onAnyOutgoing((name: string, data: unknown) => name === "subscribe" && asked.push(data));
  const view = render(
    <TidingsProvider client={client}>
      <Page room={exchange.id} />
    </TidingsProvider>,
  );
  await waitFor(() => expect(text("room")).toBe(`running ${ada} true true`));
  expect(asked).toEqual([{ room: `trade:${exchange.id}` }, { room: `trade:${exchange.id}:${ada}` }]);
  expect(text("orders")).toBe("2 0");
  fireEvent.click(screen.getByText("market"));
  await waitFor(() => expect(text("portfolio")).toBe("99979.98 2 ACME"));
  // What becomes of an order is heard before its answer, which says how many are left.
  await saw("2 0", "1 0 10", "2 0 10");
  fireEvent.click(screen.getByText("limit"));
  await saw("2 0", "1 0 10", "2 0 10", "1 1 10");
  fireEvent.click(screen.getByText("cancel"));
  await waitFor(() => expect(text("orders")).toMatch(/ 0 10$/));
  await waitFor(() => expect(text("standings")).toBe(ada));
  view.unmount();
  await waitFor(() => expect(client.room(`trade:${exchange.id}`).state.status).toBe("idle"));
  client.disconnect();
});
