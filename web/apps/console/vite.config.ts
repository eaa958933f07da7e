import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Where `npm run dev` sends what is for the server. */
const server = process.env["TIDINGS_URL"] ?? "http://127.0.0.1:3000";
const proxied = ["/api", "/socket.io", "/healthz", "/readyz", "/host", "/account", "/assets"];

export default defineConfig({
  plugins: [react()],
  resolve: { conditions: ["tidings-source", "module", "browser", "development|production"] },
  build: {
    // Beside `/assets`, which belongs to the pages without a build step.
    assetsDir: "console",
    // Nothing is put into the page itself: its policy forbids it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2023",
  },
  server: {
    proxy: Object.fromEntries(proxied.map((path) => [path, { target: server, ws: path === "/socket.io" }])),
  },
});
