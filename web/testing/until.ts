import { vi } from "vitest";

/** Waits until something holds, for several times as long as a busy machine stands still. */
export const until = (holds: () => unknown, timeout = 20_000) => vi.waitFor(holds, { timeout, interval: 10 });
