import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { NEWEST } from "../lib/clients.ts";
import { byPlain, bySocketIo, closeDoors, type Door, type Member } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import { mint, served, unique } from "../lib/serve.ts";

/** How many random steps; `WALK_OPERATIONS` asks for more, `WALK_SEED` for a walk that was seen before. */
const OPERATIONS = Number(process.env["WALK_OPERATIONS"] ?? 4_000);
const SEED = Number(process.env["WALK_SEED"] ?? Date.now() % 1_000_000);

const server = served(["--no-limits"]);
afterEach(closeDoors);

const ORGS = ["acme", "globex", "initech", "umbrella", "wayne"].map((name) => unique(name));
const USERS = ["alice", "bob"];
const ROOMS = ["lobby:1", "lobby:2", "user:alice", "user:bob", "bench:1"];
const DOORS: Door[] = [
  bySocketIo(),
  bySocketIo({ ...NEWEST, transport: "polling" }),
  bySocketIo({ ...NEWEST, parser: "msgpack" }),
  bySocketIo({ ...NEWEST, version: "4.0.2" }),
  byPlain,
];

/** Small numbers that look random and come again with the same seed (Lehmer's generator). */
function dice(seed: number): (sides: number) => number {
  let state = (seed % 2_147_483_646) + 1;
  return (sides) => (state = (state * 48_271) % 2_147_483_647) % sides;
}

/** Somebody of an organisation, and everything that reached her. */
interface Walker {
  org: string;
  member: Member;
  token: string;
  heard: string[];
}

async function walker(org: string, user: string, door: Door): Promise<Walker> {
  const token = mint({ sub: user, org, roles: user === "alice" ? ["admin"] : [], name: `name of ${org}` });
  const member = await door(server(), token);
  const heard: string[] = [];
  for (const box of [member.events, member.gaps, member.resumed]) {
    box.each((item: unknown) => heard.push(JSON.stringify(item)));
  }
  return { org, member, token, heard };
}

/** One step by HTTP; answers everything that came back. */
async function byHttp(who: Walker, room: string, roll: (sides: number) => number): Promise<string> {
  const headers = { authorization: `Bearer ${who.token}`, "content-type": "application/json" };
  const post = (path: string, body: object) =>
    ask(server().http + path, { method: "POST", headers, body: JSON.stringify(body) });
  const get = (path: string) => ask(server().http + path, { headers });
  const message = { event: "said", data: { canary: who.org } };
  const foreign = ORGS[roll(ORGS.length)] ?? "";
  const steps = [
    () => post("/api/publish", { room, ...message }),
    () => post("/api/publish", { org: roll(2) ? who.org : foreign, ...message }),
    () => post("/api/publish", { userId: USERS[roll(2)], ...message }),
    () => post("/api/publish/batch", { messages: [{ room, key: `k${roll(9)}`, ...message }] }),
    () => get(`/api/rooms/${encodeURIComponent(room)}/history`),
    () => get(`/api/rooms/${encodeURIComponent(room)}/presence`),
    () => get(`/api/rooms/${encodeURIComponent(room)}/stats`),
    () => get("/api/rooms"),
    () => get("/api/audit"),
    () => get("/metrics"),
  ];
  const answer = await (steps[roll(steps.length)] as () => ReturnType<typeof get>)();
  return answer.body + JSON.stringify(answer.headers);
}

/** One step through the connection; answers everything that came back. */
async function bySocket(who: Walker, room: string, roll: (sides: number) => number): Promise<string> {
  const since = { epoch: "1", offset: roll(4) };
  const steps: [name: string, body: object][] = [
    ["subscribe", { room }],
    ["subscribe", { room, rewind: 5 }],
    ["subscribe", { room, since }],
    ["unsubscribe", { room }],
    ["publish", { room, event: "said", data: { canary: who.org }, key: `k${roll(9)}` }],
    ["publish", { room, event: "said", data: { canary: who.org }, volatile: true }],
    ["history", { room }],
    ["presence", { room }],
  ];
  const [name, body] = steps[roll(steps.length)] ?? ["ping", {}];
  return JSON.stringify(await who.member.command(name, body));
}

test(`organisations with the same names hear and read nothing of each other (WALK_SEED=${SEED})`, async () => {
  const roll = dice(SEED);
  const walkers: Walker[] = [];
  for (const org of ORGS) {
    for (const [at, door] of DOORS.entries()) walkers.push(await walker(org, USERS[at % 2] ?? "", door));
  }
  let own = 0;
  const inspect = (who: Walker, text: string, where: string) => {
    if (text.includes(who.org)) own += 1;
    for (const org of ORGS) {
      if (org !== who.org) assert.ok(!text.includes(org), `${who.org} met ${org} in ${where}: ${text}`);
    }
  };
  for (let step = 0; step < OPERATIONS; step++) {
    const who = walkers[roll(walkers.length)] as Walker;
    const room = ROOMS[roll(ROOMS.length)] ?? "";
    inspect(who, roll(3) ? await bySocket(who, room, roll) : await byHttp(who, room, roll), `step ${step}`);
    for (const each of walkers) each.heard.splice(0).forEach((text) => inspect(each, text, "an event"));
  }
  // A walk on which nobody met even its own organisation's events would have shown nothing.
  assert.ok(own > OPERATIONS / 2, `${own} sightings of what one may see`);
});
