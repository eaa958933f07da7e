/** The part of the browser's Web Locks that tabs use, for several tabs in one process. */
export class Locks {
  readonly #names = new Map<string, Lock>();

  request(
    name: string,
    options: { steal?: boolean; signal?: AbortSignal } | (() => unknown),
    held?: () => unknown,
  ): Promise<unknown> {
    const [{ steal = false, signal }, callback] =
      typeof options === "function" ? [{}, options] : [options, held ?? (() => {})];
    const lock = this.#names.get(name) ?? { holder: undefined, queue: [] };
    this.#names.set(name, lock);
    return new Promise((resolve, reject) => {
      const asked: Asked = { callback, resolve, reject };
      signal?.addEventListener("abort", () => {
        if (!lock.queue.includes(asked)) return;
        lock.queue.splice(lock.queue.indexOf(asked), 1);
        reject(new Error("aborted"));
      });
      if (!steal) lock.queue.push(asked);
      else {
        lock.holder?.reject(new Error("stolen"));
        lock.holder = undefined;
        lock.queue.unshift(asked);
      }
      this.#grant(lock);
    });
  }

  #grant(lock: Lock): void {
    if (lock.holder) return;
    const next = (lock.holder = lock.queue.shift());
    if (!next) return;
    const free = () => {
      if (lock.holder !== next) return;
      lock.holder = undefined;
      this.#grant(lock);
    };
    // As in a browser nobody holds it before `request` has returned.
    void Promise.resolve().then(next.callback).then(next.resolve, next.reject).finally(free);
  }
}

interface Asked {
  callback: () => unknown;
  resolve: (value: unknown) => void;
  reject: (reason: Error) => void;
}

interface Lock {
  holder: Asked | undefined;
  queue: Asked[];
}
