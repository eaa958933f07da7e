import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Served } from "../../../testing/server.ts";
import { openBrowser, Window } from "./browsers.ts";
import { CLIENT, Issuer, SOMEBODY } from "./issuer.ts";

const issuer = new Issuer();
let server: Served;
let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  await issuer.start();
  const provider = { name: "local", label: "Company & Sons", issuer: issuer.url, client_id: CLIENT };
  const lines = Object.entries(provider).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  server = new Served(["--no-limits"], ["[[auth.providers]]", ...lines].join("\n"));
  await server.start();
  browser = await openBrowser();
});
afterAll(async () => {
  await browser.close();
  await server.end();
  issuer.end();
});
beforeEach(async () => {
  issuer.refuses = undefined;
  context = await browser.newContext();
});
afterEach(() => context.close());

const button = ({ page }: Window) => page.getByRole("button", { name: "Sign in with Company & Sons" });
/** What stands in the address bar behind the origin. */
const address = ({ page }: Window) => page.evaluate(() => location.pathname + location.search);

test("who signs in at a provider comes back to the page they were on, signed in as with a password", async () => {
  const window = await Window.open(context, server);
  const { page } = window;
  await window.go("/docs?tab=sockets");
  await button(window).click();
  await window.isLive();
  await page.getByText("organisation default").waitFor();
  expect(await address(window)).toBe("/docs?tab=sockets");
  // It outlives a load of the page, and ends as every other.
  await page.reload();
  await window.isLive();
  await page.getByRole("button", { name: "Sign out" }).click();
  await button(window).waitFor();
  expect(window.complaints).toEqual([]);
});

test("who goes to a provider by hand is signed in, and the code does not stay in the address bar", async () => {
  const window = await Window.open(context, server);
  await window.go("/api/auth/oidc/local/start?returnTo=/");
  await window.isLive();
  expect(await address(window)).not.toContain("code");
});

test("a code of somebody else's sign-in signs nobody in, and is not kept either", async () => {
  const theirs = await Window.open(context, server);
  for (const path of ["/", "/account"]) {
    const exchanged = new Promise<string>((resolve) => {
      void theirs.page.route("**/api/auth/oidc/exchange", (route) => {
        resolve((route.request().postDataJSON() as { code: string }).code);
        return route.abort();
      });
    });
    await theirs.go("/api/auth/oidc/local/start?returnTo=/");
    const code = await exchanged;
    const window = await Window.open(await browser.newContext(), server);
    await window.go(`${path}?code=${encodeURIComponent(code)}`);
    await window.page.getByText("code is not valid").waitFor();
    expect(await address(window)).toBe(path);
    await window.page.context().close();
    await theirs.page.unroute("**/api/auth/oidc/exchange");
  }
});

test("why a provider let nobody in is said, and does not stay in the address bar", async () => {
  for (const path of ["/", "/account"]) {
    issuer.refuses = "access_denied";
    const window = await Window.open(context, server);
    await window.go(path);
    await button(window).click();
    await window.page.getByText("The provider did not let you in").waitFor();
    expect(await address(window)).toBe(path);
    issuer.refuses = undefined;
    await button(window).click();
    await window.page.getByRole("button", { name: "Sign out" }).waitFor();
    await window.page.close();
  }
});

test("what an address says of an error is not repeated", async () => {
  const window = await Window.open(context, server);
  for (const path of ["/", "/account"]) {
    await window.go(`${path}?error=call+555+now`);
    await window.page.getByText("Signing in at the provider did not work.").waitFor();
    expect(await window.page.getByText("555").count()).toBe(0);
    expect(await address(window)).toBe(path);
  }
});

test("on the page of accounts one signs in at a provider as well", async () => {
  const window = await Window.open(context, server);
  const { page } = window;
  await window.go("/account");
  await button(window).click();
  await page.getByText("You are signed in.").waitFor();
  expect(await page.locator("#user-email").innerText()).toBe(SOMEBODY.email);
  expect(await address(window)).toBe("/account");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  expect(window.complaints).toEqual([]);
});

test("a server without a mailer says that the links of its mails are in its log", async () => {
  const window = await Window.open(context, server);
  const { page } = window;
  await window.go("/account");
  await page.getByRole("button", { name: "Forgot the password" }).click();
  await page.getByText("will be in its log").waitFor();
  await page.locator("#forgot").getByLabel("E-mail address").fill("nobody@example.com");
  await page.getByRole("button", { name: "Send a link" }).click();
  await page
    .getByText("This server sends no mail. If there is such an account, a link is in its log.")
    .waitFor();
  await page.getByRole("button", { name: "Make an account" }).click();
  await page.locator("#register").getByLabel("E-mail address").fill("new@example.com");
  await page.locator("#register").getByLabel("Password").fill("a long enough password");
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByText("The link that confirms the address is in its log").waitFor();
});
