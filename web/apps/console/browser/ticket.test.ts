import type { Browser } from "playwright-core";
import { expect, test } from "vitest";
import { Exchange } from "../../../testing/exchange.ts";
import { served, unique } from "../../../testing/server.ts";
import { tokenOf, Window, withBrowser } from "./browsers.ts";

const server = served(["--no-limits"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

test("the form of a new room knows its bounds, and says in its own words what the server does not take", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/trading", tokenOf(unique("olga")));
  window.complaints.splice(0);
  const form = page.getByRole("region", { name: "A new room" });
  const make = form.getByRole("button", { name: "Make the room" });
  const asked: string[] = [];
  page.on("request", (request) => request.method() === "POST" && asked.push(request.url()));
  await form.getByLabel("Name").fill("Cup");
  for (const [label, wrong, right] of [
    ["Name", "   ", "Cup"],
    ["Cash to begin with", "1e5", "10000"],
    ["Cash to begin with", "1.123456789", "10000"],
    ["Instruments", " , ", "ACME"],
    ["Minutes", "0", ""],
    ["Minutes", "99999999999999999999999999", ""],
    ["Minutes", "1.5", ""],
  ] as const) {
    const field = form.getByLabel(label);
    await field.fill(wrong);
    await make.click();
    expect(await field.evaluate((it) => (it as HTMLInputElement).validity.valid), `${label} ${wrong}`).toBe(
      false,
    );
    await field.fill(right);
  }
  expect(asked.filter((url) => url.endsWith("/rooms"))).toEqual([]);
  const says = (words: string) => form.getByRole("alert").filter({ hasText: words }).waitFor();
  await form.getByLabel("Cash to begin with").fill("9999999999");
  await make.click();
  await says("Cash to begin with: 1 to 1,000,000,000, found 9,999,999,999");
  await form.getByLabel("Cash to begin with").fill("100");
  await form.getByLabel("Instruments").fill("ACME, ACME");
  await make.click();
  await says("Instruments: each symbol once");
  await page.close();
});
test("a price is asked for anew with each type of order and each instrument", async () => {
  const ada = unique("ada");
  const exchange = new Exchange(server);
  await exchange.run([ada]);
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn(`/trading/${exchange.id}`, tokenOf(ada));
  await page.getByLabel(/^Quantity/).fill("4");
  await page.getByLabel("Type").selectOption("Limit");
  await page.getByLabel("Price", { exact: true }).fill("1");
  await page.getByLabel("Type").selectOption("Stop");
  const [limit, stop] = [page.getByLabel("Limit, if there is one"), page.getByLabel("Stop price")];
  expect(await limit.inputValue()).toBe("");
  await limit.fill("20");
  await stop.fill("15");
  await page
    .locator(".ticket")
    .getByLabel(/^Instrument/)
    .selectOption("BETA");
  expect([await limit.inputValue(), await stop.inputValue()]).toEqual(["", ""]);
  expect(await page.getByLabel(/^Quantity/).inputValue()).toBe("4");
  await page.close();
});

test("who left a room that runs is not asked to join it; who left before may come back", async () => {
  const [ada, eve] = [unique("ada"), unique("eve")];
  const exchange = new Exchange(server);
  await exchange.open([ada], { lateJoin: true });
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn(`/trading/${exchange.id}`, tokenOf(ada));
  const join = page.getByRole("button", { name: "Join" });
  const leaves = async () => {
    await page.getByRole("button", { name: "Leave" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  };
  await leaves();
  await join.click();
  await exchange.post("start");
  await page.getByRole("button", { name: "Buy ACME" }).waitFor();
  await leaves();
  const left = page.getByText("You have left this room: while it runs one cannot come back.");
  await left.waitFor();
  expect(await join.count()).toBe(0);
  await page.reload();
  await left.waitFor();
  expect(await join.count()).toBe(0);

  const given = await browser.newContext();
  const other = await Window.open(given, server);
  await other.signIn(`/trading/${exchange.id}`, tokenOf(eve));
  await other.page.getByRole("button", { name: "Join" }).click();
  await other.page.getByRole("button", { name: "Buy ACME" }).waitFor();
  expect(await other.page.getByText("You have left").count()).toBe(0);
  await given.close();
  await exchange.post("end");
  await page.getByText("Trading has ended.").waitFor();
  expect(await left.count()).toBe(0);
  await page.close();
});

test("an order that could not be done is told of until the next one was taken", async () => {
  const ada = unique("ada");
  const exchange = new Exchange(server);
  await exchange.run([ada]);
  await exchange.price("ACME", "10");
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn(`/trading/${exchange.id}`, tokenOf(ada));
  const happened = page.getByRole("region", { name: "Filled" }).first();
  const failed = happened.getByText("failed", { exact: true });
  const buys = async (quantity: string) => {
    await page.getByLabel(/^Quantity/).fill(quantity);
    await page.getByRole("button", { name: "Buy ACME" }).click();
  };
  await buys("1");
  await page.getByText("Order o1 is filled.").waitFor();
  await buys("5000");
  await failed.waitFor();
  await happened.getByText("The quantity is outside of what is traded at once.").waitFor();
  await buys("2");
  await page.getByText("Order o2 is filled.").waitFor();
  await failed.waitFor({ state: "detached" });
  // Nor is it news for who comes back.
  await buys("5000");
  await failed.waitFor();
  await page.getByRole("link", { name: "Trading rooms" }).click();
  await page.getByRole("link", { name: `Room ${exchange.id}` }).click();
  await happened.getByText("o2").waitFor();
  expect(await failed.count()).toBe(0);
  await page.close();
});
