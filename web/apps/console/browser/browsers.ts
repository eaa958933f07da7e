import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { mint, within, type Served } from "../../../testing/server.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** In which looks every page is tried: the colours, a name for the pictures, and how wide the window is. */
export const LOOKS = [
  ["light", "desktop", 1_360],
  ["dark", "desktop", 1_360],
  ["light", "phone", 390],
  ["dark", "phone", 390],
] as const;

/** Where screenshots are put. */
export const ARTIFACTS = new URL("../.artifacts/", import.meta.url).pathname;

/** What Chromium itself writes while nobody listens; a page cannot keep it from doing so. */
const NOBODY_LISTENS =
  /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|WebSocket connection to .* failed/;

export async function openBrowser(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(`no Chromium at ${CHROMIUM}; install it or set CHROMIUM`);
  mkdirSync(ARTIFACTS, { recursive: true });
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/** Opens a browser before the tests of a file, handed to `take`, and closes it behind them. */
export function withBrowser(take: (browser: Browser) => void): void {
  let opened: Browser | undefined;
  beforeAll(async () => {
    opened = await openBrowser();
    take(opened);
  });
  afterAll(() => opened?.close());
}

/** A member's token, good for the time of a test run. */
export const tokenOf = (user: string): string =>
  mint({ sub: user, name: user, exp: Math.floor(Date.now() / 1_000) + 3_600 });

/**
 * Prints how late, in milliseconds, something was, and bounds it where the variable says by what: a busy machine would decide it
 * otherwise. `BROWSER_MS` is about what is said until it is seen, `BROWSER_FRAME_MS` about the time without a picture.
 */
export function isInTime(what: string, late: number[], variable: "BROWSER_MS" | "BROWSER_FRAME_MS"): void {
  console.log(`${what} ${late.map(Math.round).join(", ")} ms`);
  const most = process.env[variable];
  if (most) expect(Math.max(...late), variable).toBeLessThan(Number(most));
}

/** An administrator's token, good for the time of a test run. */
export const adminToken = (user = "root") =>
  mint({ sub: user, name: "Root", scope: "admin publish", exp: Math.floor(Date.now() / 1000) + 3_600 });

/** A window of a browser with what its console complains of. */
export class Window {
  readonly page: Page;
  readonly complaints: string[] = [];
  readonly #server: Served;

  private constructor(page: Page, server: Served) {
    this.page = page;
    this.#server = server;
    page.on("console", (said) => {
      if (["error", "warning"].includes(said.type()) && !NOBODY_LISTENS.test(said.text()))
        this.complaints.push(said.text());
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
  }

  static async open(browser: Browser | BrowserContext, server: Served): Promise<Window> {
    const page = await browser.newPage();
    return new Window(page, server);
  }

  async go(path: string): Promise<void> {
    await this.page.goto(this.#server.http + path);
  }

  /** Signs in with a token, as a person would. */
  async signIn(path = "/", token = adminToken()): Promise<void> {
    await this.go(path);
    await this.page.getByLabel("Token").fill(token);
    await this.page.getByRole("button", { name: "Use the token" }).click();
    await this.isLive();
  }

  /** The connection is up. */
  async isLive(timeout = 30_000): Promise<void> {
    await this.page.locator('.status[data-state="connected"]').waitFor({ timeout });
  }

  /** When a text is first there, in milliseconds since 1970, however soon it is gone: it is looked for from the call on. */
  async seesAt(text: string): Promise<() => Promise<number>> {
    // The page's policy forbids eval, so this is a function that is called, and asked for again later.
    await this.page.evaluate((wanted) => {
      const shown = window as unknown as Record<string, Promise<number>>;
      shown[`seen ${wanted}`] = new Promise((resolve) => {
        const look = () => {
          if (!document.body.textContent.includes(wanted)) return;
          observer.disconnect();
          resolve(Date.now());
        };
        const observer = new MutationObserver(look);
        observer.observe(document.body, { childList: true, subtree: true, characterData: true });
        look();
      });
    }, text);
    const seen = () =>
      this.page.evaluate(
        (wanted) => (window as unknown as Record<string, Promise<number>>)[`seen ${wanted}`],
        text,
      ) as Promise<number>;
    return () => within(seen(), `"${text}" on the page`, 30_000);
  }

  /**
   * What axe-core finds that is serious.
   *
   * A row that fades in has no contrast yet: nothing moves while it is looked at.
   */
  async serious(): Promise<string[]> {
    await this.page.evaluate(AXE);
    await this.page.emulateMedia({ reducedMotion: "reduce" });
    await this.page.evaluate(() => document.getAnimations().forEach((animation) => animation.cancel()));
    const found = (await this.page.evaluate(() =>
      (window as unknown as { axe: { run(options: object): Promise<unknown> } }).axe.run({
        resultTypes: ["violations"],
      }),
    )) as {
      violations: { id: string; impact: string; nodes: { target: string[]; failureSummary: string }[] }[];
    };
    await this.page.emulateMedia({ reducedMotion: null });
    const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    return serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
  }

  async fits(): Promise<void> {
    const [wide, window] = await this.page.evaluate(
      () => [document.documentElement.scrollWidth, innerWidth] as const,
    );
    expect(wide, "the page is as wide as its window").toBeLessThanOrEqual(window);
  }
}
