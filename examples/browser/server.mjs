// Serves the page and the Socket.IO client it imports, on http://localhost:8080.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const port = Number(process.env.PORT ?? 8080);

// Path in the browser: file and type. Nothing else is served.
const files = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/leaderboard": ["leaderboard.html", "text/html; charset=utf-8"],
  "/socket.io.js": ["node_modules/socket.io-client/dist/socket.io.esm.min.js", "text/javascript"],
};

const server = createServer(async (request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  const [file, type] = files[path] ?? [];
  if (!file) return response.writeHead(404).end("Not found\n");
  try {
    const body = await readFile(new URL(file, import.meta.url));
    response.writeHead(200, { "content-type": type }).end(body);
  } catch {
    response.writeHead(500).end(`Cannot read ${file}. Did you run "npm ci"?\n`);
  }
});

server.listen(port, "localhost", () => console.log(`open http://localhost:${port}`));
