import { useMemo } from "react";
import type { TradeRoomView } from "@tidings/client";
import type { Tick } from "@tidings/client/trading";
import { Chart } from "../chart.tsx";
import { money } from "../format.ts";
import { Card, Choice } from "../ui.tsx";

/** The price of one instrument as it goes, and a choice of the others. */
export function Prices(props: {
  room: TradeRoomView;
  ticks: Record<string, Tick[]>;
  symbol: string;
  choose: (symbol: string) => void;
}) {
  const { room, ticks, symbol, choose } = props;
  const those = ticks[symbol];
  const newest = room.prices.find((one) => one.symbol === symbol)?.price;
  const lines = useMemo(() => {
    // Before the first change that is heard, the newest price is all there is.
    const first = newest === undefined ? [] : [{ at: Date.now(), price: newest }];
    const drawn = those ?? first;
    return {
      times: drawn.map(({ at }) => at / 1_000),
      values: [drawn.map(({ price }) => Number(price))],
    };
  }, [those, newest]);
  const curves = useMemo(() => [{ name: symbol, colour: 1 as const }], [symbol]);
  const digits =
    room.rules.instruments.find((one) => one.symbol === symbol)?.tickSize.split(".")[1]?.length ?? 0;
  return (
    <Card
      title="Prices"
      aside={
        <Choice
          label="Instrument of the chart"
          value={symbol}
          set={choose}
          of={room.rules.instruments.map((one) => [one.symbol, one.symbol])}
        />
      }
    >
      <p className="price">
        <b>{newest === undefined ? "–" : money(newest)}</b> {symbol}
      </p>
      <Chart
        label={`Price of ${symbol}`}
        curves={curves}
        times={lines.times}
        values={lines.values}
        unit={(value) => value.toFixed(digits)}
        fitted={0}
        nothing="It has no price yet."
      />
    </Card>
  );
}
