import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { expect, test } from "vitest";

const file = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

test("the types are those the server of this repository prints", () => {
  const [server = "", ...first] = process.env["TIDINGS_BIN"]?.split(/\s+/).filter(Boolean) ?? [];
  const root = new URL("../../../../", import.meta.url);
  const printed = execFileSync(server, [...first, "types"], { cwd: root, encoding: "utf8" });
  // Not compared by toBe: thousands of lines help nobody.
  const fresh = file("../src/wire.ts") === printed;
  expect(fresh, "src/wire.ts is stale: npm run types").toBe(true);
});

/** How many bytes an entry is, compressed, beside socket.io-client; and what is in it. */
async function built(entry: string): Promise<{ bytes: number; code: string }> {
  const result = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      lib: { entry: new URL(`../src/${entry}`, import.meta.url).pathname, formats: ["es"] },
      rollupOptions: { external: ["socket.io-client"] },
    },
  });
  const outputs = (Array.isArray(result) ? result : [result]) as { output: { code?: string }[] }[];
  const code = outputs.flatMap(({ output }) => output.map((part) => part.code ?? "")).join("");
  console.log(`${entry}: ${gzipSync(code).length} bytes`);
  return { bytes: gzipSync(code).length, code };
}

test("the client is smaller than 10 KB beside socket.io-client, compressed", async () => {
  const { bytes, code } = await built("index.ts");
  expect(code).toContain("tidings:gap");
  expect(bytes).toBeLessThan(10_000);
});

test("what is of trading is smaller than 7 KB, with SHA-256, and none of it is in the client", async () => {
  const { bytes, code } = await built("trading.ts");
  expect(code).toContain("account:digest");
  expect(bytes).toBeLessThan(7_000);
  expect((await built("index.ts")).code).not.toContain("account:digest");
});
