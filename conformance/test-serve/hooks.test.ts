import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { NEWEST, heard, open } from "../lib/clients.ts";
import { byPlain, bySocketIo, closeDoors, type Door } from "../lib/doors.ts";
import type { Running } from "../lib/process.ts";
import { mint, startServer, stranger, unique } from "../lib/serve.ts";

/** The part of examples/hooks/backend.mjs that is used here. */
interface Example {
  isGenuine(headers: IncomingHttpHeaders, body: Buffer, secret: string, now?: number): boolean;
}

interface Question {
  action: string;
  user: string | null;
  roles: string[];
  room?: string;
}

const SECRET = randomBytes(32).toString("hex");
const DOORS: Record<string, Door> = {
  "Socket.IO": bySocketIo(),
  "Socket.IO by polling": bySocketIo({ ...NEWEST, transport: "polling" }),
  "Socket.IO with msgpack": bySocketIo({ ...NEWEST, parser: "msgpack" }),
  "the plain protocol": byPlain,
};

let backend: Server;
let running: Running;
let folder: string;
const questions: Question[] = [];
const forged: string[] = [];

/** Editors write, members of the house read, and nobody called mallory comes in. */
function decide({ action, user, roles, room }: Question): object {
  if (action === "connect") return { allow: !user?.startsWith("mallory"), message: "not today" };
  if (action === "publish") return { allow: roles.includes("editor") };
  return { allow: room?.startsWith("doc:open") ?? false, cacheSeconds: 5 };
}

before(async () => {
  const example = (await import(
    new URL("../../examples/hooks/backend.mjs", import.meta.url).href
  )) as Example;
  backend = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      if (!example.isGenuine(request.headers, body, SECRET)) forged.push(body.toString());
      if (example.isGenuine(request.headers, body, SECRET, Date.now() / 1000 + 400)) forged.push("old");
      if (example.isGenuine(request.headers, Buffer.concat([body, Buffer.from(" ")]), SECRET))
        forged.push("altered");
      const question = JSON.parse(body.toString()) as Question;
      questions.push(question);
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(decide(question)));
    });
  }).listen(0, "127.0.0.1");
  await once(backend, "listening");
  const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}/`;
  folder = mkdtempSync(join(tmpdir(), "tidings-hooks-"));
  writeFileSync(join(folder, "secret"), `${SECRET}\n`);
  writeFileSync(
    join(folder, "tidings.toml"),
    `[hooks]
connect = "${url}"
subscribe = "${url}"
publish = "${url}"
secret_file = "${join(folder, "secret")}"
allow_private = true

[rooms.doc]
subscribe = "ask"
publish = "ask"
history = "ask"
presence = "ask"
`,
  );
  running = await startServer(["--no-limits", "--config", join(folder, "tidings.toml")]);
});

after(async () => {
  await running?.stop();
  backend?.close();
  backend?.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(closeDoors);

for (const [name, door] of Object.entries(DOORS)) {
  describe(`by ${name}`, () => {
    test("the backend says who subscribes and who publishes", async () => {
      const editor = await door(running, mint({ sub: unique("editor"), roles: ["editor"] }));
      const reader = await door(running, stranger().token);
      const room = `doc:${unique("open")}`;
      assert.equal((await reader.command("subscribe", { room })).ok, true);
      const refused = await reader.command("publish", { room, event: "edit", data: 1 });
      assert.equal(refused.error?.code, "forbidden");
      assert.equal((await editor.command("publish", { room, event: "edit", data: { text: "hi" } })).ok, true);
      assert.deepEqual((await reader.events.next("room event")).data, { text: "hi" });
    });

    test("a room the backend hides looks like one that does not exist", async () => {
      const member = await door(running, stranger().token);
      const [hidden, absent] = [
        await member.command("subscribe", { room: "doc:hidden" }),
        await member.command("subscribe", { room: "nothing:hidden" }),
      ];
      assert.deepEqual(hidden, absent);
      assert.equal(hidden.error?.code, "not_found");
    });

    test("commands said in one breath are answered in their order", async () => {
      const member = await door(running, mint({ sub: unique("editor"), roles: ["editor"] }));
      const room = `doc:${unique("open")}`;
      const order: string[] = [];
      const said = (name: string, command: string, body: object) =>
        member.command(command, body).then((ack) => order.push(`${name} ${ack.ok}`));
      await Promise.all([
        said("subscribe", "subscribe", { room }),
        said("publish", "publish", { room, event: "edit", data: 1 }),
        said("lobby", "subscribe", { room: `lobby:${unique("room")}` }),
      ]);
      assert.deepEqual(order, ["subscribe true", "publish true", "lobby true"]);
      assert.equal((await member.events.next("own event")).data, 1);
    });
  });
}

test("a client the backend does not let in gets CONNECT_ERROR in its words", async () => {
  const client = open(NEWEST, running, { auth: { token: mint({ sub: unique("mallory") }) } });
  const [error] = (await heard(client, "connect_error")) as [Error & { data: object }];
  assert.equal(error.message, "not today");
  assert.deepEqual(error.data, { code: "forbidden" });
});

test("every question was signed, and a changed or old one would have been refused", () => {
  assert.ok(questions.length > 10);
  assert.deepEqual(forged, []);
});
