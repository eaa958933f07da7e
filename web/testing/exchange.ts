import { mint, unique, type Served } from "./server.ts";

/** What is traded, by symbols; steps of a hundredth and of one. */
const instrument = (symbol: string) => ({
  symbol,
  tickSize: "0.01",
  lotSize: "1",
  minQuantity: "1",
  maxQuantity: "1000",
  maxPosition: "5000",
  maxPrice: "100000",
});

/** A room of trading on a server, with those who publish its prices. */
export class Exchange {
  readonly id = unique("room");
  readonly #server: Served;

  constructor(server: Served) {
    this.#server = server;
  }

  post(path: string, body: unknown = {}): Promise<unknown> {
    return this.#server.post(`/api/trading/rooms/${this.id}/${path}`, body);
  }

  /** Makes it, open to members: two instruments, and no bound on how fast orders come. */
  async open(members: string[], rules: object = {}, symbols = ["ACME", "BETA"]): Promise<void> {
    const plain = { startingCash: "100000", feeRate: "0.001", ordersPerSecond: 1_000, orderBurst: 1_000 };
    const all = { ...plain, instruments: symbols.map(instrument), ...rules };
    await this.#server.post("/api/trading/rooms", { id: this.id, name: `Room ${this.id}`, rules: all });
    await this.post("open");
    for (const userId of members) await this.post("join", { userId, name: userId });
  }

  /** The same, and it runs. */
  async run(members: string[], rules: object = {}): Promise<void> {
    await this.open(members, rules);
    await this.post("start");
  }

  price(symbol: string, price: number | string, volume?: number): Promise<unknown> {
    const one = { symbol, price: String(price), ...(volume === undefined ? {} : { volume: String(volume) }) };
    return this.post("prices", { prices: [one] });
  }

  /** What the server says a member has, asked by that member. */
  async portfolio<Account>(member: string): Promise<Account> {
    const headers = { authorization: `Bearer ${mint({ sub: member })}` };
    const answer = await fetch(`${this.#server.http}/api/trading/rooms/${this.id}/portfolio`, { headers });
    return (await answer.json()) as Account;
  }
}
