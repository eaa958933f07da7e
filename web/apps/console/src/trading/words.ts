import { Refusal, type TradeRefusal } from "@tidings/client";
import { money, whole } from "../format.ts";

/** What a room refuses, for people. */
const WORDS: Record<TradeRefusal, string> = {
  not_a_member: "You are not a member of this room.",
  already_a_member: "One joins a room once: you are a member already, or left while it ran.",
  room_not_running: "This room is not running.",
  room_state: "The room does not stand so that this can be done.",
  room_busy: "A price is just being met. Try again.",
  room_full: "This room has as many members as it takes.",
  unknown_symbol: "This is not traded here.",
  no_price: "It has no price yet.",
  bad_tick: "The price does not go with this order or its steps.",
  bad_order: "The order cannot be read.",
  bad_size: "The quantity is outside of what is traded at once.",
  insufficient_cash: "There is not enough free cash.",
  insufficient_position: "There is not enough of it that is free to sell.",
  position_limit: "The position would be larger than it may be.",
  too_many_orders: "There are as many open orders as there may be.",
  rate_exceeded: "Orders come faster than this room takes them.",
  duplicate_client_order_id: "This order was placed before.",
  unknown_order: "There is no such order of yours.",
  already_cancelled: "It was cancelled before.",
  already_filled: "It was filled before.",
};

const isKnown = (code: string): code is TradeRefusal => Object.hasOwn(WORDS, code);

/** A refusal of a room in words, with the figures that it names. */
export function wordsOf(code: string, message: string): string {
  if (!isKnown(code)) return message;
  // A sentence without a figure says the same once more.
  return /\d/.test(message) ? `${WORDS[code]} (${message})` : WORDS[code];
}

/** A hundred days: no room runs longer (`DURATION_MOST_MS` of apps/trading/src/rules.rs). */
export const MINUTES_MOST = 144_000;

/** What the form of a new room asks for, by the server's names, and how it says what is expected there. */
const ASKED: Record<string, (expected: string) => string> = {
  name: (expected) => `Name: ${expected}`,
  startingCash: (expected) => `Cash to begin with: ${expected.replace(/\d+(\.\d+)?/g, money)}`,
  durationMs: (expected) =>
    `Minutes: ${expected.replace(/\d+/g, (ms) => whole(Math.ceil(Number(ms) / 60_000)))}`,
  instruments: (expected) => `Instruments: ${expected}`,
  symbol: (expected) => `Instruments: each of ${expected}`,
};

/** Of a new room, as its form calls what is refused. */
export function newRoomWords(error: unknown): string {
  const words = refusalWords(error);
  // What cannot be read is named by its whole path.
  const [, field = "", said = ""] = /^(?:rules\.)?(\w+): (.*)$/s.exec(words) ?? [];
  const asked = Object.hasOwn(ASKED, field) ? ASKED[field] : undefined;
  const [, expected] = /^expected (.*)$/s.exec(said) ?? [];
  if (asked && expected !== undefined) return asked(expected);
  // A figure so large that it is none to the server.
  return field === "durationMs" ? `Minutes: 1 to ${whole(MINUTES_MOST)}` : words;
}

/** The same of what was thrown: the room's own code stands before the sentence. */
export function refusalWords(error: unknown): string {
  if (!(error instanceof Refusal)) return error instanceof Error ? error.message : "It did not work.";
  const [, code = "", message = ""] = /^([a-z_]+): (.*)$/s.exec(error.message) ?? [];
  return isKnown(code) ? wordsOf(code, message) : error.message;
}
