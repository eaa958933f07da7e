import { createHmac } from "node:crypto";
import decodeQR from "qr/decode.js";
import type { Browser, Page } from "playwright-core";
import { expect, test } from "vitest";
import { Exchange } from "../../../testing/exchange.ts";
import { served } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { ARTIFACTS, LOOKS, Window, withBrowser } from "./browsers.ts";

// What was proved counts for a few seconds here, so that an export asks for it within a test.
const server = served(["--demo", "--no-limits", "--accounts-confirm-seconds", "8"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

const PASSWORD = "password123";

/** What an authenticator app shows, or will show so many steps later. */
function codeOf(secret: string, later = 0): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const tag = createHmac("sha1", key).update(step).digest();
  const number = tag.readUInt32BE((tag.at(-1) ?? 0) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** What a camera reads of the QR code on the page. */
async function scanned(page: Page): Promise<string> {
  const seen = await page.locator("svg.qr").evaluate((svg: SVGSVGElement) => {
    const [cell, side] = [8, svg.viewBox.baseVal.width];
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side * cell;
    const paper = canvas.getContext("2d")!;
    paper.fillStyle = getComputedStyle(svg).backgroundColor;
    paper.fillRect(0, 0, canvas.width, canvas.height);
    paper.scale(cell, cell);
    const path = svg.querySelector("path")!;
    paper.fillStyle = getComputedStyle(path).fill;
    paper.fill(new Path2D(path.getAttribute("d")!));
    return { side: side * cell, data: [...paper.getImageData(0, 0, canvas.width, canvas.height).data] };
  });
  return decodeQR({ width: seen.side, height: seen.side, data: Uint8Array.from(seen.data) });
}

async function signIn({ page }: Window, email: string): Promise<void> {
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

const code = (page: Page) => page.getByLabel("Code of your second factor");
/** A part of the page by its heading. */
const card = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

/** Turns a second factor on as a person would; the secret and the recovery codes. */
async function enrol(page: Page): Promise<{ secret: string; codes: string[] }> {
  await card(page, "Turn it on").getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Begin" }).click();
  const secret = (await page.locator("code.secret").innerText()).replaceAll(" ", "");
  expect(secret).toMatch(/^[A-Z2-7]{32}$/);
  await code(page).fill(codeOf(secret));
  await page.getByRole("button", { name: "Turn it on" }).click();
  const shown = card(page, "Your recovery codes").locator("li");
  await shown.nth(9).waitFor();
  return { secret, codes: await shown.allInnerTexts() };
}

/** A file that a button has the browser keep. */
async function downloaded(page: Page, press: () => Promise<void>): Promise<{ name: string; text: string }> {
  const [download] = await Promise.all([page.waitForEvent("download"), press()]);
  const parts: Buffer[] = [];
  for await (const part of await download.createReadStream()) parts.push(part as Buffer);
  return { name: download.suggestedFilename(), text: Buffer.concat(parts).toString() };
}

test("who turns a second factor on signs in with a code, and gives it again before an export", async () => {
  const exchange = new Exchange(server);
  await exchange.run(["bob"]);
  await exchange.post("end");
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.go("/second-factor");
  await signIn(window, "alice@example.com");
  await window.isLive();
  await card(page, "Turn it on").getByLabel("Your password").fill("not the password");
  await page.getByRole("button", { name: "Begin" }).click();
  await page.getByRole("alert").filter({ hasText: "the password is wrong" }).waitFor();
  const { secret, codes } = await enrol(page);
  await page.getByText("10 codes left").waitFor();
  const kept = await downloaded(page, () => page.getByRole("button", { name: "Download" }).click());
  expect(kept.name).toBe("tidings-recovery-codes.txt");
  codes.forEach((one) => expect(kept.text).toContain(one));

  await page.getByRole("button", { name: "Sign out" }).click();
  await window.go(`/trading/${exchange.id}`);
  await signIn(window, "alice@example.com");
  await code(page).waitFor();
  expect(await page.evaluate(() => sessionStorage.length), "nobody is signed in yet").toBe(0);
  await code(page).fill(codes[0]!.replace(/^..../, "AAAA"));
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "the code is wrong" }).waitFor();
  await code(page).fill(codeOf(secret, 1));
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await window.isLive();

  // Once what was proved is long ago.
  await until(async () => expect(await statusOf(page, `/api/trading/rooms/${exchange.id}/export`)).toBe(403));
  await page.getByRole("button", { name: "Export" }).click();
  const dialog = page.getByRole("dialog", { name: "Your password again" });
  await dialog.getByLabel("Your password").fill(PASSWORD);
  await dialog.getByRole("button", { name: "Go on" }).click();
  await code(page).fill(codes[1]!);
  const file = await downloaded(page, () => dialog.getByRole("button", { name: "Go on" }).click());
  expect(file.name).toBe(`${exchange.id}.ndjson`);
  const lines = file.text.trimEnd().split("\n");
  expect(JSON.parse(lines[0]!)).toMatchObject({ roomId: exchange.id });
  expect(JSON.parse(lines.at(-1)!)).toHaveProperty("standings");
  await page.getByText("Exported.").waitFor();

  // Both refusals are answers to what was asked, which Chromium writes down.
  expect(window.complaints.filter((said) => !said.includes("403 (Forbidden)"))).toEqual([]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await window.go("/account");
  await page.locator("#sign-in").getByLabel("E-mail address").fill("alice@example.com");
  await page.locator("#sign-in").getByLabel("Password").fill(PASSWORD);
  await page.locator("#sign-in").getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByText("Now the code of your second factor").waitFor();
  await page.locator("#code input").fill(codes[2]!);
  await page.locator("#sign-in").getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByText("You are signed in.").waitFor();
  await page.close();
});

test("an administrator whose screen was left gives the password again before a key is made", async () => {
  const { users } = (await server.get("/api/users")) as { users: { id: string; email: string }[] };
  const { id } = users.find(({ email }) => email === "bob@example.com")!;
  await server.post(`/api/users/${id}/roles`, { roles: ["admin"] });
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.go("/keys");
  await signIn(window, "bob@example.com");
  await window.isLive();
  // Once what was proved is long ago; before, what is no key is a bad request.
  await until(async () => expect(await statusOf(page, "/api/keys", { name: "", scopes: [] })).toBe(403));
  await page.getByLabel("Name").fill("Shop");
  const make = () => page.getByRole("button", { name: "Make the key" }).click();
  await make();
  const dialog = page.getByRole("dialog", { name: "Your password again" });
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("alert").filter({ hasText: "the password is asked for again" }).waitFor();
  expect(await page.getByRole("row", { name: /Shop/ }).count()).toBe(0);
  await make();
  await dialog.getByLabel("Your password").fill(PASSWORD);
  await dialog.getByRole("button", { name: "Go on" }).click();
  expect(await page.locator(".secret").innerText()).toMatch(/^tk_/);
  await page.getByRole("row", { name: /Shop/ }).waitFor();
  await page.close();
});

/** How something is answered now, asked by the page as its own button would; with a body it is done. */
const statusOf = (page: Page, path: string, body?: object) =>
  page.evaluate(
    async ([path, body]) => {
      const kept = JSON.parse(sessionStorage.getItem("tidings:sign-in")!) as {
        tokens: { accessToken: string };
      };
      const headers = { authorization: `Bearer ${kept.tokens.accessToken}` };
      const asked =
        body === undefined ? { headers } : { headers, method: "POST", body: JSON.stringify(body) };
      return (await fetch(path, asked)).status;
    },
    [path, body] as const,
  );

const PEOPLE = ["bob", "charlie", "diana", "alice"];
LOOKS.forEach(([colorScheme, size, width], at) => {
  test(`the page of the second factor is whole, fits and can be used by everybody: ${size}, ${colorScheme}`, async () => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
    try {
      const window = await Window.open(context, server);
      const { page } = window;
      const look = async (name: string) => {
        await page.screenshot({ path: `${ARTIFACTS}${name}-${size}-${colorScheme}.png`, fullPage: true });
        expect(await window.serious(), name).toEqual([]);
        await window.fits();
      };
      const email = `${PEOPLE[at]}@example.com`;
      await window.go("/second-factor");
      await signIn(window, email);
      if (PEOPLE[at] === "alice") {
        // She has one since the test before: how it is asked for.
        await code(page).waitFor();
        return await look("sign-in-code");
      }
      await window.isLive();
      await look("second-factor-off");
      await card(page, "Turn it on").getByLabel("Your password").fill(PASSWORD);
      await page.getByRole("button", { name: "Begin" }).click();
      await page.locator("svg.qr").waitFor();
      const uri = new URL(await scanned(page));
      const secret = uri.searchParams.get("secret")!;
      expect(decodeURIComponent(uri.pathname)).toContain(`Tidings:${email}`);
      expect((await page.locator("code.secret").innerText()).replaceAll(" ", "")).toBe(secret);
      await look("second-factor-begun");
      await code(page).fill(codeOf(secret));
      await page.getByRole("button", { name: "Turn it on" }).click();
      await card(page, "Recovery codes").waitFor();
      await look("second-factor-on");
      await card(page, "Turn it off").getByLabel("Your password").fill(PASSWORD);
      await card(page, "Turn it off").getByLabel("Code of your second factor").fill(codeOf(secret, 1));
      await page.getByRole("button", { name: "Turn it off" }).click();
      await card(page, "Turn it on").waitFor();
      expect(window.complaints).toEqual([]);
    } finally {
      await context.close();
    }
  });
});
