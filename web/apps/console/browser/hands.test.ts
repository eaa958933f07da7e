import type { Browser, Locator } from "playwright-core";
import { expect, test } from "vitest";
import { Exchange } from "../../../testing/exchange.ts";
import { served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { adminToken, tokenOf, Window, withBrowser } from "./browsers.ts";

const server = served(["--no-limits"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

/** Clicks where something is, twice, as a hand does that is used to double clicks; the second time after `between`. */
async function doubleClick({ page }: Window, on: Locator, between: () => Promise<unknown>): Promise<void> {
  await on.scrollIntoViewIfNeeded();
  const { x = 0, y = 0, width = 0, height = 0 } = (await on.boundingBox()) ?? {};
  await page.mouse.click(x + width / 2, y + height / 2);
  await between();
  await page.mouse.down({ clickCount: 2 });
  await page.mouse.up({ clickCount: 2 });
}

test("a double click is one click: it opens a room and does not start it, and places one order", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/trading", tokenOf(unique("ada")));
  window.complaints.splice(0);
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname.split("/").at(-1) ?? ""));
  await page.getByLabel("Name").fill(unique("Room"));
  await page.getByRole("button", { name: "Make the room" }).click();
  const start = page.getByRole("button", { name: "Start trading" });
  await doubleClick(window, page.getByRole("button", { name: "Open to members" }), () => start.waitFor());
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByRole("button", { name: "Leave" }).waitFor();
  expect(asked).toContain("open");
  expect(asked).not.toContain("start");
  await start.click();
  await page.getByLabel(/^Quantity/).waitFor();

  const id = new URL(page.url()).pathname.split("/").at(-1) ?? "";
  await server.post(`/api/trading/rooms/${id}/prices`, { prices: [{ symbol: "ACME", price: "10" }] });
  await page.getByText("10 ACME").waitFor();
  await page.getByLabel(/^Quantity/).fill("5");
  const buy = page.getByRole("button", { name: "Buy ACME" });
  await doubleClick(window, buy, () => page.getByText("Order o1 is filled.").waitFor());
  await buy.click();
  await page.getByText("Order o2 is filled.").waitFor();
  const rows = page.getByRole("region", { name: "Positions", exact: true }).locator("tbody tr");
  await until(async () =>
    expect(await rows.allInnerTexts()).toEqual([expect.stringMatching(/^ACME\s+10\s/)]),
  );
  expect(window.complaints).toEqual([]);
  await page.close();
});

test("amounts are taken as they were pasted, with blanks around them", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/trading", adminToken(unique("ada")));
  await page.getByLabel("Name").fill(unique("Room"));
  await page.getByLabel("Cash to begin with").fill(" 5000 ");
  await page.getByRole("button", { name: "Make the room" }).click();
  await page.getByRole("button", { name: "Open to members" }).click();
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByText("began with 5,000").waitFor();
  await page.getByRole("button", { name: "Start trading" }).click();
  await page.getByLabel(/^Quantity/).fill(" 5 ");
  await page.getByRole("button", { name: "Buy ACME" }).click();
  await page.getByRole("alert").filter({ hasText: "It has no price yet." }).waitFor();
  await page.close();
});

test("whoever works by keyboard is where they were when something was done, or at the page", async () => {
  const exchange = new Exchange(server);
  await exchange.run([]);
  const window = await Window.open(browser, server);
  const { page } = window;
  const focused = () =>
    page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent);
  await window.signIn(`/trading/${exchange.id}`, adminToken());
  const end = page.getByRole("button", { name: "End trading" }).first();
  await end.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await until(async () => expect(await focused()).toBe("End trading"));
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  // The button that asked is gone with what it was for.
  const exporting = page.getByRole("button", { name: "Export" });
  await exporting.waitFor();
  await until(async () => expect(await focused()).toBe("main"));
  await exporting.focus();
  await page.keyboard.press("Enter");
  await page.getByText("Exported.").waitFor();
  await until(async () => expect(await focused()).toBe("Export"));
  await page.close();
});
