import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { ARTIFACTS, browsing } from "../lib/browser.ts";
import { ask } from "../lib/http.ts";
import type { Running } from "../lib/process.ts";
import { startServer, unique } from "../lib/serve.ts";
import { until, within } from "../lib/wait.ts";

const OLD = "a long enough password";
const NEW = "another one that is long";
/** What Chromium itself writes to the console when a request is refused. */
const WAS_REFUSED = /^Failed to load resource: the server responded with a status of 4\d\d/;

const window = browsing();
let server: Running;
let page: Page;
let complaints: string[];

// One for each test: the first link in its log is the one that is meant.
beforeEach(async () => {
  server = await startServer();
  ({ page, complaints } = window());
  await page.goto(`${server.http}/account`);
});

afterEach(async () => {
  await server.stop();
});

/** Waits until the page says something. */
async function says(text: string): Promise<void> {
  await within(page.getByRole("status").filter({ hasText: text }).waitFor(), `the page says "${text}"`).catch(
    async (error: unknown) => {
      throw new Error(`${String(error)}; it says "${await page.getByRole("status").innerText()}"`);
    },
  );
}

const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
const shot = (name: string) => page.screenshot({ path: join(ARTIFACTS, `account-${name}.png`) });

/** Fills the view that is shown, by the names of its fields. */
async function fill(fields: Record<string, string>): Promise<void> {
  for (const [label, text] of Object.entries(fields))
    await page.getByLabel(label).locator("visible=true").fill(text);
}

/** Makes an account in the page, and confirms it by the link from the server's log. */
async function joins(email: string): Promise<void> {
  await press("Make an account");
  await fill({ "E-mail address": email, Name: "Ada", Password: OLD });
  await shot("register");
  await press("Make it");
  await says("The link that confirms the address is in its log;");
  const link = await mailed("verify");
  await page.goto(link);
  await says("One click, and the address is confirmed.");
  assert.equal(page.url(), `${server.http}/account`, "the secret is not left in the address bar");
  await shot("confirm");
  await press("Confirm this address");
  await says("The address is confirmed. You can sign in.");
}

/** The link of this kind in the server's log, where mail is written that nobody sends. */
const mailed = (kind: string) => server.logged(new RegExp(`(http://[\\d.:]+/account#${kind}=[\\w-]{43})`));

async function signsIn(email: string, password: string): Promise<void> {
  await fill({ "E-mail address": email, Password: password });
  await press("Sign in");
}

test("somebody makes an account, confirms it, signs in, changes the password and signs out", async () => {
  const email = `${unique("ada")}@example.com`;
  await says("Sign in, or make an account.");
  await shot("start");
  await joins(email);

  await signsIn(email, OLD);
  await says("You are signed in.");
  for (const [field, text] of Object.entries({ name: "Ada", email, org: "default", roles: "none" })) {
    assert.equal(await page.locator(`#user-${field}`).innerText(), text);
  }
  await shot("signed-in");

  await fill({ "Password now": OLD, "New password": NEW });
  await press("Change it");
  await says("The password is changed.");
  assert.equal(await page.getByLabel("New password").locator("visible=true").inputValue(), "");

  await press("Sign out");
  await says("You are signed out.");
  assert.ok(!(await page.locator("main").innerText()).includes(email), "nothing of the account is shown");
  assert.deepEqual(complaints, []);

  await signsIn(email, OLD);
  await says("That did not work: the e-mail address or the password is wrong.");
  await signsIn(email, NEW);
  await says("You are signed in.");
  await press("Sign out");
  await says("You are signed out.");
  assert.deepEqual(
    complaints.filter((complaint) => !WAS_REFUSED.test(complaint)),
    [],
  );
});

