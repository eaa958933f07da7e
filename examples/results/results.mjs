// Publishes results of matches to the arena: one match a line on standard input, as JSON. Node 20, no packages.
//   TIDINGS_TOKEN=… node results.mjs [url] < matches.jsonl

import { createInterface } from "node:readline";

const url = process.argv[2] ?? "http://127.0.0.1:3000";
const PATIENCE_MS = 30_000; // a request is tried so long
const TRY_MS = 5_000; // and each try takes no longer

/** One try. Nobody there, or no answer in time, is as good as `unavailable`: it may have been done all the same. */
async function once(path, body, key) {
  const headers = { authorization: `Bearer ${process.env.TIDINGS_TOKEN}`, "content-type": "application/json" };
  if (key) headers["idempotency-key"] = key;
  try {
    const request = { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(TRY_MS) };
    return await (await fetch(`${url}/api/arena${path}`, request)).json();
  } catch (error) {
    return { error: { code: "unavailable", message: error.message, retryable: true } };
  }
}

/** Asks until there is an answer that counts. The key stays the same, so whatever was done is not done twice. */
async function post(path, body, key) {
  const end = Date.now() + PATIENCE_MS;
  for (let pause = 200; ; pause = Math.min(pause * 2, 3_000)) {
    const answer = await once(path, body, key);
    if (!answer.error) return answer;
    const wait = answer.error.retryAfterMs ?? pause * (0.5 + Math.random());
    if (!answer.error.retryable || Date.now() + wait > end) throw answer.error;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** Somebody who plays for the first time; who is there already stays as he is. */
async function player(id) {
  await post("/players", { id, displayName: id }).catch((refusal) => {
    if (refusal.code !== "conflict") throw refusal;
  });
}

async function publish({ matchId, players, winnerId, scores }) {
  for (const id of players) await player(id);
  await post("/matches", { id: matchId, players }, `${matchId}:create`);
  await post(`/matches/${matchId}/start`, {}, `${matchId}:start`);
  const result = { winnerId, resultType: winnerId ? "win" : "draw", scores };
  const { ratings, duplicate } = await post(`/matches/${matchId}/result`, result, `${matchId}:result`);
  const changes = ratings.map(({ playerId, newRating, change }) => `${playerId} ${newRating} (${change})`);
  console.log(`${matchId}: ${changes.join(", ")}${duplicate ? ", as told before" : ""}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  if (!line.trim()) continue;
  try {
    await publish(JSON.parse(line));
  } catch ({ code = "bad_request", message }) {
    console.error(`refused: ${code}: ${message} in ${line}`);
    process.exitCode = 1;
  }
}
