import { Link, useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent, type ReactNode } from "react";
import type { TradeRules } from "@tidings/client";
import { useAct, useMounted, usePages } from "../api.ts";
import { fieldOf } from "../form.ts";
import { at } from "../format.ts";
import { SAMPLE } from "../trading/feed.tsx";
import { RoomState } from "../trading/lead.tsx";
import { MINUTES_MOST, newRoomWords } from "../trading/words.ts";
import { Card, Choice, Head, More, Note, Table } from "../ui.tsx";

interface RoomRow {
  id: string;
  name: string;
  owner: string;
  state: string;
  createdAt: string;
}

/** Rooms of trading: those that there are, and a new one. */
export function TradesPage() {
  return (
    <InTrading title="Trading">
      <Newest />
    </InTrading>
  );
}

/** What is of trading, where it is mounted; a page under its heading otherwise. */
export function InTrading({ title, children }: { title: string; children: ReactNode }) {
  const mounted = useMounted("trading");
  if (mounted === true) return children;
  return (
    <>
      <Head title={title} />
      <Note>{mounted === false ? "The app trading is not mounted in this server." : "Reading …"}</Note>
    </>
  );
}

const STATES = { "": "All", draft: "Being made", open: "Open", running: "Running", ended: "Ended" };

function Newest() {
  const [state, choose] = useState("");
  const pages = usePages<RoomRow>(
    "/api/trading/rooms",
    "rooms",
    { state, limit: "50" },
    { cursor: "before", everyMs: 3_000, last: (room) => room.id },
  );
  return (
    <>
      <Head title="Trading">
        <Choice label="State" value={state} set={choose} of={Object.entries(STATES)} />
      </Head>
      {pages.error ? (
        <Note error={pages.error} />
      ) : (
        <RoomTable rooms={pages.isPending ? undefined : pages.rows} />
      )}
      <More pages={pages} />
      <NewRoom />
    </>
  );
}

function RoomTable({ rooms }: { rooms: RoomRow[] | undefined }) {
  if (!rooms) return <Note>Reading …</Note>;
  if (rooms.length === 0) return <Note>There is no such room yet.</Note>;
  return (
    <Table caption="Trading rooms" head={["Room", "State", "Owner", "Made"]}>
      {rooms.map(({ id, name, owner, state, createdAt }) => (
        <tr key={id}>
          <th scope="row">
            <Link to="/trading/$roomId" params={{ roomId: id }}>
              {name}
            </Link>
          </th>
          <td>
            <RoomState state={state} />
          </td>
          <td>{owner === "" ? "the server" : owner}</td>
          <td>{at(createdAt)}</td>
        </tr>
      ))}
    </Table>
  );
}

/** A new room, with the rules that most want; by HTTP there are more. */
function NewRoom() {
  const make = useAct<{ name: string; rules: TradeRules }>("/api/trading/rooms");
  const go = useNavigate();
  const [symbols, name] = useState("ACME");
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    make.mutate(wantedIn(new FormData(event.currentTarget)), {
      onSuccess: (made) =>
        void go({ to: "/trading/$roomId", params: { roomId: (made as { id: string }).id } as never }),
    });
  };
  return (
    <Card title="A new room">
      <form className="line" onSubmit={submit}>
        <label>
          Name
          <input name="name" required maxLength={80} pattern=".*\S.*" title="More than blanks" />
        </label>
        <label>
          Cash to begin with
          <input
            name="cash"
            required
            defaultValue="10000"
            inputMode="decimal"
            pattern="\s*\d{1,10}(\.\d{1,8})?\s*"
            title="1 to 1,000,000,000, with at most eight digits behind the point"
          />
        </label>
        <label>
          Instruments, by commas
          <input
            name="symbols"
            required
            pattern=".*[^\s,].*"
            title="One symbol at least, such as ACME"
            value={symbols}
            onChange={(event) => name(event.target.value)}
            autoCapitalize="characters"
          />
        </label>
        <label>
          Minutes, if it is to end by itself
          <input name="minutes" type="number" min={1} max={MINUTES_MOST} />
        </label>
        <label className="check">
          <input type="checkbox" name="late" defaultChecked /> Join while it runs
        </label>
        <button type="submit" disabled={make.isPending}>
          Make the room
        </button>
      </form>
      <p className="below">
        The server has sample prices of {SAMPLE.join(", ")}, from which a room can be fed.{" "}
        <button type="button" onClick={() => name(SAMPLE.join(", "))}>
          Trade these
        </button>
      </p>
      <p role="alert" className="refused">
        {make.error && newRoomWords(make.error)}
      </p>
    </Card>
  );
}

/** What stands in the form, with bounds of instruments that suit most. */
function wantedIn(form: FormData): { name: string; rules: TradeRules } {
  const minutes = fieldOf(form, "minutes");
  const symbols = fieldOf(form, "symbols")
    .split(",")
    .map((symbol) => symbol.trim().toUpperCase());
  return {
    name: fieldOf(form, "name"),
    rules: {
      startingCash: fieldOf(form, "cash"),
      feeRate: "0.001",
      lateJoin: form.get("late") !== null,
      ...(minutes === "" ? {} : { durationMs: Number(minutes) * 60_000 }),
      instruments: symbols
        .filter((symbol) => symbol !== "")
        .map((symbol) => ({
          symbol,
          tickSize: "0.01",
          lotSize: "1",
          minQuantity: "1",
          maxQuantity: "10000",
          maxPosition: "100000",
          maxPrice: "100000",
        })),
    },
  };
}
