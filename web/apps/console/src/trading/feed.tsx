import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { TradeRoomView } from "@tidings/client";
import { useAct, useRead } from "../api.ts";
import { whole } from "../format.ts";
import { Card, Choice, Note } from "../ui.tsx";
import { refusalWords } from "./words.ts";

/** What is traded in the prices that come with the server: apps/trading/prices/README.md. */
export const SAMPLE = ["AAPL", "AMZN", "GOOG", "IBM", "MSFT", "SPX"];

/** How many times as fast as the prices came. */
const RATES = [
  ["525600", "A year in a minute"],
  ["43800", "A month in a minute"],
  ["1440", "A day in a minute"],
] as const;
type Rate = (typeof RATES)[number][0];

/** Where the prices of a room come from, for whoever runs it, before it is started: without any nothing is traded. */
export function Feed({ room }: { room: TradeRoomView }) {
  const path = `/api/trading/rooms/${encodeURIComponent(room.id)}/replay`;
  const feed = useAct<{ tape: string; rate: number }>(path);
  const [rate, choose] = useState<Rate>("525600");
  const isIn = room.rules.instruments.some(({ symbol }) => SAMPLE.includes(symbol));
  const fed = useRead<{ tape: string; rate: number } | { tape: null }>(path, { enabled: isIn });
  return (
    <Card title="Where prices come from">
      {fed.data?.tape ? (
        <p role="status">
          From {fed.data.tape === "sample" ? "the sample prices" : "a file"}, {whole(fed.data.rate)} times as
          fast as they came, once trading has started.
        </p>
      ) : isIn ? (
        <form
          className="line"
          onSubmit={(event) => {
            event.preventDefault();
            feed.mutate({ tape: "sample", rate: Number(rate) });
          }}
        >
          <Choice label="How fast" shown value={rate} set={choose} of={[...RATES]} />
          <button type="submit" disabled={feed.isPending}>
            Feed it from the sample prices
          </button>
        </form>
      ) : (
        <Note>{`None of its instruments is in the sample prices that come with the server (${SAMPLE.join(", ")}).`}</Note>
      )}
      <p role="alert" className="refused">
        {feed.error && refusalWords(feed.error)}
      </p>
      <p className="below">
        A service of your own may offer prices as well: <code>POST /api/trading/rooms/{room.id}/prices</code>,
        as the <Link to="/docs">API</Link> says. Without prices no order is taken.
      </p>
    </Card>
  );
}
