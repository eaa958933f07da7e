import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Packages are tested from their sources. */
const ssr = { resolve: { conditions: ["tidings-source", "node", "development|production"] } };

export default defineConfig({
  test: {
    projects: [
      { ssr, test: { name: "client", include: ["packages/client/test/**/*.test.ts"], testTimeout: 20_000 } },
      {
        plugins: [react()],
        ssr,
        test: {
          name: "react",
          include: ["packages/react/test/**/*.test.{ts,tsx}"],
          environment: "./testing/dom.ts",
          setupFiles: ["./testing/strict.ts"],
        },
      },
      {
        plugins: [react()],
        ssr,
        test: {
          name: "console",
          include: ["apps/console/test/**/*.test.{ts,tsx}"],
          environment: "./testing/dom.ts",
        },
      },
      {
        // Real browsers, one file after the other: two at once would measure each other.
        ssr,
        test: {
          name: "browser",
          include: ["apps/console/browser/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
