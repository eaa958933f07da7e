/** A clock that is looked at so often; what is later than the slack was not running meanwhile. */
const TICK_MS = 2_000;
const SLACK_MS = 5_000;

/** What `watchSleep` looks at; another one is for tests. */
export interface Surroundings {
  now: () => number;
  document?: EventTarget & { visibilityState?: string };
  window?: EventTarget;
}

const HERE: Surroundings = {
  now: Date.now,
  ...(typeof document === "undefined" ? {} : { document }),
  ...(typeof window === "undefined" ? {} : { window }),
};

/**
 * Calls `woke` when this page may have missed something because it did not run.
 *
 * Machines sleep, tabs are suspended, and pages come back out of the browser's cache: a socket that looks open then is
 * often dead, and timers that would notice have not run either. Answers what ends the watch.
 */
export function watchSleep(woke: () => void, { now, document, window }: Surroundings = HERE): () => void {
  let seen = now();
  const tick = setInterval(() => {
    const slept = now() - seen > TICK_MS + SLACK_MS;
    seen = now();
    if (slept) woke();
  }, TICK_MS);
  (tick as { unref?: () => void }).unref?.();

  const shown = () => {
    if (document?.visibilityState !== "hidden") woke();
  };
  const restored = (event: Event) => {
    if ((event as PageTransitionEvent).persisted) woke();
  };
  document?.addEventListener("visibilitychange", shown);
  document?.addEventListener("resume", woke);
  window?.addEventListener("online", woke);
  window?.addEventListener("pageshow", restored);
  return () => {
    clearInterval(tick);
    document?.removeEventListener("visibilitychange", shown);
    document?.removeEventListener("resume", woke);
    window?.removeEventListener("online", woke);
    window?.removeEventListener("pageshow", restored);
  };
}
