import { useEffect, useReducer, useState, type ComponentType } from "react";
import { useConnection } from "@tidings/react";
import { Head, Note } from "./ui.tsx";

/** What loads each page that is not there yet. */
const missing = new Set<() => Promise<void>>();

/** Loads all pages that are not there, one after the other; those that do not come are left for the next time. */
async function loadRest(): Promise<void> {
  for (const load of [...missing]) await load().catch(() => {});
}

/**
 * A page that is loaded when it is opened, or is about to be; behind the first one all others are loaded as well.
 *
 * So there is something to show while the server is away. The router's own way to load pages loads the whole document again if
 * one does not come, which leaves nothing of the console where there is no server.
 */
export function later<Module extends Record<string, unknown>>(
  load: () => Promise<Module>,
  name: keyof Module & string,
) {
  let Page: ComponentType | undefined;
  const fetchPage = async () => {
    Page ??= (await load())[name] as ComponentType;
    missing.delete(fetchPage);
  };
  missing.add(fetchPage);

  function Later() {
    const { status, connected } = useConnection();
    const [, show] = useReducer((times: number) => times + 1, 0);
    const [failed, fail] = useState(false);
    // Again with each change of the connection: when it is back, so is what can be loaded.
    useEffect(() => {
      const here = Page ? Promise.resolve() : fetchPage().then(show, () => fail(true));
      if (connected) void here.then(loadRest);
    }, [status, connected]);
    if (Page) return <Page />;
    if (!failed) return <Note>Reading …</Note>;
    return <Missing connected={connected} retry={() => fetchPage().then(show)} />;
  }
  Later.preload = () => fetchPage().catch(() => {});
  return Later;
}

/** What stands where a page is not. */
function Missing({ connected, retry }: { connected: boolean; retry: () => Promise<void> }) {
  if (!connected)
    return (
      <>
        <Head title="Reconnecting …" />
        <Note>The server does not answer. This page is shown as soon as it does.</Note>
      </>
    );
  return (
    <>
      <Head title="This page was not loaded" />
      <Note>The server may have another version by now.</Note>
      <div className="actions">
        <button type="button" onClick={() => void retry().catch(loadAnew)}>
          Try again
        </button>
      </div>
    </>
  );
}

/** Loads the console as the server has it now, if there is one: without one nothing would be left of it. */
async function loadAnew(): Promise<void> {
  const { ok } = await fetch("/", { cache: "no-store" }).catch(() => ({ ok: false }));
  if (ok) location.reload();
}
