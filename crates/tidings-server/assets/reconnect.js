// When to come back after a lost connection.

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
const AFTER_OVERLOAD_MS = 10_000;

// Milliseconds to wait before attempt number `attempt` (from 0): doubles up to half a minute, and
// half of it is left to chance so that many pages do not come back at the same moment.
export function backoff(attempt, random = Math.random) {
  const reach = Math.min(FIRST_MS * 2 ** Math.min(attempt, 16), LONGEST_MS);
  return Math.round(reach / 2 + (random() * reach) / 2);
}

const FINAL = new Map([
  [1002, "The server and this page do not speak the same protocol. Reload the page."],
  [1007, "The server and this page do not speak the same protocol. Reload the page."],
  [1008, "The server refused what this page sent. Reload the page."],
  [1009, "The server refused a message as too large. Reload the page."],
  [4401, "The server asks for a sign-in. This page is open to everyone only while the server listens on this machine alone (a loopback address)."],
  [4403, "The right to watch this room was withdrawn."],
  [4409, "A newer connection took this one's place."],
]);

// What a close code of the server means for us: `retry` tells whether to come back, `atLeastMs`
// how long to stay away in any case, `message` why, in words for the visitor.
export function closeAdvice(code) {
  if (FINAL.has(code)) return { retry: false, atLeastMs: 0, message: FINAL.get(code) };
  if (code === 1012) return { retry: true, atLeastMs: 0, message: "The server is restarting." };
  if (code === 1013) return { retry: true, atLeastMs: AFTER_OVERLOAD_MS, message: "The server is overloaded." };
  if (code === 4429) return { retry: true, atLeastMs: AFTER_OVERLOAD_MS, message: "Too many messages; the server asked for a pause." };
  if (code === 4008) return { retry: true, atLeastMs: 0, message: "This page could not keep up." };
  return { retry: true, atLeastMs: 0, message: "The connection was lost." };
}
