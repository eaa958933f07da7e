import { useCallback, useEffect, useSyncExternalStore } from "react";
import { kept, type DroppedBy, type KeptState } from "@tidings/client";
import { useClient } from "./provider.tsx";

const NOTHING: KeptState<never> = { data: undefined, error: undefined, fresh: false };

/**
 * The answer to a GET of the HTTP API, read again when events of its room say that it is old.
 *
 * What was read before is there at once, until it is known to be fresh. Without a path nothing is read.
 */
export function useKept<Answer>(path: string | undefined, { room, events }: DroppedBy): KeptState<Answer> {
  const client = useClient();
  const key = JSON.stringify(events);
  // Looked for anew with each render, since one that nobody looks at may be forgotten; it is the same until then.
  const find = useCallback(
    () =>
      path === undefined
        ? undefined
        : kept<Answer>(client, path, {
            room,
            ...(key === undefined ? {} : { events: JSON.parse(key) as string[] }),
          }),
    [client, path, room, key],
  );
  const watch = useCallback((watcher: () => void) => find()?.watch(watcher) ?? (() => {}), [find]);
  useEffect(() => find()?.enter(), [find]);
  const read = () => find()?.state ?? NOTHING;
  return useSyncExternalStore(watch, read, read);
}
