import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Packages are tested from their sources. */
const ssr = { resolve: { conditions: ["tidings-source", "node", "development|production"] } };

/** What a test may take, in milliseconds; each of its waits ends before. */
const PATIENCE_MS = 60_000;

export default defineConfig({
  test: {
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
        // Real browsers, one file after the other: two at once would measure each other.
        ssr,
        test: {
          name: "browser",
          include: ["apps/console/browser/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
