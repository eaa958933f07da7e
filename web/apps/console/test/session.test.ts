import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { mint } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { session, signInByPassword, signOut } from "../src/session.ts";

/** What the server was asked, and how it answers: a sign-in whose token is about to end. */
const answers = new Map<string, () => Response | Promise<Response>>();
const fetched = vi.fn(async (url: URL | string) => {
  const { pathname } = new URL(url);
  return (await answers.get(pathname)?.()) ?? Response.json({ ok: true });
});
const asked = (path: string) => fetched.mock.calls.filter(([url]) => new URL(url).pathname === path).length;
const tokens = (user: string, expiresIn: number) => ({
  accessToken: mint({ sub: user }),
  refreshToken: `refresh-${user}`,
  expiresIn,
});
const kept = () => sessionStorage.getItem("tidings:sign-in");

async function signIn(user: string, expiresIn: number): Promise<void> {
  answers.set("/api/auth/login", () => Response.json(tokens(user, expiresIn)));
  await signInByPassword(`${user}@example.com`, "password123", "");
}

beforeEach(() => vi.stubGlobal("fetch", fetched));
afterEach(() => {
  signOut();
  answers.clear();
  fetched.mockClear();
  vi.unstubAllGlobals();
});

test("signing out leaves no token behind, though one has to be renewed for it", async () => {
  await signIn("ada", 1);
  expect(kept()).toContain("refresh-ada");
  answers.set("/api/auth/refresh", () => Response.json(tokens("ada", 900)));
  signOut();
  await until(() => expect(asked("/api/auth/logout")).toBe(1));
  expect(asked("/api/auth/refresh")).toBe(1);
  expect(kept()).toBeNull();
});

test("a sign-in that is over ends nobody else's", async () => {
  await signIn("ada", 1);
  let answer: (response: Response) => void = () => {};
  answers.set("/api/auth/refresh", () => new Promise<Response>((resolve) => (answer = resolve)));
  const leaving = session()?.client;
  signOut();
  await until(() => expect(asked("/api/auth/refresh")).toBe(1));
  await signIn("bob", 900);
  const renewed = leaving?.request("/api/rooms");
  answer(Response.json({ ok: false, error: { code: "unauthorized", message: "over", retryable: false } }));
  await expect(renewed).rejects.toMatchObject({ code: "unauthorized" });
  expect(session()?.userId).toBe("bob");
  expect(kept()).toContain("refresh-bob");
});

test("what somebody may do, and who they are called, follows the token they have", async () => {
  const tokenWith = (claims: object) => ({
    ...tokens("ada", 1),
    accessToken: mint({ sub: "ada", ...claims }),
  });
  answers.set("/api/auth/login", () =>
    Response.json(tokenWith({ roles: ["admin"], name: "Ada", exp: Math.floor(Date.now() / 1_000) + 1 })),
  );
  await signInByPassword("ada@example.com", "password123", "");
  expect(session()).toMatchObject({ isServer: true, isAdmin: true, watches: true, name: "Ada" });

  answers.set("/api/auth/refresh", () =>
    Response.json({ ...tokenWith({ roles: [], name: "Ada L." }), expiresIn: 1 }),
  );
  await session()?.client.request("/api/rooms");
  const rights = { isServer: false, isAdmin: false, watches: false };
  expect(session()).toMatchObject({ ...rights, name: "Ada L.", userId: "ada" });

  answers.set("/api/auth/refresh", () => Response.json(tokenWith({ roles: ["operator"] })));
  await session()?.client.request("/api/rooms");
  expect(session()).toMatchObject({ ...rights, watches: true, name: undefined });
});
