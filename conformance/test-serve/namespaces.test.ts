import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { closeAll, connect, heard, open, type Client, type Kind } from "../lib/clients.ts";
import { startServer, stranger } from "../lib/serve.ts";
import type { Running } from "../lib/process.ts";

/** As many as a connection may be in. */
const MOST = 10;
const NAMES = Array.from({ length: MOST + 1 }, (_, number) => `/room${number}`);

const folder = mkdtempSync(join(tmpdir(), "tidings-namespaces-"));
let server: Running;

before(async () => {
  const config = join(folder, "tidings.toml");
  writeFileSync(config, NAMES.map((name) => `[namespaces."${name}"]\nauth = "required"\n`).join("\n"));
  server = await startServer(["--config", config]);
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(closeAll);

const KINDS: Kind[] = [
  { version: "4.8.4", transport: "websocket", parser: "json" },
  { version: "4.8.4", transport: "polling", parser: "msgpack" },
  { version: "3.1.3", transport: "websocket", parser: "json" },
];

for (const kind of KINDS) {
  describe(`socket.io-client ${kind.version} by ${kind.transport}, ${kind.parser}`, () => {
    test("an eleventh namespace is refused, the ten go on, and it may be had for another", async () => {
      const auth = { token: stranger().token };
      const first = open(kind, server, { auth, autoConnect: false }, NAMES[0]);
      const others = NAMES.slice(1).map((name) => first.io.socket(name, { auth }));
      const late = others.pop() as Client;
      for (const client of [first, ...others]) await connect(client);
      const ids = others.map((client) => client.id);

      const refused = heard(late, "connect_error");
      late.connect();
      const [error] = (await refused) as [Error & { data: { code: string } }];
      assert.equal(error.message, "this connection is in too many namespaces");
      assert.equal(error.data.code, "bad_request");

      first.disconnect();
      await connect(late);
      assert.deepEqual(
        others.map((client) => client.id),
        ids,
      );
    });
  });
}
