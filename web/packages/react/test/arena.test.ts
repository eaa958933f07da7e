import { expect, test } from "vitest";
import { matchAfter, roomOfBoard, type Match } from "@tidings/react";

const players = [
  { id: "a", displayName: "Ada", eloRating: 1_500, score: 0 },
  { id: "b", displayName: "Bo", eloRating: 1_480, score: 0 },
];
const match: Match = { id: "m", status: "created", players };

test("a match follows its events, and the same event twice is as good as once", () => {
  const started = matchAfter(match, { name: "matchStarted", data: { players, startTime: "now" } });
  expect(started).toMatchObject({ status: "started", startTime: "now" });
  const update = {
    name: "matchUpdated",
    data: { update: { scores: [{ playerId: "b", score: 3 }], currentRound: 2 } },
  } as const;
  const updated = matchAfter(
    matchAfter(started, {
      ...update,
      data: { update: { ...update.data.update, scores: [...update.data.update.scores] } },
    }),
    {
      name: "matchUpdated",
      data: { update: { scores: [{ playerId: "b", score: 3 }], currentRound: 2 } },
    },
  );
  expect(updated?.players.map(({ score }) => score)).toEqual([0, 3]);
  expect(updated?.currentRound).toBe(2);
  const result = { winnerId: "b", loserIds: ["a"], resultType: "win", eloChanges: [] };
  expect(matchAfter(updated, { name: "matchCompleted", data: { result } })).toMatchObject({
    status: "completed",
    result,
  });
  // A match that is voided is told as any other change of how it stands.
  expect(matchAfter(updated, { name: "matchUpdated", data: { update: { status: "voided" } } })).toMatchObject(
    {
      status: "voided",
    },
  );
});

test("without a snapshot nothing is made up", () => {
  expect(matchAfter(undefined, { name: "matchUpdated", data: { update: {} } })).toBeUndefined();
});

test("boards have rooms of their own", () => {
  expect(roomOfBoard({ scope: "global" })).toBe("leaderboard:global");
  expect(roomOfBoard({ scope: "country", country: "FR" })).toBe("leaderboard:country:FR");
  expect(roomOfBoard({ scope: "session", sessionId: "s1" })).toBe("leaderboard:session:s1");
});
