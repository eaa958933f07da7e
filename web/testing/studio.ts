import { unique, type Served } from "./server.ts";

/** A row of a leaderboard, as far as it is compared. */
export interface Row {
  playerId: string;
  rank: number;
  eloRating: number;
}

interface Known {
  id: string;
  country: string;
  rating: number;
  /** Which came first to it: the number of the result, and among its players who came to the board first. */
  since: number;
  came: number;
}

const COUNTRIES = ["SE", "FR"];

/**
 * A studio that plays matches by REST and keeps a plain list of its own of who stands where.
 *
 * The list takes ratings from the answers, and nothing else: places are a sort, ties go to whoever reached the rating first.
 */
export class Studio {
  readonly #server: Served;
  readonly #known = new Map<string, Known>();
  #seed = 42;

  constructor(server: Served) {
    this.#server = server;
  }

  post(path: string, body: unknown): Promise<unknown> {
    return this.#server.post(`/api/arena${path}`, body);
  }

  /** So many new players, of two countries by turns. A board that others are on as well is theirs, too. */
  async people(count: number): Promise<string[]> {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) {
      const [id, country = ""] = [unique(`p${n}`), COUNTRIES[n % 2]];
      await this.post("/players", { id, displayName: id, country });
      this.#known.set(id, { id, country, rating: 1_200, since: 0, came: this.#known.size });
      ids.push(id);
    }
    return ids;
  }

  /** Makes two players friends of each other. */
  async befriend(one: string, other: string): Promise<void> {
    await this.#server.put(`/api/arena/players/${one}/friends/${other}`);
    await this.#server.put(`/api/arena/players/${other}/friends/${one}`);
  }

  async begin(one: string, other: string): Promise<string> {
    const { id } = (await this.post("/matches", { players: [one, other] })) as { id: string };
    await this.post(`/matches/${id}/start`, {});
    return id;
  }

  async play(winner: string, loser: string): Promise<void> {
    const id = await this.begin(winner, loser);
    const told = await this.post(`/matches/${id}/result`, { winnerId: winner, resultType: "win" });
    const { sequence, ratings } = told as {
      sequence: number;
      ratings: { playerId: string; newRating: number }[];
    };
    for (const { playerId, newRating } of ratings) {
      const known = this.#known.get(playerId);
      if (!known || known.rating === newRating) continue;
      Object.assign(known, { rating: newRating, since: sequence });
    }
  }

  /** Two of its players, the same ones in each run. */
  async playAtRandom(): Promise<void> {
    const ids = [...this.#known.keys()];
    const one = ids[this.#die(ids.length)] ?? "";
    const other = ids.filter((id) => id !== one)[this.#die(ids.length - 1)] ?? "";
    await this.play(one, other);
  }

  #die(sides: number): number {
    this.#seed = (this.#seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((this.#seed / 2 ** 31) * sides);
  }

  ratingOf(id: string): number | undefined {
    return this.#known.get(id)?.rating;
  }

  /** The board by a plain sort. */
  board(country?: string): Row[] {
    return [...this.#known.values()]
      .filter((known) => country === undefined || known.country === country)
      .sort((a, b) => b.rating - a.rating || a.since - b.since || a.came - b.came)
      .map(({ id, rating }, index) => ({ playerId: id, rank: index + 1, eloRating: rating }));
  }

  /** The rows around somebody; nobody where he does not stand. */
  around(id: string, k: number, country?: string): Row[] {
    const board = this.board(country);
    const at = board.findIndex(({ playerId }) => playerId === id);
    return at < 0 ? [] : board.slice(Math.max(0, at - k), at + k + 1);
  }
}
