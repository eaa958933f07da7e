import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, request } from "node:http";
import { ask } from "../lib/http.ts";
import { served, unique } from "../lib/serve.ts";

const server = served(["--no-limits", "--demo"]);
const ROUNDS = 1_000;
const TABS = 3;

interface SignedIn {
  accessToken: string;
  refreshToken: string;
}

const agent = new Agent({ keepAlive: true, maxSockets: TABS });

/** Asks for new tokens; answers the status and the new refresh token, if there is one. */
function refresh(refreshToken: string): Promise<{ status: number; next: string | undefined }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const sent = request(
      `${server().http}/api/auth/refresh`,
      { method: "POST", headers, agent },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (part: string) => (body += part));
        response.on("end", () => {
          const next = (JSON.parse(body) as Partial<SignedIn>).refreshToken;
          resolve({ status: response.statusCode ?? 0, next });
        });
      },
    );
    sent.on("error", reject).end(JSON.stringify({ refreshToken }));
  });
}

test("of tabs that refresh at once exactly one gets tokens, a thousand times, and the sign-in lives", async () => {
  const login = await ask(`${server().http}/api/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: "alice@example.com", password: "password123" }),
  });
  assert.equal(login.status, 200, login.body);
  let current = (JSON.parse(login.body) as SignedIn).refreshToken;
  for (let round = 0; round < ROUNDS; round++) {
    const answers = await Promise.all(Array.from({ length: TABS }, () => refresh(current)));
    const won = answers.filter(({ status }) => status === 200);
    assert.equal(won.length, 1, `round ${round}: ${answers.map(({ status }) => status).join(", ")}`);
    const lost = answers.filter(({ status }) => status !== 200);
    assert.ok(
      lost.every(({ status, next }) => status === 409 && !next),
      `round ${round}`,
    );
    current = won[0]?.next ?? "";
  }
  assert.equal((await refresh(current)).status, 200, "the sign-in lives on");
  assert.equal((await refresh(unique("no-token"))).status, 401, "a control: what was never given is refused");
  agent.destroy();
});
