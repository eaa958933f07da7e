import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { Client } from "@tidings/client";
import { TidingsProvider, useOrders, usePortfolio, useTradingRoom } from "@tidings/react";
import { Exchange } from "../../../testing/exchange.ts";
import { mint, served, unique } from "../../../testing/server.ts";

const server = served(["--no-limits"]);
afterEach(cleanup);
const soon = (holds: () => void) => waitFor(holds, { timeout: 10_000 });
const text = (id: string) => screen.getByTestId(id).textContent;

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
  return (
    <>
      <p data-testid="orders">{[left, open.length, ...fills.map(({ price }) => price)].join(" ")}</p>
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
  await soon(() => expect(text("room")).toBe(`running ${ada} true true`));
  expect(asked).toEqual([{ room: `trade:${exchange.id}` }, { room: `trade:${exchange.id}:${ada}` }]);
  expect(text("orders")).toBe("2 0");
  fireEvent.click(screen.getByText("market"));
  await soon(() => expect(text("portfolio")).toBe("99979.98 2 ACME"));
  // What becomes of an order is heard before its answer, which says how many are left.
  await soon(() => expect(text("orders")).toBe("1 0 10"));
  await soon(() => expect(text("orders")).toBe("2 0 10"));
  fireEvent.click(screen.getByText("limit"));
  await soon(() => expect(text("orders")).toBe("1 1 10"));
  fireEvent.click(screen.getByText("cancel"));
  await soon(() => expect(text("orders")).toMatch(/ 0 10$/));
  await soon(() => expect(text("standings")).toBe(ada));
  view.unmount();
  await soon(() => expect(client.room(`trade:${exchange.id}`).state.status).toBe("idle"));
  client.disconnect();
});
