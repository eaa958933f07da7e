import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { connected, emitAck, NEWEST, open, heard } from "../lib/clients.ts";
import { closeDoors, type Ack } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import { served, unique } from "../lib/serve.ts";

const server = served(["--no-limits"]);
const PASSWORD = "a long enough password";

afterEach(closeDoors);

interface SignedIn {
  accessToken: string;
  refreshToken: string;
  expiresIn: number;
  user: { id: string; email: string; name: string; org: string; roles: string[] };
}

async function post(path: string, body: object, expected: number): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const answer = await ask(server().http + path, { method: "POST", body: JSON.stringify(body), headers });
  assert.equal(answer.status, expected, answer.body);
  return JSON.parse(answer.body);
}

test("somebody registers, follows the link, signs in, connects, refreshes and leaves", async () => {
  const email = `${unique("ada")}@example.com`;
  await post("/api/auth/register", { email, password: PASSWORD, name: "Ada" }, 202);
  await post("/api/auth/login", { email, password: PASSWORD }, 403);
  const token = await server().logged(/#verify=([\w-]{43})/);
  await post("/api/auth/verify", { token }, 200);

  const first = (await post("/api/auth/login", { email, password: PASSWORD }, 200)) as SignedIn;
  const client = await connected(NEWEST, server(), { auth: { token: first.accessToken } });
  const [ack] = (await emitAck(client, "subscribe", { room: `user:${first.user.id}` })) as [Ack];
  assert.equal(ack.ok, true, "the socket is hers");

  const headers = { authorization: `Bearer ${first.accessToken}` };
  const me = await ask(`${server().http}/api/auth/me`, { headers });
  assert.equal((JSON.parse(me.body) as { user: { email: string } }).user.email, email);

  const second = (await post("/api/auth/refresh", { refreshToken: first.refreshToken }, 200)) as SignedIn;
  assert.notEqual(second.refreshToken, first.refreshToken);
  assert.deepEqual(second.user, first.user);
  await post("/api/auth/logout", { refreshToken: second.refreshToken }, 200);
  await post("/api/auth/refresh", { refreshToken: second.refreshToken }, 401);

  const late = open(NEWEST, server(), { auth: { token: second.accessToken } });
  const [refused] = (await heard(late, "connect_error")) as [Error & { data: { code: string } }];
  assert.equal(refused.data.code, "unauthorized", "the access token has ended with the sign-in");
});
