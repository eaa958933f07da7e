import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Refusal } from "@tidings/client";
import { Boundary } from "../src/boundary.tsx";
import {
  alertWords,
  at,
  axisTimes,
  bytes,
  counted,
  gain,
  lasting,
  money,
  ms,
  orDash,
  percent,
  short,
  signed,
} from "../src/format.ts";
import { Fields } from "../src/schema.tsx";
import { byNamespace } from "../src/pages/apps.tsx";
import { ACTIONS } from "../src/pages/audit.tsx";
import { outcome } from "../src/pages/match.tsx";
import { told } from "../src/pages/messages.tsx";
import { readSearch, writeSearch } from "../src/search.ts";
import { newRoomWords, refusalWords } from "../src/trading/words.ts";
import { Table } from "../src/ui.tsx";

afterEach(cleanup);

const source = (path: string) => readFileSync(resolve(import.meta.dirname, path), "utf8");

test("the server knows every page of the console, and no others", () => {
  const routed = [...source("../src/router.tsx").matchAll(/page\("\/([^"/$]+)/g)].map(([, page]) => page);
  const list =
    /const PAGES: &\[&str\] =\s*&\[([^\]]+)\]/.exec(
      source("../../../../crates/tidings-server/src/front/console.rs"),
    )?.[1] ?? "";
  const known = [...list.matchAll(/"([^"]+)"/g)].map(([, page]) => page);
  expect(known.length).toBeGreaterThan(5);
  expect([...new Set(routed)].sort()).toEqual(known.sort());
});

test("the page of the audit log knows everything that the server notes, and nothing else", () => {
  const action = source("../../../../crates/tidings-server/src/audit/action.rs");
  const noted = [...action.matchAll(/Self::\w+ => "([^"]+)"/g)].map(([, word]) => word);
  expect(noted.length).toBeGreaterThan(30);
  expect([...ACTIONS].sort()).toEqual(noted.sort());
});

test("what an address asks for is text, also where it reads like something else, and is written as it was read", () => {
  const asked = readSearch("?board=5&room=lobby%3A1&of=true&view=%5B1%5D&view=top");
  expect(asked).toEqual({ board: "5", room: "lobby:1", of: "true", view: "top" });
  expect(readSearch(writeSearch({ ...asked, userId: undefined }))).toEqual(asked);
  expect([writeSearch({}), readSearch("")]).toEqual(["", {}]);
});

describe("figures", () => {
  test("have units and as many digits as mean something", () => {
    expect([0, 999, 1_000, 1_234_567, 5.2e13].map(bytes)).toEqual([
      "0 B",
      "999 B",
      "1 kB",
      "1.23 MB",
      "52 TB",
    ]);
    expect([0, 59_000, 61_000, 90_061_000].map(lasting)).toEqual(["0 s", "59 s", "1 min 1 s", "1 d 1 h"]);
    expect([ms(0.1234), ms(61.26), short(1_250)]).toEqual(["0.123 ms", "61.3 ms", "1.3K"]);
    expect([signed(3), signed(-3), signed(0)]).toEqual(["+3", "−3", "±0"]);
    expect([orDash(null, short), orDash(undefined, short), orDash(0, short)]).toEqual(["–", "–", "0"]);
  });

  test("one of something is not several", () => {
    expect([0, 1, 2, 1_204].map((count) => counted(count, "player"))).toEqual([
      "0 players",
      "1 player",
      "2 players",
      "1,204 players",
    ]);
  });

  test("a time of another day has its date", () => {
    expect(at(Date.now())).toMatch(/^\d\d:\d\d:\d\d$/);
    expect(at("2026-01-02T03:04:05Z")).toMatch(/^02\/01\/2026 /);
  });
});

test("what fails in one part leaves the rest, and is tried again", () => {
  const silenced = vi.spyOn(console, "error").mockImplementation(() => {});
  let broken = true;
  const Part = () => {
    if (broken) throw new Error("on purpose");
    return <p>whole</p>;
  };
  render(
    <>
      <p>the rest</p>
      <Boundary about="This part">
        <Part />
      </Boundary>
    </>,
  );
  expect(screen.getByRole("alert").textContent).toContain("on purpose");
  expect(screen.getByText("the rest")).toBeTruthy();
  broken = false;
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(screen.getByText("whole")).toBeTruthy();
  silenced.mockRestore();
});

