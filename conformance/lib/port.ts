import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

/** Above what services are known by, and above all that browsers refuse to ask. */
const LOWEST = 11_000;

/** Where the kernel's own begin, of which each connection takes one; as on Linux where that cannot be read. */
function firstOfTheKernel(): number {
  try {
    return parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"));
  } catch {
    return 32_768;
  }
}

/**
 * A port that is free, and stays so while nobody listens there: a server that is started again comes back to it.
 *
 * One that the kernel chose is taken for whatever connects somewhere next. Where all are the kernel's it is such a one.
 */
export async function ownPort(): Promise<number> {
  const end = firstOfTheKernel();
  for (let tries = 0; end > LOWEST && tries < 20; tries++) {
    const port = await free(randomInt(LOWEST, end));
    if (port !== undefined) return port;
  }
  return (await free(0)) as number;
}

/** The port, or one that the kernel chooses for 0; nothing if somebody listens there. */
function free(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const taken = createServer();
    taken.once("error", () => resolve(undefined));
    taken.listen(port, () => {
      const address = taken.address();
      taken.close(() => resolve(typeof address === "object" ? address?.port : undefined));
    });
  });
}
