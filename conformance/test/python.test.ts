import assert from "node:assert/strict";
import { fixture } from "../lib/fixture.ts";
import { runScript } from "../lib/python.ts";
import { facts, type BetterThanReference } from "../lib/reference.ts";

interface Results {
  transport: string;
  auth: unknown[];
  customAuth: unknown[];
  echo: unknown[];
  ack: unknown[];
  customAck: unknown;
  answer: unknown[];
  bytes: unknown[];
  ids: string[];
  kicked: boolean;
  connected: boolean;
}

const NESTED = { text: "é😀", list: [1, -2.5, null, true, [], {}], deep: { a: [{ b: "" }] } };
const BYTES = {
  whole: { bytes: [0, 127, 128, 255] },
  list: [{ bytes: [9] }, { deep: { bytes: [] } }],
  plain: "x",
};
const SCRIPTS = { blocking: "sync_client.py", asyncio: "async_client.py" };
const WAYS = { polling: "polling", websocket: "websocket", "polling and upgrade": "polling,websocket" };

const exact = (style: string, way: string) =>
  `the ${style} client over ${way} hears no argument that was not sent`;
const better: BetterThanReference = {};
for (const style of Object.keys(SCRIPTS)) {
  for (const way of Object.keys(WAYS))
    better[exact(style, way)] = "appends the offset, on which handlers break";
}

const server = fixture("matrix");
const fact = facts(better);

for (const [style, script] of Object.entries(SCRIPTS)) {
  for (const [way, transports] of Object.entries(WAYS)) {
    let running: Promise<Results> | undefined;
    const results = () => (running ??= runScript(script, [server.http, transports]) as Promise<Results>);

    fact(`the ${style} client over ${way} is understood and understands`, async () => {
      const heard = await results();
      assert.equal(heard.transport, way === "polling" ? "polling" : "websocket");
      assert.deepEqual(heard.auth[0], { token: "secret" });
      assert.deepEqual(heard.customAuth[0], { token: "secret" });
      assert.deepEqual(heard.echo.slice(0, 2), [NESTED, BYTES]);
      assert.deepEqual(heard.ack, [NESTED, BYTES]);
      assert.equal(heard.customAck, 1);
      assert.deepEqual(heard.answer.slice(0, 2), [NESTED, BYTES]);
      assert.match(JSON.stringify(heard.bytes[0]), /\{"bytes":\[\d/);
      const [own, ownByServer, custom, customByServer] = heard.ids;
      assert.equal(own, ownByServer);
      assert.equal(custom, customByServer);
      assert.notEqual(own, custom);
      assert.equal(heard.kicked, true);
      assert.equal(heard.connected, false);
    });

    fact(exact(style, way), async () => {
      const heard = await results();
      assert.deepEqual(
        [heard.auth, heard.echo, heard.answer, heard.bytes].map((args) => args.length),
        [1, 2, 2, 1],
      );
    });
  }
}
