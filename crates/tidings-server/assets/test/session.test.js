import assert from "node:assert/strict";
import { test } from "node:test";

import { providers, Refusal, sentBack, Session } from "../session.js";

const HOUR = 3_600;

// A server that answers with numbered tokens and remembers what it was asked, and a clock.
function place(answers = {}) {
  const here = { now: 0, asked: [] };
  const tokens = () => ({
    accessToken: `access-${here.asked.length}`,
    refreshToken: `refresh-${here.asked.length}`,
    expiresIn: HOUR,
    user: { id: "u", name: "Ada" },
  });
  const send = async (path, body, options = {}) => {
    here.asked.push([path, body, options.token]);
    const answer = answers[path];
    if (answer) throw answer;
    return path === "/api/auth/logout" ? { ok: true } : tokens();
  };
  here.session = new Session({ send, now: () => here.now });
  return here;
}

test("a password is changed in the name of who is signed in, and the new tokens count from then on", async () => {
  const { session, asked } = place();
  await session.signIn({ email: "ada@example.com", password: "old" });
  assert.equal(session.user.name, "Ada");
  await session.changePassword("old", "new");
  assert.deepEqual(asked.at(-1), ["/api/auth/password", { oldPassword: "old", newPassword: "new" }, "access-1"]);
  await session.signOut();
  assert.deepEqual(asked.at(-1), ["/api/auth/logout", { refreshToken: "refresh-2" }, "access-2"]);
  assert.equal(session.user, null);
});

test("who comes back from a provider is signed in by its code, and is told why without one", async () => {
  const { session, asked } = place();
  await session.exchange("of the address");
  assert.deepEqual(asked, [["/api/auth/oidc/exchange", { code: "of the address" }, undefined]]);
  assert.equal(session.user.name, "Ada");
  assert.match(sentBack("forbidden"), /did not let you in/);
  assert.equal(sentBack("toString"), sentBack("Call +1 555"), "nothing of the address is repeated");
});

test("where the server does not say which providers there are, there are none", async (t) => {
  const listed = [{ name: "one", label: "One" }];
  const answers = [() => Response.json({ providers: listed }), () => new Response("", { status: 502 })];
  t.mock.method(globalThis, "fetch", async () => (answers.shift() ?? assert.fail)());
  assert.deepEqual([await providers(), await providers(), await providers()], [listed, [], []]);
});

test("a token that is about to end is renewed before it is used, and one that is good is not", async () => {
  const here = place();
  await here.session.signIn({});
  here.now = (HOUR - 31) * 1_000;
  await here.session.changePassword("a", "b");
  assert.deepEqual(here.asked.map(([path]) => path), ["/api/auth/login", "/api/auth/password"]);
  here.now += (HOUR - 29) * 1_000;
  await here.session.changePassword("b", "c");
  assert.deepEqual(here.asked.slice(2).map(([path, , token]) => [path, token]), [
    ["/api/auth/refresh", undefined],
    ["/api/auth/password", "access-3"],
  ]);
});

test("a sign-in that was ended elsewhere is over here as well", async () => {
  const gone = new Refusal({ code: "unauthorized", message: "the refresh token is not valid" });
  const here = place({ "/api/auth/refresh": gone });
  await here.session.signIn({});
  here.now = HOUR * 1_000;
  await assert.rejects(here.session.changePassword("a", "b"), gone);
  assert.equal(here.session.user, null);
});

test("a server that does not answer a renewal ends no sign-in", async () => {
  const here = place({ "/api/auth/refresh": new TypeError("no network") });
  await here.session.signIn({});
  here.now = HOUR * 1_000;
  await assert.rejects(here.session.changePassword("a", "b"), TypeError);
  assert.equal(here.session.user.name, "Ada");
});

test("whoever signs out is signed out here at once, whatever the server says, and an old token is not shown", async () => {
  const here = place({ "/api/auth/logout": new TypeError("no network") });
  await here.session.signIn({});
  here.now = HOUR * 1_000;
  const left = here.session.signOut();
  assert.equal(here.session.user, null);
  await assert.rejects(left, TypeError);
  assert.deepEqual(here.asked.at(-1), ["/api/auth/logout", { refreshToken: "refresh-1" }, undefined]);
  await here.session.signOut();
  assert.equal(here.asked.length, 2, "there is nothing more to end");
});
