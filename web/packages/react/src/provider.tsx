import { createContext, useContext, useEffect, useMemo, type ReactNode } from "react";
import { Client, type ClientOptions } from "@tidings/client";

const Here = createContext<Client | undefined>(undefined);

/**
 * Gives the hooks below it a client: one that is handed in, or one that is made here and connected while this is
 * mounted. Options count when it is first rendered.
 */
export function TidingsProvider(props: {
  client?: Client;
  options?: ClientOptions;
  children?: ReactNode;
}): ReactNode {
  const { client, children } = props;
  return client ? (
    <Here value={client}>{children}</Here>
  ) : (
    <Own options={props.options ?? {}}>{children}</Own>
  );
}

function Own({ options, children }: { options: ClientOptions; children?: ReactNode }): ReactNode {
  // eslint-disable-next-line react-hooks/exhaustive-deps -- a new object with each render is not a new client
  const client = useMemo(() => new Client(options), []);
  useConnected(client, true);
  return <Here value={client}>{children}</Here>;
}

/** The client of the provider above; throws where there is none. */
export function useClient(): Client {
  const client = useContext(Here);
  if (!client) throw new Error("there is no TidingsProvider above this component");
  return client;
}

const users = new WeakMap<Client, number>();

/**
 * Keeps a client connected while the component is mounted.
 *
 * Under StrictMode a component is mounted, unmounted and mounted again at once: the end is put off to the next turn of
 * the event loop, and does not come if somebody is there again.
 */
export function useConnected(client: Client, wanted: boolean): void {
  useEffect(() => {
    if (!wanted) return;
    users.set(client, (users.get(client) ?? 0) + 1);
    client.connect();
    return () => {
      users.set(client, (users.get(client) ?? 0) - 1);
      setTimeout(() => users.get(client) === 0 && client.disconnect(), 0);
    };
  }, [client, wanted]);
}
