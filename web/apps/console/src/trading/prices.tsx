import { useMemo } from "react";
import type { TradeRoomView } from "@tidings/client";
import type { Tick } from "@tidings/client/trading";
import { Chart } from "../chart.tsx";
import { at as time, counted, money } from "../format.ts";
import { Card, Choice } from "../ui.tsx";
import { useTrail } from "./trail.ts";

/** The price of one instrument as it went and goes, and a choice of the others. */
export function Prices(props: {
  room: TradeRoomView;
  live: boolean;
  ticks: Record<string, Tick[]>;
  symbol: string;
  choose: (symbol: string) => void;
}) {
  const { room, live, ticks, symbol, choose } = props;
  const went = useTrail(room, symbol, live, ticks[symbol]);
  const newest = room.prices.find((one) => one.symbol === symbol)?.price;
  const lines = useMemo(() => {
    // Until it is read how it went, the newest price is all there is.
    const first = newest === undefined ? [] : [{ at: Date.now(), price: newest }];
    const drawn = went.length > 0 ? went : first;
    return {
      times: drawn.map(({ at }) => at / 1_000),
      values: [drawn.map(({ price }) => Number(price))],
    };
  }, [went, newest]);
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
        {went[0] && `, ${counted(went.length, "price")} since ${time(went[0].at)}`}
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
