import { readdirSync } from "node:fs";
import type { Browser } from "playwright-core";
import { expect, test } from "vitest";
import { Exchange } from "../../../testing/exchange.ts";
import { served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { tokenOf, Window, withBrowser } from "./browsers.ts";

const server = served(["--no-limits"]);
const PAGES = readdirSync(new URL("../dist/console/", import.meta.url)).filter((name) =>
  name.endsWith(".js"),
);
let browser: Browser;
withBrowser((opened) => (browser = opened));

/** Marks the document; what is answered says whether it is still the same one. */
async function marked({ page }: Window): Promise<() => Promise<boolean>> {
  await page.evaluate(() => Object.assign(window, { mark: true }));
  return () => page.evaluate(() => "mark" in window);
}

/** Everything is loaded that a page may need. */
const isWhole = ({ page }: Window) =>
  until(async () => {
    const names = await page.evaluate(() =>
      performance.getEntriesByType("resource").map(({ name }) => name.slice(name.lastIndexOf("/") + 1)),
    );
    expect(PAGES.filter((name) => !names.includes(name))).toEqual([]);
  });

const wayTo = ({ page }: Window, name: string) =>
  page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true });
const opens = (window: Window, name: string) => wayTo(window, name).click();
const isAt = ({ page }: Window, name: string) =>
  page.getByRole("heading", { name, level: 1, exact: true }).waitFor();

test("pages open while the server is away, and an order that is tried meanwhile is placed once it is back", async () => {
  const ada = unique("ada");
  const exchange = new Exchange(server);
  await exchange.run([ada]);
  await exchange.price("ACME", "10");
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn(`/trading/${exchange.id}`, tokenOf(ada));
  await page.getByText("In step").waitFor();
  await isWhole(window);
  await wayTo(window, "Players").waitFor();
  const isSame = await marked(window);
  await server.kill();
  await page.locator('.status[data-state="reconnecting"]').waitFor();
  await page.getByLabel(/^Quantity/).fill("3");
  await page.getByRole("button", { name: "Buy ACME" }).click();
  await opens(window, "Players");
  await isAt(window, "Players");
  await opens(window, "API");
  await isAt(window, "API");
  await server.start();
  await window.isLive();
  await until(async () => {
    const { positions } = await exchange.portfolio<{ positions: { quantity: string }[] }>(ada);
    expect(positions.map(({ quantity }) => quantity)).toEqual(["3"]);
  });
  await page.goBack();
  await page.goBack();
  await page.getByRole("region", { name: "Filled" }).getByText("o1").first().waitFor();
  expect(await isSame()).toBe(true);
  await page.close();
});

test("what a page could not read while the server was away is read once it is back", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/messages", tokenOf(unique("eve")));
  await isWhole(window);
  await wayTo(window, "Players").waitFor();
  await page.clock.install();
  await server.kill();
  await page.locator('.status[data-state="reconnecting"]').waitFor();
  await opens(window, "Players");
  const failed = page.getByRole("alert").filter({ hasText: "It cannot be had now" });
  // It is tried for half a minute.
  await until(async () => {
    await page.clock.fastForward(30_000);
    expect(await failed.count()).toBe(1);
  });
  await server.start();
  await window.isLive();
  await page.getByText("There is nobody yet.").or(page.getByRole("table")).first().waitFor();
  expect(await failed.count()).toBe(0);
  await page.close();
});

test("a page that could not be loaded is waited for until the server is back", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  let away = true;
  await page.route("**/console/players-*.js", (route) =>
    away ? route.abort("connectionrefused") : route.continue(),
  );
  await window.signIn("/messages", tokenOf(unique("eve")));
  // Which apps there are has to be read before, or there is no way to their pages.
  await wayTo(window, "Players").waitFor();
  const isSame = await marked(window);
  await server.kill();
  await page.locator('.status[data-state="reconnecting"]').waitFor();
  await opens(window, "Players");
  await isAt(window, "Reconnecting …");
  await page.getByText("This page is shown as soon as it does.").waitFor();
  away = false;
  await server.start();
  await isAt(window, "Players");
  expect(await isSame()).toBe(true);
  await page.close();
});

test("where the server has other files by now the console is loaded anew when somebody says so, and not over and over", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  const files = "**/console/players-*.js";
  await page.route(files, (route) => route.fulfill({ status: 404 }));
  await window.signIn("/messages", tokenOf(unique("eve")));
  const isSame = await marked(window);
  await opens(window, "Players");
  await isAt(window, "This page was not loaded");
  expect(await isSame()).toBe(true);
  await page.getByRole("button", { name: "Try again" }).click();
  await until(async () => expect(await isSame()).toBe(false));
  await isAt(window, "This page was not loaded");
  await marked(window);
  await page.unroute(files);
  await page.getByRole("button", { name: "Try again" }).click();
  await isAt(window, "Players");
  expect(await isSame()).toBe(true);
  await page.close();
});
