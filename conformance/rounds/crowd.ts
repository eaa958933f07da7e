/**
 * Many stock clients in one process, each in one room, that come back by themselves whenever the server is gone.
 *
 *     node --import tsx rounds/crowd.ts URL COUNT ROOMS TOKEN FIRST
 *
 * What happens to them is written line by line: `r` once all have subscribed, `e CLIENT NUMBER` for each event
 * with its publisher's number, `b CLIENT 1` when one is back and was recovered, `b CLIENT 0` when it had to
 * subscribe again, `g CLIENT` when something was missing then. Clients are counted from FIRST. It ends with its standard input.
 */
import { io, type Socket } from "socket.io-client";

interface Answer {
  ok: boolean;
  epoch: string;
  offset: number;
  recovered?: boolean;
}

const [url = "", count = "0", rooms = "1", token = "", first = "0"] = process.argv.slice(2);
/** Clients that open their connection at the same time. */
const AT_ONCE = 50;

let lines: string[] = [];
/** Lines of one turn leave together. */
function say(line: string): void {
  if (lines.length === 0) {
    setImmediate(() => {
      process.stdout.write(lines.join(""));
      lines = [];
    });
  }
  lines.push(`${line}\n`);
}

/** One client: where it is, by the number of events since it first subscribed, for offsets have no holes. */
class Member {
  readonly socket: Socket;
  private readonly number: number;
  private readonly room: string;
  private epoch = "";
  private offset = 0;

  constructor(number: number) {
    this.number = number;
    this.room = `notes:${number % Number(rooms)}`;
    this.socket = io(url, {
      forceNew: true,
      transports: ["websocket"],
      auth: { token },
      autoConnect: false,
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
    });
    this.socket.on("said", (data: { n: number } | number) => {
      this.offset += 1;
      say(`e ${number} ${typeof data === "number" ? data : data.n}`);
    });
  }

  /** Connects for the first time; from then on it comes back by itself. */
  async enter(): Promise<void> {
    const connected = new Promise<void>((resolve) => this.socket.once("connect", resolve));
    this.socket.connect();
    await connected;
    const answer = await this.subscribe({ room: this.room });
    this.epoch = answer.epoch;
    this.offset = answer.offset;
    this.socket.on("connect", () => void this.back());
  }

  private async back(): Promise<void> {
    if (this.socket.recovered) {
      say(`b ${this.number} 1`);
      return;
    }
    const since = { epoch: this.epoch, offset: this.offset };
    const answer = await this.subscribe({ room: this.room, since }).catch(() => undefined);
    // It is tried again with the next connection.
    if (!answer) return;
    if (answer.recovered !== true) say(`g ${this.number}`);
    say(`b ${this.number} 0`);
  }

  private async subscribe(body: object): Promise<Answer> {
    const answer = (await this.socket.emitWithAck("subscribe", body)) as Answer;
    if (!answer.ok) throw new Error(JSON.stringify(answer));
    return answer;
  }
}

const members = Array.from({ length: Number(count) }, (_, number) => new Member(Number(first) + number));
for (let at = 0; at < members.length; at += AT_ONCE) {
  await Promise.all(members.slice(at, at + AT_ONCE).map((member) => member.enter()));
}
say("r");
process.stdin.on("end", () => process.exit(0)).resume();
