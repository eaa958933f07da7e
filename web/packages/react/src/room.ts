import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import {
  followed,
  type EventData,
  type EventName,
  type Place,
  type PublishOptions,
  type Room,
  type RoomState,
  type Rules,
} from "@tidings/client";
import { useClient } from "./provider.tsx";

const NOWHERE: RoomState = {
  status: "idle",
  error: undefined,
  snapshot: undefined,
  presence: undefined,
  gap: undefined,
  position: undefined,
};
const nothing = () => () => {};

/** The newest version of a function: effects that use it need not begin anew when it changes. */
export function useNewest<Args extends unknown[]>(
  newest: ((...args: Args) => void) | undefined,
): (...args: Args) => void {
  const kept = useRef(newest);
  useEffect(() => {
    kept.current = newest;
  });
  return useCallback((...args: Args) => kept.current?.(...args), []);
}

/** A room by name; `undefined` is no room. */
export function useRoomOf(name: string | undefined): Room | undefined {
  const client = useClient();
  return useMemo(() => (name === undefined ? undefined : client.room(name)), [client, name]);
}

/**
 * Is in a room while the component is mounted. `rewind` events come first, `onEvent` hears all of them.
 *
 * Several components in one room share one subscription; `rewind` is that of the first.
 */
export function useRoom(
  name: string | undefined,
  {
    rewind,
    afresh = false,
    onEvent,
  }: {
    rewind?: number;
    afresh?: boolean;
    onEvent?: (event: string, data: unknown, place: Place) => void;
  } = {},
) {
  const client = useClient();
  const room = useRoomOf(name);
  const state = useRoomState(room);
  const hear = useNewest(onEvent);
  const kept = useRef(rewind);
  useEffect(() => {
    if (!room) return;
    // First the ear, then the door: what is rewound comes at once.
    const deaf = room.on("*", (data, place, event) => hear(event, data, place));
    const leave = room.enter({ ...(kept.current === undefined ? {} : { rewind: kept.current }), afresh });
    return () => {
      leave();
      deaf();
    };
  }, [room, hear, afresh]);
  const publish = useCallback(
    (event: string, data: unknown, options?: PublishOptions) =>
      client.publish(name ?? "", event, data, options),
    [client, name],
  );
  return { ...state, live: state.status === "live", room, publish };
}

/** What is known of a room, without being in it. */
export function useRoomState(room: Room | undefined): RoomState {
  const watch = useMemo(() => (room ? (watcher: () => void) => room.watch(watcher) : nothing), [room]);
  const read = () => room?.state ?? NOWHERE;
  return useSyncExternalStore(watch, read, read);
}

/** What a room amounts to by rules, which have to be the same object with each render; without being in it. */
export function useFollowed<State extends object>(room: Room | undefined, rules: Rules<State>): State {
  const value = useMemo(() => room && followed(room, rules), [room, rules]);
  const watch = useMemo(() => (value ? (watcher: () => void) => value.watch(watcher) : nothing), [value]);
  const read = () => value?.state ?? rules.empty;
  return useSyncExternalStore(watch, read, read);
}

/** Is in a room while the component is mounted, and hears events of one name. */
export function useEvent<Name extends EventName>(
  room: string | undefined,
  event: Name,
  listener: (data: EventData<Name>, place: Place) => void,
): void;
export function useEvent(
  room: string | undefined,
  event: string,
  listener: (data: unknown, place: Place) => void,
): void;
export function useEvent(
  name: string | undefined,
  event: string,
  listener: (data: never, place: Place) => void,
): void {
  const room = useRoomOf(name);
  const hear = useNewest(listener as (data: unknown, place: Place) => void);
  useEffect(() => {
    if (!room) return;
    const deaf = room.on(event, (data: unknown, place: Place) => hear(data, place));
    const leave = room.enter();
    return () => {
      leave();
      deaf();
    };
  }, [room, event, hear]);
}
