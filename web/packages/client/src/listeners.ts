/** Who wants to hear what, by name. Calls go to those who were there when it happened. */
export class Listeners<Heard extends Record<keyof Heard, unknown[]>> {
  readonly #all = new Map<keyof Heard, Set<(said: unknown[]) => void>>();

  /** Adds a listener; answers what takes it away again. */
  on<Name extends keyof Heard>(name: Name, listener: (...said: Heard[Name]) => void): () => void {
    // One entry for each call: a listener that was added twice is called twice, and taken away once.
    const mine = (said: unknown[]) => listener(...(said as Heard[Name]));
    let those = this.#all.get(name);
    if (!those) this.#all.set(name, (those = new Set()));
    those.add(mine);
    return () => {
      those.delete(mine);
      if (those.size === 0 && this.#all.get(name) === those) this.#all.delete(name);
    };
  }

  /** Calls everybody who listens; one that throws keeps nobody else from hearing, and is reported. */
  tell<Name extends keyof Heard>(name: Name, ...said: Heard[Name]): void {
    for (const listener of [...(this.#all.get(name) ?? [])]) {
      try {
        listener(said);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** A value that is replaced as a whole, and those who watch it: the shape `useSyncExternalStore` wants. */
export class Watched<Value extends object> {
  #value: Value;
  readonly #watchers = new Listeners<{ change: [] }>();

  constructor(value: Value) {
    this.#value = value;
  }

  get value(): Value {
    return this.#value;
  }

  /** Calls `watcher` after each change; answers what ends that. */
  watch(watcher: () => void): () => void {
    return this.#watchers.on("change", watcher);
  }

  /** Changes some of it, and tells if anything is another value than before. */
  set(changes: Partial<Value>): void {
    const names = Object.keys(changes) as (keyof Value)[];
    if (names.every((name) => Object.is(this.#value[name], changes[name]))) return;
    this.#value = { ...this.#value, ...changes };
    this.#watchers.tell("change");
  }
}