test("who forgot the password gets a link that sets a new one, once", async () => {
  const email = `${unique("ada")}@example.com`;
  await joins(email);
  await press("Forgot the password");
  await fill({ "E-mail address": email });
  await press("Send a link");
  await says("If there is such an account, a link is in its log.");
  const link = await mailed("reset");
  await page.goto(link);
  await says("Choose a password.");
  await fill({ "New password": "short" });
  await press("Set it");
  await says("That did not work: ");
  await fill({ "New password": NEW });
  await press("Set it");
  await says("The password is set. You can sign in.");
  await signsIn(email, NEW);
  await says("You are signed in.");
  // The page is open already: only what stands behind # changes.
  await page.goto(link);
  await says("Choose a password.");
  await fill({ "New password": OLD });
  await press("Set it");
  await says("That did not work: the link is unknown, used or expired.");
});

test("an address that is not confirmed, a short password and half a link are refused in words", async () => {
  const email = `${unique("ada")}@example.com`;
  await press("Make an account");
  await fill({ "E-mail address": email, Password: "short" });
  await press("Make it");
  await says("That did not work: ");
  await fill({ Password: OLD });
  await press("Make it");
  await says("The link that confirms the address is in its log;");
  await signsIn(email, OLD);
  await says("That did not work: the e-mail address is not verified yet.");
  await page.goto(`${server.http}/account#verify`);
  await says("The link is not complete.");
  await page.goto(`${server.http}/account#verify=${"x".repeat(43)}`);
  await press("Confirm this address");
  await says("That did not work: the link is unknown, used or expired.");
});

test("the link of the first start makes the administrator, who signs in to the console", async () => {
  const fresh = await startServer([], "127.0.0.1:0", {});
  try {
    const link = await fresh.logged(/^to set this server up .*(http:\S+\/account#setup=[\w-]{43})$/);
    await page.goto(link);
    await says("You will be the administrator of this server.");
    assert.equal(page.url(), `${fresh.http}/account`, "the secret is not left in the address bar");
    await shot("set-up");
    const email = `${unique("ada")}@example.com`;
    await fill({ "E-mail address": email, Name: "Ada", Password: OLD });
    await press("Make the administrator");
    await says("You are the administrator of this server.");
    await page.goto(link);
    await fill({ "E-mail address": email, Password: OLD });
    await press("Make the administrator");
    await says("That did not work: the link is unknown, used or expired.");
    await page.goto(`${fresh.http}/account`);
    await signsIn(email, OLD);
    await says("You are signed in.");
    assert.equal(await page.locator("#user-roles").innerText(), "admin, operator");
  } finally {
    await fresh.stop();
  }
});

test("leaving the page ends the sign-in, at the server as well", async () => {
  const email = `${unique("ada")}@example.com`;
  await joins(email);
  const answer = page.waitForResponse((response) => response.url().endsWith("/api/auth/login"));
  await signsIn(email, OLD);
  await says("You are signed in.");
  const { accessToken } = (await (await answer).json()) as { accessToken: string };
  const me = () => ask(`${server.http}/api/auth/me`, { headers: { authorization: `Bearer ${accessToken}` } });
  assert.equal((await me()).status, 200);
  await page.reload();
  await says("Sign in, or make an account.");
  await until(async () => (await me()).status === 401, "the end of the sign-in");
});

test("the page fits a phone, in the dark as well, and the console's complaints would be seen", async () => {
  await page.setViewportSize({ width: 390, height: 800 });
  await page.emulateMedia({ colorScheme: "dark" });
  for (const view of ["Make an account", "I have one", "Forgot the password"]) {
    await press(view);
    const wide = await page.evaluate("document.documentElement.scrollWidth");
    assert.ok(Number(wide) <= 390, `${String(wide)} px after "${view}"`);
  }
  await shot("phone-dark");
  assert.deepEqual(complaints, []);
  // What the policy forbids ends up among them.
  await page.evaluate("document.body.append(Object.assign(document.createElement('script'), { text: '1' }))");
  assert.match(complaints.join(), /Content Security Policy/);
});
