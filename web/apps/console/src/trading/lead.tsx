import { useState } from "react";
import type { TradeRoomView } from "@tidings/client";
import type { Proof } from "@tidings/client/trading";
import type { RoomAct } from "@tidings/react";
import { useDoing } from "../doing.ts";
import { counted } from "../format.ts";
import { Ask, Mark } from "../ui.tsx";
import { Export } from "./export.tsx";
import { useHasLeft } from "./left.ts";
import { refusalWords } from "./words.ts";

/** Whether what is shown is known to be what the server has. */
export function InStep({ proof, live }: { proof: Proof | undefined; live: boolean }) {
  const { inStep, held = 0, resyncs = 0 } = proof ?? {};
  const [kind, word] = !live
    ? (["busy", "Catching up"] as const)
    : inStep === undefined
      ? (["plain", "Not checked yet"] as const)
      : inStep
        ? (["good", "In step"] as const)
        : (["bad", "Out of step"] as const);
  return (
    <p className="in-step" role="status">
      <Mark kind={kind}>{word}</Mark>
      <span>
        {counted(held, "digest")} held, {counted(resyncs, "resync")}
      </span>
    </p>
  );
}

const KINDS = { draft: "plain", open: "busy", running: "good", ended: "plain" } as const;

/** How a room stands. */
export const RoomState = ({ state }: { state: string }) => (
  <Mark kind={KINDS[state as keyof typeof KINDS] ?? "plain"}>{state}</Mark>
);

/** What may be done with the room as it stands, by whoever looks at it. */
export function Acts(props: {
  room: TradeRoomView;
  isMember: boolean;
  runs: boolean;
  act: (name: RoomAct) => Promise<unknown>;
}) {
  const { room, isMember, runs, act } = props;
  const [busy, doing] = useDoing();
  const [refused, refuse] = useState<string>();
  const go = (name: RoomAct) =>
    doing(async () => {
      refuse(undefined);
      await act(name).catch((error: unknown) => refuse(refusalWords(error)));
    });
  const button = (name: RoomAct, title: string) => (
    <button type="button" disabled={busy} onClick={() => void go(name)}>
      {title}
    </button>
  );
  const hasLeft = useHasLeft(room, isMember);
  const isOpen =
    room.state === "open" || (room.state === "running" && room.rules.lateJoin === true && hasLeft === false);
  const isOver = room.state === "ended" || room.state === "draft";
  return (
    <div className="actions">
      {!isMember && isOpen && button("join", "Join")}
      {hasLeft && <p>You have left this room: while it runs one cannot come back.</p>}
      {runs && room.state === "draft" && button("open", "Open to members")}
      {runs && room.state === "open" && button("start", "Start trading")}
      {runs && room.state === "running" && (
        <Ask
          label="End trading"
          question="End trading for everybody? Open orders are cancelled, and the standings are final."
          done="Ended."
          act={() => act("end")}
        />
      )}
      {isMember && !isOver && (
        <Ask
          label="Leave"
          question="Leave this room? Your open orders are cancelled, and while it runs you cannot come back."
          done="Left."
          act={() => act("leave")}
        />
      )}
      {room.state === "ended" && <Export roomId={room.id} />}
      <p role="alert" className="refused">
        {refused}
      </p>
    </div>
  );
}
