import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Packages are tested from their sources. */
const ssr = { resolve: { conditions: ["tidings-source", "node", "development|production"] } };

/** What a test may take, in milliseconds; each of its waits ends before. */
const PATIENCE_MS = 60_000;

export default defineConfig({
  test: {
    // Most of a test's time is waiting. Who measures takes one: two at once would measure each other.
    maxWorkers: 2,
    projects: [
      {
        ssr,
        test: { name: "client", include: ["packages/client/test/**/*.test.ts"], testTimeout: PATIENCE_MS },
      },
      {
        plugins: [react()],
        ssr,
        test: {
          name: "react",
          include: ["packages/react/test/**/*.test.{ts,tsx}"],
          environment: "./testing/dom.ts",
          setupFiles: ["./testing/strict.ts", "./testing/patience.ts"],
          testTimeout: PATIENCE_MS,
        },
      },
      {
        plugins: [react()],
        ssr,
        test: {
          name: "console",
          include: ["apps/console/test/**/*.test.{ts,tsx}"],
          environment: "./testing/dom.ts",
          setupFiles: ["./testing/patience.ts"],
          testTimeout: PATIENCE_MS,
        },
      },
      {
        ssr,
        test: {
          name: "browser",
          include: ["apps/console/browser/**/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
