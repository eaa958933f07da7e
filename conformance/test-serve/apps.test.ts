import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv } from "ajv";
import type { Commands, Events } from "../../web/packages/client/src/wire.ts";
import { connected, closeAll, emitAck, inbox, NEWEST, type Client } from "../lib/clients.ts";
import { closeDoors } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import { ROOT, start, type Running } from "../lib/process.ts";
import { mint, SECRET, served, unique } from "../lib/serve.ts";

/** The example of an app, in a process of its own; its database outlives the process. */
let example: Running;
let folder: string;
const plain = served();

function startExample(): Promise<Running> {
  const program = process.env["TIDINGS_TODO"];
  if (!program) throw new Error("TIDINGS_TODO names no program; see conformance/README.md");
  return start([program], /listening on http:\/\/(127\.0\.0\.1:\d+)/, {
    JWT_SECRET: SECRET,
    LISTEN: "127.0.0.1:0",
    DATABASE_URL: `sqlite:${join(folder, "todo.db")}`,
  });
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidings-todo-"));
  example = await startExample();
});
after(async () => {
  await example.kill();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(closeDoors);
afterEach(closeAll);

interface Item {
  number: number;
  title: string;
  by: string;
}
interface Answer {
  ok: boolean;
  number?: number;
  duplicate?: boolean;
  snapshot?: { items: Item[] };
  recovered?: boolean;
}

const enter = (user: string): Promise<Client> =>
  connected(NEWEST, example, { auth: { token: mint({ sub: user }) } });
const say = async (client: Client, event: string, ...args: unknown[]): Promise<Answer> =>
  (await emitAck(client, event, ...args))[0] as Answer;

describe("the example of an app, with stock clients", () => {
  test("a command is heard by who subscribed, and a retried one is done once", async () => {
    const list = unique("list");
    const [ada, bob] = [await enter("ada"), await enter("bob")];
    const told = await say(bob, "subscribe", { room: `todo:${list}` });
    assert.deepEqual([told.ok, told.snapshot], [true, { items: [] }]);
    const added = inbox(bob, "todo:added");
    const first = await say(ada, "todo:add", { list, title: "milk" }, { key: "k1" });
    assert.deepEqual([first.ok, first.number, first.duplicate], [true, 1, undefined]);
    const again = await say(ada, "todo:add", { list, title: "milk" }, { key: "k1" });
    assert.deepEqual([again.number, again.duplicate], [1, true]);
    const [item] = (await added.next("todo:added")) as [Item];
    assert.deepEqual(item, { number: 1, title: "milk", by: "ada" });
    const door = await ask(`${example.http}/api/commands/root/todo:add`, {
      method: "POST",
      headers: { authorization: `Bearer ${mint({ sub: "cyd" })}` },
      body: JSON.stringify({ list, title: "bread" }),
    });
    assert.equal(door.status, 200, door.body);
    const [second] = (await added.next("todo:added")) as [Item];
    assert.deepEqual(second, { number: 2, title: "bread", by: "cyd" });
    const refused = await say(ada, "todo:add", { list });
    assert.equal(refused.ok, false);
  });

  test("what was acknowledged before a SIGKILL is there after it", async () => {
    const list = unique("list");
    const ada = await enter("ada");
    for (let number = 1; number <= 5; number++) {
      const done = await say(
        ada,
        "todo:add",
        { list, title: `item ${number}` },
        { key: `k${list}${number}` },
      );
      assert.equal(done.number, number);
    }
    await example.kill();
    closeAll();
    example = await startExample();
    const bob = await enter("bob");
    const told = await say(bob, "subscribe", { room: `todo:${list}` });
    assert.equal(told.snapshot?.items.length, 5);
    const retried = await say(
      await enter("ada"),
      "todo:add",
      { list, title: "item 5" },
      { key: `k${list}5` },
    );
    assert.deepEqual([retried.number, retried.duplicate], [5, true]);
  });
});

describe("what a server says of itself", () => {
  const document = async (server: Running, path: string): Promise<Record<string, unknown>> => {
    const answer = await ask(server.http + path);
    assert.equal(answer.status, 200);
    return JSON.parse(answer.body) as Record<string, unknown>;
  };
  const servers = { "the server": () => plain(), "the example": () => example };

  for (const [name, server] of Object.entries(servers)) {
    test(`is valid OpenAPI: ${name}`, async () => {
      const validator = new Validator();
      const result = await validator.validate(await document(server(), "/api/openapi.json"));
      assert.deepEqual([result.valid, result.errors, validator.version], [true, undefined, "3.1"]);
    });

    test(`is valid AsyncAPI: ${name}`, async () => {
      const check = asyncapi();
      const said = await document(server(), "/api/asyncapi.json");
      assert.ok(check(said), JSON.stringify(check.errors, null, 1));
      assert.equal(check({ ...said, channels: 5 }), false, "the check fails where it has to");
    });
  }

  test("is what the repository keeps", async () => {
    for (const name of ["openapi", "asyncapi"]) {
      const kept = JSON.parse(readFileSync(join(ROOT, "docs/api", `${name}.json`), "utf8")) as object;
      assert.deepEqual(await document(plain(), `/api/${name}.json`), kept);
    }
  });

  test("is typed: what the types say compiles and is answered", async () => {
    const ada = await connected(NEWEST, plain(), { auth: { token: mint({ sub: "ada" }) } });
    const wanted: Commands["/"]["subscribe"]["data"] = { room: "lobby:typed", rewind: 1 };
    const told = (await emitAck(ada, "subscribe", wanted))[0] as Commands["/"]["subscribe"]["reply"];
    assert.equal(told.room, "lobby:typed");
    const resumed: keyof Events["/"] = "tidings:resumed";
    assert.ok(resumed);
  });
});

/** The published schema of AsyncAPI 3.0.0, as a function that checks. */
function asyncapi() {
  const require = createRequire(import.meta.url);
  const schema = require("@asyncapi/specs/schemas/3.0.0-without-$id.json") as object;
  const ajv = new Ajv({ strict: false, validateFormats: false, logger: false });
  return ajv.compile(schema);
}
