import { useCallback, useSyncExternalStore } from "react";
import type { Client, LinkState } from "@tidings/client";
import { useClient } from "./provider.tsx";

/** The state of a client, watched. */
export function useLinkState(client: Client): LinkState {
  const watch = useCallback((watcher: () => void) => client.watch(watcher), [client]);
  return useSyncExternalStore(
    watch,
    () => client.state,
    () => client.state,
  );
}

/** How the connection of the provider's client is, and what can be done about it. */
export function useConnection() {
  const client = useClient();
  const { status, error } = useLinkState(client);
  const connect = useCallback(() => client.connect(), [client]);
  const disconnect = useCallback(() => client.disconnect(), [client]);
  return { status, connected: status === "connected", error, connect, disconnect };
}