test("a row knows the names of its columns, also those that come later", () => {
  const rows = (names: string[]) => (
    <Table caption="People" head={["Name", "Rank"]}>
      {names.map((name) => (
        <tr key={name}>
          <th scope="row">{name}</th>
          <td>1</td>
        </tr>
      ))}
    </Table>
  );
  const view = render(rows(["Ada"]));
  view.rerender(rows(["Ada", "Bo"]));
  const cell = screen.getByRole("row", { name: "Bo 1" }).querySelector("td");
  expect([cell?.dataset["column"], cell?.getAttribute("role")]).toEqual(["Rank", "cell"]);
});

test("the type of a field and what it means are two words", () => {
  const schema = {
    properties: { room: { type: "string", description: "The room's name." } },
    required: ["room"],
  };
  const { container } = render(<Fields schema={schema} all={{}} />);
  expect(container.textContent).toBe("room string The room's name.");
});

test("a schema that refers to itself is drawn to a depth", () => {
  const all = {
    Node: {
      type: "object",
      properties: {
        next: { $ref: "#/components/schemas/Node" },
        name: { type: "string", description: "Its name." },
      },
    },
  };
  const { container } = render(<Fields schema={{ $ref: "#/components/schemas/Node" }} all={all} />);
  expect(container.querySelectorAll("code").length).toBeGreaterThan(2);
  expect(container.querySelectorAll("code").length).toBeLessThan(20);
  expect(container.textContent).toContain("Its name.");
});

test("fields of a schema that is several at once are all there, and of one of several each form", () => {
  const all = {
    Reply: { type: "object", properties: { room: { type: "string" } } },
    On: { type: "object", description: "It goes on.", properties: { since: { const: 1 } } },
    Off: { type: "object", properties: { until: { type: "string" } } },
  };
  const { container } = render(
    <>
      <Fields
        schema={{
          allOf: [
            { properties: { ok: { const: true } }, required: ["ok"] },
            { $ref: "#/components/schemas/Reply" },
          ],
        }}
        all={all}
      />
      <Fields
        schema={{ oneOf: [{ $ref: "#/components/schemas/On" }, { $ref: "#/components/schemas/Off" }] }}
        all={all}
      />
    </>,
  );
  const names = [...container.querySelectorAll("code")].map(({ textContent }) => textContent);
  expect(names).toEqual(["ok", "room", "since", "until"]);
  expect(container.textContent).toMatch(/either It goes on\..*or/);
});

test("times below a chart name the day where one begins, and as much of the time as tells them apart", () => {
  const at = (...when: [number, number, number?, number?]) => new Date(2026, 10, ...when).getTime() / 1_000;
  expect(axisTimes([at(21, 0), at(22, 0), at(23, 0)])).toEqual(["21 Nov", "22 Nov", "23 Nov"]);
  expect(axisTimes([at(21, 12), at(22, 0), at(22, 12)])).toEqual(["12:00", "22 Nov", "12:00"]);
  expect(axisTimes([at(21, 12, 0, 30), at(21, 12, 1, 0)])).toEqual(["12:00:30", "12:01:00"]);
  expect(axisTimes([])).toEqual([]);
});

test("an alert says its figure with the unit", () => {
  const growth = "the memory grows steadily, as with a leak (MiB an hour)";
  expect(alertWords("growth", growth, 123.94)).toBe(
    "the memory grows steadily, as with a leak: 124 MiB an hour",
  );
  expect(alertWords("latency", "it takes long (p99, milliseconds)", 61.2)).toBe(
    "it takes long (p99): 61.2 ms",
  );
  expect(alertWords("store", "the database does not answer", 1)).toBe("the database does not answer");
});

test("a hop of an explanation is told in words", () => {
  const closed = { reason: "lost", parked: false, at: new Date().setHours(14, 2, 3, 0) };
  expect(told("joined", closed.at)).toBe("14:02:03");
  expect(told("left", null)).toBe("–");
  expect(told("closed", closed)).toBe("reason lost, parked no, at 14:02:03");
  expect(told("offset", 2840)).toBe("2,840");
});

