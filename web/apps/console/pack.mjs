// Compresses what was built and lists it for the server, which takes it in when it is built: see build.rs there.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const DIST = new URL("dist/", import.meta.url).pathname;
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
// Below this a compressed form is hardly smaller.
const SMALLEST = 512;

const files = readdirSync(DIST, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && extname(entry.name) in TYPES)
  .map((entry) => join(entry.parentPath, entry.name).slice(DIST.length))
  .sort();

const lines = files.map((path) => {
  const bytes = readFileSync(join(DIST, path));
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 32);
  const forms = [];
  if (bytes.length >= SMALLEST) {
    const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
    writeFileSync(join(DIST, `${path}.br`), brotliCompressSync(bytes, quality));
    writeFileSync(join(DIST, `${path}.gz`), gzipSync(bytes, { level: 9 }));
    forms.push("br", "gz");
  }
  return [path, TYPES[extname(path)], hash, forms.join(" ")].join("\t");
});
writeFileSync(join(DIST, "pack.tsv"), `${lines.join("\n")}\n`);
console.log(`${lines.length} files for the server`);
