import { useState, type FormEvent } from "react";
import type { TradeRules } from "@tidings/client";
import type { OrderExecuted } from "@tidings/client";
import type { OpenOrder, Order } from "@tidings/client/trading";
import { useDoing } from "../doing.ts";
import { fieldOf } from "../form.ts";
import { whole } from "../format.ts";
import { Card, Choice } from "../ui.tsx";
import { refusalWords } from "./words.ts";

const TYPES = { market: "Market", limit: "Limit", stop: "Stop" } as const;
type Type = keyof typeof TYPES;
const SIDES = { buy: "Buy", sell: "Sell" } as const;
type Side = keyof typeof SIDES;

/** What became of the newest order: an answer, or a refusal in words. */
type Said = { orderId: string; status: string; remainingQuantity: string } | { refused: string };

/** Places orders. */
export function Ticket(props: {
  rules: TradeRules;
  symbol: string;
  choose: (symbol: string) => void;
  left: number | undefined;
  open: OpenOrder[];
  fills: OrderExecuted[];
  place: (order: Order) => Promise<{ orderId: string; status: string; remainingQuantity: string }>;
}) {
  const { rules, symbol, choose, left, open, fills, place } = props;
  const [type, setType] = useState<Type>("market");
  const [side, setSide] = useState<Side>("buy");
  const [said, say] = useState<Said>();
  const [busy, doing] = useDoing();
  const instrument = rules.instruments.find((one) => one.symbol === symbol);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const order = orderOf(event.currentTarget, { symbol, side, type });
    return doing(async () => {
      say(undefined);
      try {
        say(await place(order));
      } catch (error) {
        say({ refused: refusalWords(error) });
      }
    });
  };
  return (
    <Card
      title="Order"
      aside={
        left === undefined ? undefined : `${whole(left)} of ${whole(rules.orderBurst ?? 20)} orders left`
      }
    >
      <form className="ticket" onSubmit={(event) => void submit(event)}>
        <fieldset>
          <legend className="quiet">Side</legend>
          {Object.entries(SIDES).map(([name, title]) => (
            <label key={name} className={name}>
              <input
                type="radio"
                name="side"
                value={name}
                checked={side === name}
                onChange={() => setSide(name as Side)}
              />
              {title}
            </label>
          ))}
        </fieldset>
        <Choice
          label="Instrument"
          shown
          value={symbol}
          set={choose}
          of={rules.instruments.map((one) => [one.symbol, one.symbol])}
        />
        <Choice label="Type" shown value={type} set={setType} of={Object.entries(TYPES)} />
        <Amount name="quantity" label={`Quantity (steps of ${instrument?.lotSize ?? "1"})`} required />
        {/* A price is of one instrument, and says another thing of each type: none is taken along. */}
        {type === "stop" && (
          <Amount key={`stopPrice ${symbol}`} name="stopPrice" label="Stop price" required />
        )}
        {type !== "market" && (
          <Amount
            key={`price ${type} ${symbol}`}
            name="price"
            label={type === "stop" ? "Limit, if there is one" : "Price"}
            required={type === "limit"}
          />
        )}
        <button type="submit" disabled={busy} className={side}>
          {SIDES[side]} {symbol}
        </button>
      </form>
      <p role="status" className="said">
        {said && "orderId" in said && <Stands answer={said} open={open} fills={fills} />}
      </p>
      <p role="alert" className="refused">
        {said && "refused" in said && said.refused}
      </p>
    </Card>
  );
}

/** How an order stands: as it was answered, and from when the room tells of it as that tells. */
function Stands(props: {
  answer: Exclude<Said, { refused: string }>;
  open: OpenOrder[];
  fills: OrderExecuted[];
}) {
  const { answer, open, fills } = props;
  const { orderId, status } = answer;
  const waiting = open.find((one) => one.orderId === orderId);
  // The answer may come before the room tells that it waits.
  const [told, tell] = useState<string>();
  if (waiting && told !== orderId) tell(orderId);
  if (status !== "open") return `Order ${orderId} is ${status}.`;
  if (fills.some((fill) => fill.orderId === orderId && fill.remaining === "0"))
    return `Order ${orderId} is filled.`;
  if (!waiting && told === orderId) return `Order ${orderId} waits no more.`;
  return `Order ${orderId} is open, ${waiting?.remaining ?? answer.remainingQuantity} of it waits.`;
}

function Amount({ name, label, required }: { name: string; label: string; required: boolean }) {
  return (
    <label>
      {label}
      <input
        name={name}
        inputMode="decimal"
        autoComplete="off"
        pattern="\s*\d+(\.\d+)?\s*"
        title="A number such as 12 or 0.5"
        required={required}
      />
    </label>
  );
}

/** What stands in the form; what is not asked for is not said. */
function orderOf(form: HTMLFormElement, chosen: Pick<Order, "symbol" | "side" | "type">): Order {
  const fields = new FormData(form);
  const [price, stopPrice] = [fieldOf(fields, "price"), fieldOf(fields, "stopPrice")];
  return {
    ...chosen,
    quantity: fieldOf(fields, "quantity"),
    ...(price === "" ? {} : { price }),
    ...(stopPrice === "" ? {} : { stopPrice }),
  };
}
