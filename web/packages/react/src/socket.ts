import { useCallback, useEffect, useMemo } from "react";
import { Client } from "@tidings/client";
import { useLinkState } from "./connection.ts";
import { useConnected } from "./provider.tsx";
import { useNewest } from "./room.ts";

export interface SocketHookOptions {
  token?: string | undefined;
  /** Connects by itself; true if not said. */
  autoConnect?: boolean;
  onConnect?: () => void;
  onDisconnect?: (reason: string) => void;
  onError?: (error: Error) => void;
  /** Where the server is; the page's own origin if it is not said. */
  url?: string;
}

/** A socket of this component's own: the official client's, with this client's reconnecting and renewal. */
export function useSocket({
  token,
  autoConnect = true,
  onConnect,
  onDisconnect,
  onError,
  url,
}: SocketHookOptions = {}) {
  const client = useMemo(
    () => new Client({ ...(token === undefined ? {} : { token }), ...(url === undefined ? {} : { url }) }),
    [token, url],
  );
  const { status, error } = useLinkState(client);
  useConnected(client, autoConnect);

  const connected = useNewest(onConnect);
  const lost = useNewest(onDisconnect);
  const failed = useNewest(onError);
  useEffect(() => {
    let was = client.state;
    return client.watch(() => {
      const before = was;
      was = client.state;
      if (was.status === "connected" && before.status !== "connected") connected();
      if (was.status !== "connected" && before.status === "connected") lost(was.error?.message ?? was.status);
      if (was.error && was.error !== before.error) failed(was.error);
    });
  }, [client, connected, lost, failed]);

  const connect = useCallback(() => client.connect(), [client]);
  const disconnect = useCallback(() => client.disconnect(), [client]);
  const emit = useCallback(
    (event: string, ...args: unknown[]) => void client.socket?.emit(event, ...args),
    [client],
  );
  const state = useMemo(
    () => ({
      connected: status === "connected",
      connecting: status === "connecting" || status === "reconnecting",
      error: error ?? null,
    }),
    [status, error],
  );
  return { socket: client.socket ?? null, state, connect, disconnect, emit };
}

/** What `useSocket` hands out as `socket`, and what `usePresence` takes. */
export type HookSocket = ReturnType<typeof useSocket>["socket"];
