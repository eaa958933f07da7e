import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { closeAll, connected, heard, open, type Client, type Kind } from "../lib/clients.ts";
import { runScript } from "../lib/python.ts";
import { served, stranger } from "../lib/serve.ts";

const LIMIT = 2;
const server = served([
  ...["--trusted-proxies", "127.0.0.1"],
  ...["--limits-connections-per-address", String(LIMIT)],
]);

afterEach(closeAll);

/** What a client of ours says of a handshake that was answered with an HTTP status. */
interface Refused extends Error {
  type: string;
  /** By polling the status; by WebSocket what the `ws` package made of it. */
  description: number | { message: string };
}

const CLIENTS = (["4.8.4", "3.1.3"] as const).flatMap((version) =>
  (["polling", "websocket", "upgrade"] as const).map((transport): Kind => ({
    version,
    transport,
    parser: "json",
  })),
);

const from = (address: string) => ({ "x-forwarded-for": address });

/** Connects with these headers, by a token nothing is wrong with. */
function knock(kind: Kind, extraHeaders: object): Client {
  return open(kind, server(), { auth: { token: stranger().token }, extraHeaders });
}

/** The first thing a refused client hears; it must be the refusal of its transport, with this status. */
async function assertRefused(kind: Kind, client: Client, status: number): Promise<void> {
  const [error] = (await heard(client, "connect_error")) as [Refused];
  assert.equal(error.type, "TransportError");
  assert.equal(client.connected, false);
  if (kind.transport === "websocket") {
    assert.equal(error.message, "websocket error");
    const { message } = error.description as { message: string };
    assert.equal(message, `Unexpected server response: ${status}`);
  } else {
    assert.equal(error.message, "xhr poll error");
    assert.equal(error.description, status);
  }
}

for (const [index, kind] of CLIENTS.entries()) {
  describe(`socket.io-client ${kind.version} by ${kind.transport}`, () => {
    test("a page of a foreign origin is refused with 403 and tries again", async () => {
      const client = knock(kind, { origin: "https://evil.example" });
      await assertRefused(kind, client, 403);
      await assertRefused(kind, client, 403);
      client.disconnect();
      // The same without an origin: it is that which was refused.
      await heard(knock(kind, {}), "connect");
    });

    test("one connection too many of an address is refused with 429, and let in once there is room", async () => {
      const address = from(`192.0.2.${index + 1}`);
      const early = [];
      for (let count = 0; count < LIMIT; count++) {
        early.push(
          await connected(kind, server(), { auth: { token: stranger().token }, extraHeaders: address }),
        );
      }
      const late = knock(kind, address);
      await assertRefused(kind, late, 429);
      await heard(knock(kind, from("198.51.100.7")), "connect");
      early[0]?.disconnect();
      await heard(late, "connect");
      assert.equal(late.connected, true);
    });
  });
}

interface Attempt {
  told: unknown[];
  raised: string | null;
  connected: boolean;
}

const ORIGIN = { Origin: "https://evil.example" };
const PYTHON: [transport: string, told: unknown, raised: string][] = [
  ["polling", { code: 4, message: "Forbidden" }, "Unexpected status code 403 in server response"],
  ["websocket", "Connection error", "Connection error"],
];

for (const [transport, told, raised] of PYTHON) {
  test(`python-socketio by ${transport} is told of a refused handshake, and gets in without the origin`, async () => {
    const args = [server().http, transport, stranger().token, JSON.stringify(ORIGIN)];
    const heard = (await runScript("refused_client.py", args)) as { refused: Attempt; letIn: Attempt };
    assert.deepEqual(heard.refused, { told: [told], raised, connected: false });
    assert.deepEqual(heard.letIn, { told: [], raised: null, connected: true });
  });
}
