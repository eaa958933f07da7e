import { useLayoutEffect, useRef, type RefObject } from "react";

const MOVE_MS = 450;
const EASE = "cubic-bezier(0.2, 0.8, 0.2, 1)";

/**
 * Lets the rows of a list glide from where they were to where they are.
 *
 * Each row has `data-row`, by which it is known again. It is the compositor that moves them, so a list that changes often
 * costs no layout between changes. Who wants less motion sees the rows in their new place at once.
 */
export function useFlip(list: RefObject<HTMLElement | null>, changed: unknown): void {
  const before = useRef(new Map<string, number>());
  useLayoutEffect(() => {
    if (!list.current) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const rows = [...list.current.querySelectorAll<HTMLElement>("[data-row]")];
    // Everything is measured before anything is moved: one layout for all.
    const now = new Map(rows.map((row) => [row.dataset["row"] ?? "", row.offsetTop]));
    if (!still) {
      for (const row of rows) {
        const name = row.dataset["row"] ?? "";
        const from = before.current.get(name);
        const by = from === undefined ? undefined : from - (now.get(name) ?? from);
        if (by === undefined) fadeIn(row, before.current.size > 0);
        else if (by !== 0) glide(row, by);
      }
    }
    before.current = now;
  }, [list, changed]);
}

function glide(row: HTMLElement, by: number): void {
  row.getAnimations().forEach((animation) => animation.cancel());
  row.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], {
    duration: MOVE_MS,
    easing: EASE,
  });
}

function fadeIn(row: HTMLElement, wanted: boolean): void {
  if (wanted) row.animate([{ opacity: 0 }, { opacity: 1 }], { duration: MOVE_MS, easing: EASE });
}
