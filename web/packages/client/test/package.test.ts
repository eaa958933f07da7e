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

test("the client is smaller than 10 KB beside socket.io-client, compressed", async () => {
  const result = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      lib: { entry: new URL("../src/index.ts", import.meta.url).pathname, formats: ["es"] },
      rollupOptions: { external: ["socket.io-client"] },
    },
  });
  const outputs = (Array.isArray(result) ? result : [result]) as { output: { code?: string }[] }[];
  const code = outputs.flatMap(({ output }) => output.map((part) => part.code ?? "")).join("");
  const bytes = gzipSync(code).length;
  console.log(`${bytes} bytes`);
  expect(code).toContain("tidings:gap");
  expect(bytes).toBeLessThan(10_000);
});
