import { expect, test, vi } from "vitest";
import { refreshing, Refusal, type GetToken, type Tokens } from "@tidings/client";
import { opening } from "../../../testing/clients.ts";
import { mint, served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";

const server = served([
  "--demo",
  "--auth-expiry-grace-seconds",
  "0",
  "--accounts-refresh-grace-seconds",
  "1",
]);
const opened = opening(server);
const open = (token: string | GetToken) => opened({ token });

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const signIn = async (name: string) =>
  (await server.post("/api/auth/login", { email: `${name}@example.com`, password: "password123" })) as Tokens;

test("a token that ends is renewed in place, and the connection stays", async () => {
  const sub = unique("ada");
  const asked: boolean[] = [];
  // It is told when half of the time is over, and has the other half to renew.
  const first = inSeconds(7);
  const client = open(({ fresh }) => {
    asked.push(fresh);
    return mint({ sub, exp: fresh ? inSeconds(300) : first });
  });
  await until(() => expect(client.state.status).toBe("connected"));
  const { session } = client.state;
  await until(() => expect(asked).toEqual([false, true]));
  // It lives on beyond the end of the first token, which it would not without the second.
  await until(() => expect(Date.now()).toBeGreaterThan(first * 1_000 + 500));
  expect(client.state).toMatchObject({ status: "connected", session });
});

test("a token that has ended already is asked for once more, fresh", async () => {
  const sub = unique("bea");
  const client = open(({ fresh }) => mint({ sub, exp: inSeconds(fresh ? 300 : -300) }));
  await until(() => expect(client.state.status).toBe("connected"));
});

test("a token that comes when its connection is gone is not handed to the next one as well", async () => {
  const waiting: (() => void)[] = [];
  const token = () => new Promise<string>((resolve) => waiting.push(() => resolve(mint({ sub: "lea" }))));
  const client = open(token);
  const statuses: string[] = [];
  client.watch(() => statuses.push(client.state.status));
  await until(() => expect(waiting).toHaveLength(1));
  client.socket?.io.engine.close();
  await until(() => expect(waiting).toHaveLength(2));
  for (const hand of waiting) hand();
  await until(() => expect(client.state.status).toBe("connected"));
  await client.command("/", "ping", {});
  expect(statuses.filter((status) => status === "connected")).toHaveLength(1);
});

test("a token that is not taken ends the attempts, and says why", async () => {
  let asked = 0;
  const client = open(() => `garbage-${asked++}`);
  await until(() => expect(client.state.status).toBe("closed"));
  expect((client.state.error as Refusal).code).toBe("unauthorized");
  expect(asked).toBe(2);
});

test.each(["comes", "does not come"])(
  "a client that was disconnected stays so when its token %s",
  async (how) => {
    let settle = () => {};
    const token = vi.fn(
      () =>
        new Promise<string>((resolve, reject) => {
          const refusal = new Refusal({ code: "unavailable", message: "not now", retryAfterMs: 1 });
          settle = () => (how === "comes" ? resolve(mint({ sub: unique("kim") })) : reject(refusal));
        }),
    );
    const client = open(token);
    await until(() => expect(token).toHaveBeenCalled());
    client.disconnect();
    const seen: string[] = [];
    client.watch(() => void seen.push(client.state.status));
    settle();
    // Another one that is asked for a token, refused and back behind that: so long it would have taken.
    let asked = 0;
    const other = open(() => {
      asked += 1;
      if (asked === 1) throw new Refusal({ code: "unavailable", message: "not now", retryAfterMs: 1 });
      return mint({ sub: unique("lou") });
    });
    await until(() => expect(other.state.status).toBe("connected"));
    expect(seen).toEqual([]);
    expect(client.state.status).toBe("idle");
    expect(token).toHaveBeenCalledOnce();
  },
);

test("who is revoked does not come back by itself", async () => {
  const sub = unique("eve");
  const token = mint({ sub, iat: inSeconds(0) });
  const client = open(token);
  await until(() => expect(client.state.status).toBe("connected"));
  await server.post("/api/revocations", { userId: sub });
  await until(() => expect(client.state.status).toBe("closed"));
  expect(client.state.error?.message).toMatch(/revoked|valid/);
});

test("a sign-in at the server renews itself with its refresh token, several at once by one request", async () => {
  const kept: Tokens[] = [];
  const later = Date.now() + 3_600_000;
  let clock = 0;
  const token = refreshing(
    server.http,
    await signIn("alice"),
    (tokens) => void kept.push(tokens),
    () => clock,
  );
  clock = later;
  const [first, second] = await Promise.all([token({ fresh: false }), token({ fresh: true })]);
  expect(first).toBe(second);
  expect(kept).toHaveLength(1);
  const client = open(token);
  await until(() => expect(client.state.status).toBe("connected"));
  expect(await client.request("/api/auth/me")).toMatchObject({ user: { email: "alice@example.com" } });
});

test("a refresh token that is used elsewhere ends it with a refusal", async () => {
  const tokens = await signIn("bob");
  const [mine, theirs] = [refreshing(server.http, tokens), refreshing(server.http, tokens)];
  await mine({ fresh: true });
  await expect(theirs({ fresh: true })).rejects.toMatchObject({ code: "unauthorized" });
});
