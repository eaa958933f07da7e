import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach } from "node:test";
import { chromium, type Browser, type Page } from "playwright-core";
import { ROOT } from "./process.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** Where screenshots are put. */
export const ARTIFACTS = join(ROOT, "conformance", ".artifacts");

/** A page of a browser, and what its console complains of: errors, warnings, what its policy forbids. */
export interface Window {
  page: Page;
  complaints: string[];
}

/** Starts a browser for a test file, and opens a window for each test. */
export function browsing(): () => Window {
  let browser: Browser | undefined;
  let window: Window | undefined;

  before(async () => {
    if (!existsSync(CHROMIUM)) throw new Error(`no Chromium at ${CHROMIUM}; install it or set CHROMIUM`);
    mkdirSync(ARTIFACTS, { recursive: true });
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
    });
  });
  after(async () => {
    await browser?.close();
  });
  beforeEach(async () => {
    if (!browser) throw new Error("the browser is not running");
    const page = await browser.newPage({ viewport: { width: 1280, height: 1000 }, colorScheme: "light" });
    const complaints: string[] = [];
    page.on("console", (said) => {
      if (["error", "warning"].includes(said.type())) complaints.push(said.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    window = { page, complaints };
  });
  afterEach(async () => {
    await window?.page.close();
  });
  return () => {
    if (!window) throw new Error("no window is open");
    return window;
  };
}