test("who has won is said, and how where that says more", () => {
  const players = [{ id: "p1", displayName: "Sami Quispe" }];
  const match = (winnerId: string | null, resultType: string) =>
    ({ status: "completed", players, result: { winnerId, resultType } }) as unknown as Parameters<
      typeof outcome
    >[0];
  expect(outcome(match("p1", "win"))).toBe("Sami Quispe won.");
  expect(outcome(match("p1", "forfeit"))).toBe("Sami Quispe won (forfeit).");
  expect(outcome(match(null, "draw"))).toBe("A draw.");
});

describe("amounts of money", () => {
  test("are shown digit by digit as they were told, in groups, with a sign where they are a gain", () => {
    expect(["0", "-0.5", "1234567.10", "999", "123456789012345678.12345678", "odd"].map(money)).toEqual([
      "0",
      "−0.5",
      "1,234,567.10",
      "999",
      "123,456,789,012,345,678.12345678",
      "odd",
    ]);
    expect(["0", "0.00", "0.01", "-3", "1000"].map(gain)).toEqual(["0", "0.00", "+0.01", "−3", "+1,000"]);
    expect(["0.0597", "-0.1", "-0.00004"].map(percent)).toEqual(["5.97 %", "−10.00 %", "0.00 %"]);
  });

  test("and times that a new room may not have are told as its form asks for them", () => {
    const refused = (message: string) => newRoomWords(new Refusal({ code: "bad_request", message }));
    expect(refused("durationMs: expected 1000 to 8640000000")).toBe("Minutes: 1 to 144,000");
    expect(refused("startingCash: expected 1 to 1000000000, found 0")).toBe(
      "Cash to begin with: 1 to 1,000,000,000, found 0",
    );
    expect(refused("startingCash: expected 1 to 1000000000, found 0.5")).toBe(
      "Cash to begin with: 1 to 1,000,000,000, found 0.5",
    );
    expect(refused("something else")).toBe("something else");
    expect(refused("constructor: expected nothing")).toBe("constructor: expected nothing");
  });

  test("and so is what the server cannot read, and every other field of a new room", () => {
    const refused = (message: string) => newRoomWords(new Refusal({ code: "bad_request", message }));
    expect(refused("rules.durationMs: invalid type: floating point `6e+30`, expected u64")).toBe(
      "Minutes: 1 to 144,000",
    );
    expect(refused("rules.startingCash: expected at most 13 digits before the point")).toBe(
      "Cash to begin with: at most 13 digits before the point",
    );
    expect(refused("name: expected 1 to 80 characters, found 0")).toBe("Name: 1 to 80 characters, found 0");
    expect(refused("instruments: expected each symbol once")).toBe("Instruments: each symbol once");
  });

  test("that a room refuses are told in words, with the room's own figures", () => {
    const refused = (message: string) => refusalWords(new Refusal({ code: "conflict", message }));
    expect(refused("insufficient_cash: 12 is needed, 10 is free")).toBe(
      "There is not enough free cash. (12 is needed, 10 is free)",
    );
    expect(refused("something: that is no code of a room")).toBe("something: that is no code of a room");
    expect(refused("no_price: this instrument had no price yet")).toBe("It has no price yet.");
    expect(refusalWords("nothing one can read")).toBe("It did not work.");
  });
});

test("a namespace of an app stands once, with all that is said there", () => {
  const kind = (name: string) => ({ kind: name, about: "", keep: "", subscribe: "", publish: "" });
  const channel = (namespace: string, room: string, ...events: string[]) => ({
    namespace,
    commands: [],
    events: events.map((name) => ({ name })),
    rooms: [kind(room)],
  });
  const those = [channel("/a", "one", "x"), channel("/b", "two", "x"), channel("/a", "three", "x", "y")];
  expect(byNamespace(those)).toEqual([
    { ...channel("/a", "one", "x", "y"), rooms: [kind("one"), kind("three")] },
    channel("/b", "two", "x"),
  ]);
});
