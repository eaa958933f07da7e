import type { Browser, WebSocketRoute } from "playwright-core";
import { expect, test } from "vitest";
import { Exchange } from "../../../testing/exchange.ts";
import { served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { ARTIFACTS, LOOKS, tokenOf, Window, withBrowser } from "./browsers.ts";

const server = served(["--no-limits"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

/** Signs a member in. He may not list the server's rooms, and Chromium writes that the page has asked. */
async function signedIn(window: Window, path: string, user: string): Promise<void> {
  await window.signIn(path, tokenOf(user));
  window.complaints.splice(0);
}

/** The cells of a table, row by row. */
const rows = (window: Window, caption: string) =>
  window.page
    .getByRole("region", { name: caption, exact: true })
    .locator("tbody tr")
    .evaluateAll((all) =>
      all.map((row) => [...(row as HTMLTableRowElement).cells].map((cell) => cell.innerText).join("|")),
    );
const tile = (window: Window, name: string) =>
  window.page.locator(".tile", { hasText: name }).locator("dd").first().innerText();

test("an order that is placed in the page is seen executed, with its position and standings; a refusal is said in words", async () => {
  const [ada, bob] = [unique("ada"), unique("bob")];
  const exchange = new Exchange(server);
  await exchange.run([ada, bob], { startingCash: "1000", orderBurst: 20, ordersPerSecond: 1 });
  await exchange.price("ACME", "10", 30);
  const window = await Window.open(browser, server);
  const { page } = window;
  await signedIn(window, `/trading/${exchange.id}`, ada);
  await page.getByText("In step").waitFor();
  await page.getByText("0 digests held, 0 resyncs").waitFor();
  expect(await tile(window, "Cash")).toBe("1,000");

  // By keyboard alone: the ticket is a form like any other.
  await page.getByLabel(/^Quantity/).focus();
  await page.keyboard.type("40");
  // For a second only: then the room takes as many as before.
  const fewer = await window.seesAt("19 of 20 orders left");
  await page.keyboard.press("Enter");
  await page.getByText("Order o1 is open, 10 of it waits.").waitFor();
  await until(async () => expect(await rows(window, "Positions")).toEqual(["ACME|30|10|10|0"]));
  expect(await rows(window, "Open orders")).toEqual([
    expect.stringMatching(/^o1\|buy ACME\|10 of 40\|any price\|/),
  ]);
  expect(await rows(window, "Filled")).toEqual([expect.stringMatching(/^o1\|buy ACME\|30\|10\|0\.3\|/)]);
  await fewer();
  await page.getByText("20 of 20 orders left").waitFor();
  await page.getByRole("button", { name: "Cancel order o1" }).click();
  await page.getByText("None of your orders waits.").waitFor();
  await page.getByText("Order o1 waits no more.").waitFor();

  await exchange.price("ACME", "12");
  await until(async () => expect(await rows(window, "Positions")).toEqual(["ACME|30|10|12|+60"]));
  await page.getByRole("img", { name: "Price of ACME: ACME 12.00" }).waitFor();
  await until(async () => expect((await rows(window, "Standings"))[0]).toBe(`1|${ada}|5.97 %|1,059.7`));
  expect(await page.locator("tr[aria-current]").innerText()).toContain(ada);

  await page.getByLabel("Buy", { exact: true }).focus();
  await page.keyboard.press("ArrowRight");
  await page.getByLabel("Type").selectOption("Limit");
  await page.getByLabel(/^Quantity/).fill("31");
  await page.getByLabel("Price", { exact: true }).fill("20");
  await page.getByRole("button", { name: "Sell ACME" }).click();
  await page.getByRole("alert").filter({ hasText: "not enough of it that is free to sell" }).waitFor();
  // Both the sentence and the figures of the room.
  await page.getByRole("alert").filter({ hasText: "31 is to be sold, 30 is free" }).waitFor();
  await page.getByLabel("Price", { exact: true }).fill("20.001");
  await page.getByLabel(/^Quantity/).fill("3");
  await page.getByRole("button", { name: "Sell ACME" }).click();
  await page.getByRole("alert").filter({ hasText: "The price does not go with this order" }).waitFor();
  await page.getByLabel("Price", { exact: true }).fill("20");
  await page.getByRole("button", { name: "Sell ACME" }).click();
  await until(async () =>
    expect(await rows(window, "Open orders")).toEqual([
      expect.stringMatching(/^o2\|sell ACME\|3 of 3\|20\|/),
    ]),
  );

  // Whoever trades for her elsewhere is seen here, digests hold, and so it is after a crash.
  for (let n = 0; n < 6; n += 1) await orderBy(ada, exchange, unique("bot"));
  await until(async () =>
    expect(await rows(window, "Positions")).toEqual([expect.stringMatching(/^ACME\|36\|/)]),
  );
  await page.getByText("1 digest held, 0 resyncs").waitFor();
  await server.kill();
  await page.locator('.status[data-state="reconnecting"]').waitFor();
  await page.getByText("Catching up").waitFor();
  await server.start();
  await window.isLive();
  await exchange.price("ACME", "20");
  await until(async () =>
    expect(await rows(window, "Positions")).toEqual([expect.stringMatching(/^ACME\|33\|.*\|20\|/)]),
  );
  await exchange.post("end");
  await page.getByText("Trading has ended.").waitFor();
  await page.getByText("final", { exact: true }).waitFor();
  expect(window.complaints).toEqual([]);
  await page.close();
});

async function orderBy(user: string, exchange: Exchange, clientOrderId: string): Promise<void> {
  const order = { clientOrderId, symbol: "ACME", side: "buy", type: "market", quantity: "1" };
  await server.post(`/api/trading/rooms/${exchange.id}/orders`, order, tokenOf(user));
}

test("a room is made, opened, joined, started, ended and left in the page, by those who may", async () => {
  const [owner, guest] = [unique("olga"), unique("gus")];
  const window = await Window.open(browser, server);
  const { page } = window;
  await signedIn(window, "/trading", owner);
  const form = page.getByRole("region", { name: "A new room" });
  await form.getByLabel("Name").fill("Cup of the page");
  await form.getByLabel("Instruments").fill("ACME, bad symbol!");
  await form.getByRole("button", { name: "Make the room" }).click();
  await form.getByRole("alert").filter({ hasText: "Instruments: each of 1 to 24 capitals" }).waitFor();
  // Chromium writes of every answer that is a refusal.
  expect(window.complaints.splice(0)).toHaveLength(1);
  await form.getByLabel("Instruments").fill("ACME, BETA");
  await form.getByRole("button", { name: "Make the room" }).press("Enter");
  await page.getByRole("heading", { name: "Cup of the page", level: 1 }).waitFor();
  await page.getByText("Orders are for members of this room.").waitFor();
  await page.getByRole("button", { name: "Open to members" }).click();
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByText("Orders are taken once trading has begun.").waitFor();

  const context = await browser.newContext();
  const other = await Window.open(context, server);
  await signedIn(other, "/trading", guest);
  await other.page.getByLabel("State").selectOption("Open");
  await other.page.getByRole("link", { name: "Cup of the page" }).click();
  await other.page.getByRole("button", { name: "Join" }).click();
  await other.page.getByText("In step").waitFor();
  expect(await other.page.getByRole("button", { name: "Start trading" }).count()).toBe(0);
  // An administrator may do what the owner may.
  const admin = await Window.open(await browser.newContext(), server);
  await admin.signIn(new URL(page.url()).pathname);
  await admin.page.getByRole("button", { name: "Start trading" }).waitFor();
  await admin.page.context().close();
  await page.getByRole("button", { name: "Start trading" }).click();
  for (const one of [page, other.page]) await one.getByRole("button", { name: "Buy ACME" }).waitFor();
  // There is no price yet, and the page says so in words.
  await other.page.getByLabel(/^Quantity/).fill("1");
  await other.page.getByRole("button", { name: "Buy ACME" }).click();
  await other.page.getByRole("alert").filter({ hasText: "It has no price yet." }).waitFor();
  await other.page.getByRole("button", { name: "Leave" }).click();
  await other.page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await other.page.getByText("Orders are for members of this room.").waitFor();
  await page.getByRole("button", { name: "End trading" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End trading" }).click();
  await page.getByText("Trading has ended.").waitFor();
  expect([...window.complaints, ...other.complaints]).toEqual([]);
  await context.close();
  await page.close();
});

test("the chart of a price begins before the page, goes on as it is heard, and has what came during a break", async () => {
  const exchange = new Exchange(server);
  await exchange.run([unique("ada")]);
  for (const price of ["10", "11", "12"]) await exchange.price("ACME", price);
  await exchange.price("BETA", "5");
  const window = await Window.open(browser, server);
  const { page } = window;
  let away = false;
  const sockets: WebSocketRoute[] = [];
  await page.route("**/socket.io/**", (route) => (away ? route.abort() : route.continue()));
  await page.routeWebSocket(/socket\.io/, (socket) => {
    if (away) return socket.close();
    socket.connectToServer();
    sockets.push(socket);
  });
  await signedIn(window, `/trading/${exchange.id}`, unique("eve"));
  const drawn = async (newest: string, prices: string) => {
    await page.getByRole("img", { name: `Price of ACME: ACME ${newest}` }).waitFor();
    await page.getByText(prices).waitFor();
  };
  await drawn("12.00", ", 3 prices since ");
  await exchange.price("ACME", "13");
  await drawn("13.00", ", 4 prices since ");

  away = true;
  await Promise.all(sockets.map((socket) => socket.close()));
  await page.locator('.status[data-state="reconnecting"]').waitFor();
  for (const price of ["14", "15"]) await exchange.price("ACME", price);
  away = false;
  await window.isLive(60_000);
  await drawn("15.00", ", 6 prices since ");
  await exchange.price("ACME", "16");
  await drawn("16.00", ", 7 prices since ");

  await page.getByLabel("Instrument of the chart").selectOption("BETA");
  await page.getByText(", 1 price since ").waitFor();
  await page.close();
});

test("a room that is made in the page is fed from the sample prices, and trades", async () => {
  const owner = unique("olga");
  const window = await Window.open(browser, server);
  const { page } = window;
  await signedIn(window, "/trading", owner);
  const form = page.getByRole("region", { name: "A new room" });
  await form.getByLabel("Name").fill("Cup of the sample");
  await form.getByRole("button", { name: "Trade these" }).click();
  await form.getByRole("button", { name: "Make the room" }).click();
  await page.getByRole("heading", { name: "Cup of the sample", level: 1 }).waitFor();
  await page.getByRole("button", { name: "Feed it from the sample prices" }).click();
  await page.getByText("From the sample prices, 525,600 times as fast as they came").waitFor();
  await page.getByRole("button", { name: "Open to members" }).click();
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByRole("button", { name: "Start trading" }).click();
  await page.getByRole("img", { name: /^Price of AAPL: AAPL \d/ }).waitFor();
  await page.getByLabel(/^Quantity/).fill("1");
  await page.getByRole("button", { name: "Buy AAPL" }).click();
  await page.getByText("Order o1 is filled.").waitFor();
  await page.close();
});

test("a room that is not there, and one that is not for whoever looks, say so", async () => {
  const window = await Window.open(browser, server);
  await signedIn(window, "/trading/nowhere", unique("eve"));
  await window.page.getByRole("alert").filter({ hasText: "no such room" }).waitFor();
  expect(window.complaints).toEqual([]);
  await window.page.close();
});

for (const [colorScheme, size, width] of LOOKS) {
  test(`the pages of trading are whole, fit and can be used by everybody: ${size}, ${colorScheme}`, async () => {
    const ada = unique("ada");
    const exchange = new Exchange(server);
    await exchange.run([ada, unique("bob"), unique("carol")], { orderBurst: 20, ordersPerSecond: 10 });
    await exchange.price("ACME", "10.5");
    await exchange.price("BETA", "99");
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
    try {
      const window = await Window.open(context, server);
      const look = async (name: string) => {
        await window.isLive();
        const path = `${ARTIFACTS}${name}-${size}-${colorScheme}.png`;
        await window.page.screenshot({ path, fullPage: true });
        expect(await window.serious(), name).toEqual([]);
        await window.fits();
      };
      await signedIn(window, `/trading/${exchange.id}`, ada);
      await window.page.getByText("You hold nothing but cash.").waitFor();
      await look("trading-empty");
      const ticks = () => window.page.getByRole("img", { name: /^Price of ACME/ });
      for (const price of ["10.7", "10.2", "11.05", "11.6", "11.3"]) {
        await exchange.price("ACME", price);
        await ticks()
          .and(window.page.locator(`[aria-label$="${Number(price).toFixed(2)}"]`))
          .waitFor();
        await orderBy(ada, exchange, unique("bot"));
      }
      await window.page.getByLabel("Type").selectOption("Stop");
      await window.page.getByLabel(/^Quantity/).fill("4");
      await window.page.getByLabel("Stop price").fill("15");
      await window.page.getByRole("button", { name: "Buy ACME" }).click();
      await window.page.getByRole("button", { name: "Cancel order o6" }).waitFor();
      await window.page.getByLabel("Quantity").fill("5000");
      await window.page.getByRole("button", { name: "Buy ACME" }).click();
      await window.page.getByRole("alert").filter({ hasText: "outside of what is traded" }).waitFor();
      await until(async () => expect((await rows(window, "Standings")).length).toBe(3));
      await window.page.getByText("1 digest held").waitFor();
      await look("trading-room");
      await window.go("/trading");
      await window.page.getByRole("link", { name: `Room ${exchange.id}` }).waitFor();
      await look("trading-rooms");
      expect(window.complaints).toEqual([]);
    } finally {
      await context.close();
    }
  });
}
