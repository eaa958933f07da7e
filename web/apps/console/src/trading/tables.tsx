import type { LeaderboardEntry, OrderFailed, PositionUpdated, TradeRoomView } from "@tidings/client";
import type { OpenOrder } from "@tidings/client/trading";
import { useState } from "react";
import { at, gain, money, percent } from "../format.ts";
import { Card, Mark, Note, Table } from "../ui.tsx";
import type { Fill } from "./fills.ts";
import { refusalWords, wordsOf } from "./words.ts";

/** A profit with its sign and colour. */
export const Gain = ({ of: amount }: { of: string }) => (
  <span className={amount.startsWith("-") ? "down" : "up"}>{gain(amount)}</span>
);

export type Position = Pick<
  PositionUpdated,
  "symbol" | "quantity" | "averagePrice" | "markPrice" | "unrealisedPnl"
>;

/** What one holds. */
export function Positions({ positions }: { positions: Position[] }) {
  return (
    <Card title="Positions">
      {positions.length === 0 ? (
        <Note>You hold nothing but cash.</Note>
      ) : (
        <Table caption="Positions" head={["Instrument", "Quantity", "Bought at", "Price", "Profit"]}>
          {positions.map(({ symbol, quantity, averagePrice, markPrice, unrealisedPnl }) => (
            <tr key={symbol}>
              <th scope="row">{symbol}</th>
              <td>{money(quantity)}</td>
              <td>{money(averagePrice)}</td>
              <td>{money(markPrice)}</td>
              <td>
                <Gain of={unrealisedPnl} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

/** Orders that wait, each with a way to take it back. */
export function OpenOrders(props: { orders: OpenOrder[]; cancel: (orderId: string) => Promise<unknown> }) {
  const { orders, cancel } = props;
  const [busy, setBusy] = useState<string>();
  const [refused, refuse] = useState<string>();
  const take = async (orderId: string) => {
    setBusy(orderId);
    refuse(undefined);
    await cancel(orderId).catch((error: unknown) => refuse(refusalWords(error)));
    setBusy(undefined);
  };
  return (
    <Card title="Open orders">
      {orders.length === 0 ? (
        <Note>None of your orders waits.</Note>
      ) : (
        <Table caption="Open orders" head={["Order", "What", "Left", "At", "Do"]}>
          {orders.map((order) => (
            <tr key={order.orderId}>
              <th scope="row">{order.orderId}</th>
              <td>
                {order.side} {order.symbol}
              </td>
              <td>
                {money(order.remaining)} of {money(order.quantity)}
              </td>
              <td>{conditionOf(order)}</td>
              <td>
                <button
                  type="button"
                  className="danger"
                  disabled={busy === order.orderId}
                  onClick={() => void take(order.orderId)}
                >
                  Cancel<span className="quiet"> order {order.orderId}</span>
                </button>
              </td>
            </tr>
          ))}
        </Table>
      )}
      <p role="alert" className="refused">
        {refused}
      </p>
    </Card>
  );
}

function conditionOf({ type, price, stopPrice }: OpenOrder): string {
  const limit = price == null ? "any price" : money(price);
  return type === "stop" ? `${limit}, once at ${money(stopPrice ?? "")}` : limit;
}

/** Fills that are shown. */
const SHOWN = 10;

/** Everything that one's orders have come to. */
interface Orders {
  fills: Fill[];
  failures: OrderFailed[];
  open: OpenOrder[];
}

/** The newest order that could not be done, until one behind it was taken: then it is of the past. */
function useFailure({ fills, failures, open }: Orders): OrderFailed | undefined {
  const newest = Math.max(0, ...[...fills, ...open].map(({ orderId }) => Number(orderId.slice(1))));
  const [failure] = failures;
  // What failed before anybody looked here is of the past as well.
  const [seen, see] = useState({ failure, newest: -1 });
  if (failure !== seen.failure) see({ failure, newest });
  return newest <= seen.newest ? failure : undefined;
}

/** What was filled, and what could not be done. */
export function Happened(orders: Orders) {
  const { fills } = orders;
  const failure = useFailure(orders);
  return (
    <Card title="Filled" aside={fills.length > SHOWN ? `the newest ${SHOWN}` : undefined}>
      {fills.length === 0 && <Note>Nothing was filled yet.</Note>}
      {fills.length > 0 && (
        <Table caption="Filled" head={["Order", "What", "Quantity", "Price", "Fee", "When"]}>
          {fills.slice(0, SHOWN).map((fill) => (
            <tr key={fill.messageId}>
              <th scope="row">{fill.orderId}</th>
              <td>
                {fill.side} {fill.symbol}
              </td>
              <td>{money(fill.quantity)}</td>
              <td>{money(fill.price)}</td>
              <td>{money(fill.fee)}</td>
              <td>{at(fill.executedAt)}</td>
            </tr>
          ))}
        </Table>
      )}
      {failure && (
        <p className="empty">
          <Mark kind="bad">failed</Mark> {wordsOf(failure.reason.code, failure.reason.message)}
        </p>
      )}
    </Card>
  );
}

/** Where everybody stands. */
export function Standings(props: {
  room: TradeRoomView;
  standings: LeaderboardEntry[];
  me: string | undefined;
}) {
  const { room, standings, me } = props;
  const isPart = room.rules.ranking?.measure !== "absolute";
  const began = room.state === "running" || room.state === "ended";
  return (
    <Card title="Standings" aside={room.state === "ended" ? "final" : `${room.members} in the room`}>
      {!began || standings.length === 0 ? (
        <Note>{began ? "Nobody is in this room." : "Trading has not begun."}</Note>
      ) : (
        <Table caption="Standings" head={["Place", "Member", "Return", "Worth"]}>
          {standings.map((entry) => (
            <tr key={entry.userId} aria-current={entry.userId === me || undefined}>
              <td>{entry.rank}</td>
              <th scope="row">{entry.name}</th>
              <td>{isPart ? percent(entry.value) : money(entry.value)}</td>
              <td>{money(entry.portfolioValue)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}
