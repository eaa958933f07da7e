import { after, test } from "node:test";

/** True when the fixture is the Node reference server instead of ours. */
export const REFERENCE = process.env["REFERENCE"] === "1";

/** Test names on which the reference is known to fail, each with what it does instead. */
export type BetterThanReference = Record<string, string>;

export type Fact = (name: string, check: () => Promise<void>) => void;

/**
 * Makes the `test` of a file whose table `better` lists where we are deliberately not like the reference.
 *
 * Against the reference a listed test must fail, so that the list itself is checked; a listed name without a
 * test is a failure anywhere.
 */
export function facts(better: BetterThanReference = {}): Fact {
  const unused = new Set(Object.keys(better));
  after(() => {
    if (unused.size > 0) throw new Error(`listed, but there is no such test: ${[...unused].join("; ")}`);
  });
  return (name, check) => {
    const reason = better[name];
    unused.delete(name);
    const expectFailure = REFERENCE && reason !== undefined;
    test(expectFailure ? `${name} (not the reference: ${reason})` : name, () =>
      expectFailure ? mustFail(check) : check(),
    );
  };
}

async function mustFail(check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch {
    return;
  }
  throw new Error("the reference passes this test: strike it from the list");
}
