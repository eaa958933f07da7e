import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { browsing } from "../lib/browser.ts";
import { heard, NEWEST, open, type Kind } from "../lib/clients.ts";
import { closeDoors, openPlain } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import { served, stranger } from "../lib/serve.ts";

const LISTED = ["https://a.example", "http://b.example:8080", "http://[2001:db8::1]:8080"];
const server = served(["--no-limits", ...LISTED.flatMap((origin) => ["--allow-origin", origin])]);

afterEach(closeDoors);

/** Twenty and more origins, and whether a page of each may talk to the server. */
const ORIGINS: [origin: string | (() => string), taken: boolean][] = [
  ["https://a.example", true],
  ["HTTPS://A.Example", true],
  ["http://b.example:8080", true],
  ["http://[2001:db8::1]:8080", true],
  [() => server().http, true],
  ["http://a.example", false],
  ["https://a.example:443", false],
  ["https://a.example:4443", false],
  ["https://a.example/", false],
  ["https://a.example.", false],
  ["https://a.example.evil.test", false],
  ["https://evil.test#https://a.example", false],
  ["https://xa.example", false],
  ["https://sub.a.example", false],
  ["https://a.example@evil.test", false],
  ["https://a.example, https://evil.test", false],
  ["http://b.example", false],
  ["http://b.example:80801", false],
  ["http://[2001:db8::1]", false],
  [() => server().http.replace("http:", "https:"), false],
  [() => server().http.replace("127.0.0.1", "localhost"), false],
  [() => server().http.replace("127.0.0.1", "rebound.evil.test"), false],
  ["null", false],
  ["*", false],
  ["file://", false],
];

/** Whether a stock client gets in from a page of an origin. */
async function entersBySocketIo(kind: Kind, origin: string): Promise<boolean> {
  const options = {
    auth: { token: stranger().token },
    extraHeaders: { Origin: origin },
    reconnection: false,
  };
  const client = open(kind, server(), options);
  const entered = await Promise.race([
    heard(client, "connect").then(() => true),
    heard(client, "connect_error").then(() => false),
  ]);
  client.disconnect();
  return entered;
}

const DOORS: Record<string, (origin: string) => Promise<boolean>> = {
  "Socket.IO by WebSocket": (origin) => entersBySocketIo(NEWEST, origin),
  "Socket.IO by polling": (origin) => entersBySocketIo({ ...NEWEST, transport: "polling" }, origin),
  "the plain protocol": (origin) =>
    openPlain(server(), "", { Origin: origin }).then(
      () => true,
      () => false,
    ),
  REST: async (origin) => {
    const headers = { origin, authorization: `Bearer ${stranger().token}` };
    const answer = await ask(`${server().http}/api/rooms/${encodeURIComponent("lobby:x")}/history`, {
      headers,
    });
    // A page of the server's own needs no permission of the browser.
    return answer.headers["access-control-allow-origin"] === origin || origin === server().http;
  },
  "a preflight": async (origin) => {
    const headers = { origin, "access-control-request-method": "POST" };
    const answer = await ask(`${server().http}/api/publish`, { method: "OPTIONS", headers });
    return answer.headers["access-control-allow-origin"] === origin || origin === server().http;
  },
};

for (const [door, enters] of Object.entries(DOORS)) {
  describe(`by ${door}`, () => {
    for (const [origin, taken] of ORIGINS) {
      test(`${typeof origin === "string" ? origin : origin.toString().slice(6)} is ${taken ? "taken" : "refused"}`, async () => {
        assert.equal(await enters(typeof origin === "string" ? origin : origin()), taken);
      });
    }
  });
}

describe("in a browser", () => {
  let pages: Server;
  const window = browsing();

  before(async () => {
    pages = createServer((_, response) => response.setHeader("content-type", "text/html").end("<p>a page"));
    await once(pages.listen(0, "127.0.0.1"), "listening");
  });

  after(() => pages.close());

  /** What a page sees of the server by WebSocket and by HTTP; the same from its own page is the control. */
  const look = async (from: string) => {
    const { page } = window();
    await page.goto(from);
    return page.evaluate(
      async ([http, ws, token]) => {
        const socket = new WebSocket(`${ws}/ws`);
        const opened = await new Promise<boolean>((resolve) => {
          socket.onopen = () => resolve(true);
          socket.onerror = () => resolve(false);
        });
        const asked = fetch(`${http}/api/auth/sessions`, { headers: { authorization: `Bearer ${token}` } });
        return { opened, read: await asked.then((answer) => answer.status > 0).catch(() => false) };
      },
      [server().http, server().ws, stranger().token] as const,
    );
  };

  test("a page of another server reaches nothing, and the server's own everything", async () => {
    const foreign = `http://127.0.0.1:${(pages.address() as AddressInfo).port}/`;
    assert.deepEqual(await look(foreign), { opened: false, read: false });
    assert.deepEqual(await look(server().http), { opened: true, read: true });
  });
});
