import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Packages are tested from their sources. */
const resolve = { conditions: ["tidings-source", "module", "browser", "development|production"] };
const ssr = { resolve: { conditions: ["tidings-source", "node", "development|production"] } };

export default defineConfig({
  test: {
    projects: [
      { ssr, test: { name: "client", include: ["packages/client/test/**/*.test.ts"], testTimeout: 20_000 } },
      {
        plugins: [react()],
        resolve,
        test: { name: "react", include: ["packages/react/test/**/*.test.tsx"], environment: "jsdom" },
      },
      {
        plugins: [react()],
        resolve,
        test: { name: "console", include: ["apps/console/test/**/*.test.{ts,tsx}"], environment: "jsdom" },
      },
      {
        // Real browsers, one file after the other: two at once would measure each other.
        ssr,
        test: {
          name: "browser",
          include: ["apps/console/browser/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
