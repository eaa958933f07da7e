import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

/**
 * The digest of an account, as the server tells it: of its user, its cash, and a line for each position by symbol.
 *
 * Symbols are of capitals, digits and `._-/`, so they have one order in every language.
 */
export function digestOf(
  userId: string,
  cash: string,
  positions: Iterable<{ symbol: string; quantity: string }>,
): string {
  const held = [...positions].map(({ symbol, quantity }) => `${symbol} ${quantity}\n`).sort();
  return bytesToHex(sha256(utf8ToBytes(`${userId}\n${cash}\n${held.join("")}`)));
}
