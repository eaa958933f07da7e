/** What every wait in these tests is bounded by, in milliseconds, unless it says otherwise. */
export const DEADLINE = 5_000;

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

  /** Takes items until one fits, and throws the others away. */
  async until(fits: (item: T) => boolean, what = "fitting item"): Promise<T> {
    for (;;) {
      const item = await this.next(what);
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
