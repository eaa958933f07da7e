/** What every wait in these tests is bounded by, in milliseconds, unless it says otherwise. */
export const DEADLINE = 10_000;

/** Rejects with `what` when `promise` is not settled within `ms`. */
export async function within<T>(promise: Promise<T>, what: string, ms = DEADLINE): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again and again until `look` finds something, which it answers; fails with `what` after `ms`. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  ms = DEADLINE,
): Promise<T> {
  for (const end = performance.now() + ms; ;) {
    // A machine that stood still meanwhile is over the time, too: it has looked behind that.
    const isLast = performance.now() > end;
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (isLast) throw new Error(`${what}: nothing within ${ms} ms`);
    await pause(10);
  }
}

/** Lets `ms` pass: a stimulus of the tests that are about time, never a way to wait for something. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Everything that was pushed, in order, handed out one by one to whoever asks. */
export class Inbox<T> {
  readonly #ready: T[] = [];
  readonly #asking: ((item: T) => void)[] = [];
  #listener: ((item: T) => void) | undefined;

  /** Adds an item behind all others. */
  push(item: T): void {
    if (this.#listener) return this.#listener(item);
    const ask = this.#asking.shift();
    if (ask) ask(item);
    else this.#ready.push(item);
  }

  /** Takes the oldest item; fails after `ms`. */
  next(what = "next item", ms = DEADLINE): Promise<T> {
    if (this.#ready.length > 0) return Promise.resolve(this.#ready.shift() as T);
    let ask!: (item: T) => void;
    const asked = new Promise<T>((resolve) => this.#asking.push((ask = resolve)));
    return within(asked, what, ms).catch((error: unknown) => {
      const place = this.#asking.indexOf(ask);
      if (place >= 0) this.#asking.splice(place, 1);
      throw error;
    });
  }

  /** Takes the oldest `count` items. */
  async take(count: number, what = "item"): Promise<T[]> {
    const items: T[] = [];
    while (items.length < count) items.push(await this.next(`${what} ${items.length + 1} of ${count}`));
    return items;
  }

  /** Takes items until one fits, and throws the others away; fails when none fits within `ms`, however many come. */
  async until(fits: (item: T) => boolean, what = "fitting item", ms = DEADLINE): Promise<T> {
    for (const end = performance.now() + ms; ;) {
      const item = await this.next(what, Math.max(end - performance.now(), 0));
      if (fits(item)) return item;
    }
  }

  /** Hands what is there and all that will come to `listener` from now on. */
  each(listener: (item: T) => void): void {
    this.#listener = listener;
    this.drain().forEach(listener);
  }

  /** Takes what is there already. */
  drain(): T[] {
    return this.#ready.splice(0);
  }
}
