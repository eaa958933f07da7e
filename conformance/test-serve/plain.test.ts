import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { ask } from "../lib/http.ts";
import { mint, served, unique, type Claims } from "../lib/serve.ts";
import { Wire } from "../lib/wire.ts";

interface Message {
  type: string;
  id?: number;
  ok?: boolean;
  [key: string]: unknown;
}
interface Described {
  channels: Record<string, { address: string; messages: Record<string, { $ref: string }> }>;
  components: { messages: Record<string, { payload: object }>; schemas: Record<string, object> };
}

const server = served();
let described: Described;
const wires: Wire[] = [];

beforeEach(async () => {
  described = JSON.parse((await ask(`${server().http}/api/asyncapi.json`)).body) as Described;
});
after(() => wires.forEach((wire) => wire.terminate()));

/** Checks what the document calls by this name; a field that it does not name is wrong, but where it leaves that open. */
function checkOf(name: string, isOpen = false): ValidateFunction {
  const { payload } = described.components.messages[`/ws.${name}`] ?? {};
  assert.ok(payload, `${name} is not described`);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  return ajv.compile({
    components: { schemas: described.components.schemas },
    allOf: [payload],
    ...(isOpen ? {} : { unevaluatedProperties: false }),
  });
}

function isAs(name: string, said: Message, isOpen = false): void {
  const check = checkOf(name, isOpen);
  assert.ok(check(said), `${name}: ${JSON.stringify(said)} ${JSON.stringify(check.errors)}`);
}

/** A client of the plain protocol, each message of which, and each it hears, has to be as described. */
class Speaker {
  readonly #wire: Wire;
  #id = 0;

  private constructor(wire: Wire) {
    this.#wire = wire;
  }

  static async come(claims: Claims): Promise<Speaker> {
    const wire = await Wire.open(`${server().http.replace("http", "ws")}/ws`);
    wires.push(wire);
    const speaker = new Speaker(wire);
    speaker.say("auth", { token: mint(claims), persistent: true });
    isAs("auth.reply", await speaker.hear());
    return speaker;
  }

  say(type: string, body: object = {}): void {
    const said = { type, ...body };
    isAs(type, said);
    this.#wire.send(JSON.stringify(said));
  }

  /** The next message but for who comes and goes, of which everybody of the organisation is told. */
  async hear(): Promise<Message> {
    const told = JSON.parse(String(await this.#wire.heard.next("a message"))) as Message;
    if (told["room"] !== "org:default") return told;
    isAs("event.heard", told);
    return this.hear();
  }

  /** Hears what was not asked for. */
  async hears(type: string): Promise<Message> {
    const told = await this.hear();
    assert.equal(told.type, type, JSON.stringify(told));
    isAs(`${type}.heard`, told);
    return told;
  }

  async ask(type: string, body: object = {}): Promise<Message> {
    this.#id += 1;
    this.say(type, { id: this.#id, ...body });
    const answer = await this.hear();
    assert.deepEqual([answer.type, answer.id], ["ack", this.#id], JSON.stringify(answer));
    // What an app's command is answered with is described in its namespace.
    isAs(`${type}.reply`, answer, type === "command");
    return answer;
  }
}

test("what is said on the plain protocol is what the AsyncAPI document says", async () => {
  const room = `lobby:${unique("plain")}`;
  const bob = await Speaker.come({ sub: unique("bob"), scope: "publish" });
  const ada = await Speaker.come({ sub: unique("ada") });
  for (const type of ["ping", "presence:set"])
    assert.equal((await ada.ask(type, type === "ping" ? {} : { status: "away" })).ok, true);
  assert.equal((await ada.ask("subscribe", { room })).ok, true);

  const published = await bob.ask("publish", { room, event: "said", data: { n: 1 }, key: "k", receipt: {} });
  const { messageId, ack, offset, epoch, tag } = await ada.hears("event");
  assert.deepEqual([messageId, ack, offset], [published["messageId"], true, 1]);
  ada.say("ack", { messageId });
  assert.deepEqual((await bob.hears("receipt"))["outcome"], "acknowledged");
  const again = await bob.ask("publish", { room, event: "said", data: { n: 1 }, key: "k", receipt: {} });
  assert.equal(again["duplicate"], true);

  const past = await ada.ask("history", { room, since: { epoch, offset: 0 }, limit: 10 });
  assert.equal((past["events"] as unknown[]).length, 1);
  assert.equal((await ada.ask("presence", { room })).ok, true);
  assert.equal((await ada.ask("unsubscribe", { room })).ok, true);
  assert.equal((await ada.ask("subscribe", { room, since: { epoch, offset, tag } }))["recovered"], true);
  await ada.hears("resumed");
  const elsewhere = { epoch: "0".repeat(16), offset: 1 };
  assert.equal((await ada.ask("subscribe", { room, since: elsewhere }))["recovered"], false);
  assert.equal((await ada.hears("gap"))["reason"], "epoch");
  for (const told of ["event", "resumed"]) await ada.hears(told);

  const nowhere = await ada.ask("subscribe", { room: "nothing:x" });
  assert.equal((nowhere["error"] as { code: string }).code, "not_found");
  const ofApp = { ns: "/leaderboard", name: "subscribe", data: { scope: "global" } };
  const board = await ada.ask("command", ofApp);
  assert.equal(board["room"], "leaderboard:global", JSON.stringify(board));
  ada.say("heartbeat");
  isAs("heartbeat.reply", await ada.hear());
});

test("what is not as the document says is found", () => {
  const answer = { type: "ack", id: 1, ok: true };
  assert.equal(checkOf("ping.reply")(answer), true);
  for (const wrong of [
    { ...answer, id: "1" },
    { ...answer, ok: false },
    { ...answer, more: 1 },
  ])
    assert.equal(checkOf("ping.reply")(wrong), false, JSON.stringify(wrong));
  assert.equal(checkOf("subscribe")({ type: "subscribe" }), false);
});
