/** What turns pages may be clicked as fast as one likes. */
const FAST = "[data-fast]";

/**
 * Keeps the second click of a double click from buttons: it would do the same once more, or do what has come under the
 * pointer since the first, as *Start trading* does where *Open to members* was.
 */
export function takeDoubleClicksAsOne(): void {
  // Before anything in the page hears it.
  addEventListener(
    "click",
    (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      if (event.detail < 2 || !button || button.matches(FAST)) return;
      event.preventDefault();
      event.stopPropagation();
    },
    { capture: true },
  );
}
