import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import type { TradeRoomView } from "@tidings/client";
import { useOrders, usePortfolio, useTradingRoom } from "@tidings/react";
import { Boundary } from "../boundary.tsx";
import { money } from "../format.ts";
import { useSession } from "../session.ts";
import { Acts, InStep, RoomState } from "../trading/lead.tsx";
import { Feed } from "../trading/feed.tsx";
import { useFills } from "../trading/fills.ts";
import { useRun } from "../trading/run.ts";
import { Prices } from "../trading/prices.tsx";
import { Gain, Happened, OpenOrders, Positions, Standings } from "../trading/tables.tsx";
import { Ticket } from "../trading/ticket.tsx";
import { Card, Head, Note, Tile } from "../ui.tsx";
import { InTrading } from "./trades.tsx";

const route = getRouteApi("/trading/$roomId");

/** A room of trading, with what one has in it. */
export function TradePage() {
  const { roomId } = route.useParams();
  return (
    <InTrading title="Trading room">
      <Traded key={roomId} roomId={roomId} />
    </InTrading>
  );
}

/** How long until a room that is not there is asked for again: one may be made anew under its id. */
const AGAIN_MS = 3_000;

function Traded({ roomId }: { roomId: string }) {
  const { isIn, anew } = useRun(roomId);
  if (isIn) return <Run roomId={roomId} anew={anew} />;
  return (
    <>
      <Head title="Trading room" />
      <Note>Joining …</Note>
    </>
  );
}

function Run({ roomId, anew }: { roomId: string; anew: () => void }) {
  const { room, status, error, live, proof, act, isMember, ...seen } = useTradingRoom(roomId);
  const session = useSession();
  const isRefused = status === "refused";
  useEffect(() => {
    if (!isRefused) return;
    const later = setTimeout(anew, AGAIN_MS);
    return () => clearTimeout(later);
  }, [isRefused, anew]);
  if (!room || isRefused) {
    return (
      <>
        <Head title="Trading room" />
        {isRefused || error ? <Note error={error} /> : <Note>Joining …</Note>}
      </>
    );
  }
  const runs = room.owner === seen.me || session?.isServer === true;
  return (
    <>
      <Head title={room.name}>
        <RoomState state={room.state} />
        <Acts room={room} isMember={isMember} runs={runs} act={act} />
      </Head>
      {runs && (room.state === "draft" || room.state === "open") && <Feed room={room} />}
      {isMember && <Worth roomId={roomId} room={room} me={seen.me} />}
      {isMember && <InStep proof={proof} live={live} />}
      <Parts roomId={roomId} room={room} live={live} isMember={isMember} seen={seen} />
    </>
  );
}

function Parts(props: {
  roomId: string;
  room: TradeRoomView;
  live: boolean;
  isMember: boolean;
  seen: Pick<ReturnType<typeof useTradingRoom>, "ticks" | "standings" | "me">;
}) {
  const { roomId, room, live, isMember, seen } = props;
  const [chosen, choose] = useState<string>();
  const symbol = chosen ?? room.rules.instruments[0]?.symbol ?? "";
  return (
    <div className="pair">
      <Boundary about="Prices">
        <Prices room={room} live={live} ticks={seen.ticks} symbol={symbol} choose={choose} />
      </Boundary>
      <Boundary about="Orders">
        <Orders roomId={roomId} room={room} isMember={isMember} symbol={symbol} choose={choose} />
      </Boundary>
      <Boundary about="What you have">{isMember && <Held roomId={roomId} room={room} />}</Boundary>
      <Boundary about="The standings">
        <Standings room={room} standings={seen.standings} me={seen.me} />
      </Boundary>
    </div>
  );
}

function Worth({ roomId, room, me }: { roomId: string; room: TradeRoomView; me: string | undefined }) {
  const { cash, equity, realisedPnl, unrealisedPnl } = usePortfolio(roomId);
  const place = room.standings.find(({ userId }) => userId === me)?.rank;
  const known = (amount: string | undefined) => (amount === undefined ? "–" : money(amount));
  return (
    <dl className="tiles worth">
      <Tile name="Worth" value={known(equity)} note={`began with ${money(room.rules.startingCash)}`} />
      <Tile name="Cash" value={known(cash)} />
      <Tile name="Profit made" value={known(realisedPnl)} note="with all fees" />
      <Tile
        name="Profit on paper"
        value={known(unrealisedPnl)}
        note={unrealisedPnl && <Gain of={unrealisedPnl} />}
      />
      <Tile name="Place" value={place === undefined ? "–" : `${place}`} note={`of ${room.members}`} />
    </dl>
  );
}

function Held({ roomId, room }: { roomId: string; room: TradeRoomView }) {
  const { positions } = usePortfolio(roomId);
  const { open, failures, cancel } = useOrders(roomId);
  const fills = useFills(roomId, room.createdAt);
  return (
    <>
      <Positions positions={positions} />
      <OpenOrders orders={open} cancel={cancel} />
      <Happened fills={fills} failures={failures} open={open} />
    </>
  );
}

function Orders(props: {
  roomId: string;
  room: TradeRoomView;
  isMember: boolean;
  symbol: string;
  choose: (symbol: string) => void;
}) {
  const { roomId, room, isMember, symbol, choose } = props;
  const { left, open, fills, place } = useOrders(roomId);
  if (room.state !== "running" || !isMember) {
    return (
      <Card title="Order">
        <Note>
          {room.state === "ended"
            ? "Trading has ended."
            : isMember
              ? "Orders are taken once trading has begun."
              : "Orders are for members of this room."}
        </Note>
      </Card>
    );
  }
  const orders = { left, open, fills, place };
  return <Ticket rules={room.rules} symbol={symbol} choose={choose} {...orders} />;
}
