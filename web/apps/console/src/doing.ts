import { useCallback, useEffect, useRef, useState } from "react";

/** Puts the focus on the page, for whom what had it is gone. */
export const focusPage = () => document.getElementById("main")?.focus({ preventScroll: true });

/**
 * Whether something is being done, and what does it.
 *
 * A button that cannot be pressed meanwhile loses the focus. Who works by keyboard has it again afterwards, or has the page
 * where the button is gone.
 */
export function useDoing(): [busy: boolean, doing: (deed: () => Promise<void>) => Promise<void>] {
  const [busy, setBusy] = useState(false);
  const held = useRef<Element | null>(null);
  useEffect(() => {
    if (busy || held.current === null) return;
    const before = held.current;
    held.current = null;
    if (document.activeElement !== document.body) return;
    if (before.isConnected) (before as HTMLElement).focus({ preventScroll: true });
    else focusPage();
  }, [busy]);
  const doing = useCallback(async (deed: () => Promise<void>) => {
    held.current = document.activeElement;
    setBusy(true);
    await deed().finally(() => setBusy(false));
  }, []);
  return [busy, doing];
}
