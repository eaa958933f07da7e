import { useRead } from "../api.ts";
import { type RoomKind, RoomKinds } from "../room_kinds.tsx";
import { Fields, type Schema } from "../schema.tsx";
import { Card, Mark, Note, Words } from "../ui.tsx";

interface Ref {
  $ref: string;
}

interface Message {
  name: string;
  summary?: string;
  payload?: Schema;
}

interface Operation {
  /** `receive` is what clients say to the server, `send` what they hear of it. */
  action: "receive" | "send";
  channel: Ref;
  messages: Ref[];
  reply?: { messages: Ref[] };
  summary?: string;
  description?: string;
  tags?: { name: string }[];
}

interface Channel {
  /** A namespace of Socket.IO, or the path of the plain protocol. */
  address: string;
  description?: string;
  servers: Ref[];
  messages: Record<string, Ref>;
}

interface AsyncApi {
  info: { description?: string };
  channels: Record<string, Channel>;
  operations: Record<string, Operation>;
  components: { messages: Record<string, Message>; schemas: Record<string, Schema> };
}

interface Manifests {
  apps: { channels: { namespace: string; rooms: RoomKind[] }[] }[];
}

/** The parts of a JSON pointer (RFC 6901). */
const partsOf = ({ $ref }: Ref) =>
  $ref.split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
const last = (ref: Ref) => partsOf(ref).at(-1) ?? "";

/** What is said and heard on sockets, by namespace and on the plain protocol, drawn from the AsyncAPI document and the apps' kinds of rooms. */
export function SaidAndHeard({ wanted }: { wanted: string }) {
  const document = useRead<AsyncApi>("/api/asyncapi.json");
  const manifests = useRead<Manifests>("/api/apps");
  if (document.error) return <Note error={document.error} />;
  if (!document.data) return <Note>Reading …</Note>;
  const api = document.data;
  const rooms = manifests.data?.apps.flatMap(({ channels }) => channels) ?? [];
  const shown = Object.entries(api.channels)
    .map(([key, channel]) => ({ key, ...channel, those: operationsOf(api, key, wanted) }))
    .filter(({ those }) => those.length > 0)
    // The engine's own before those of apps.
    .sort((a, b) => a.address.localeCompare(b.address));
  return (
    <>
      <p className="lead">
        <Words of={api.info.description} /> For programs: <a href="/api/asyncapi.json">AsyncAPI 3.0</a>.
      </p>
      {shown.length === 0 && <Note>No command and no event is called like that.</Note>}
      {shown.map(({ key, address, servers, those }) => (
        <Said
          key={key}
          api={api}
          address={address}
          how={servers.some((server) => last(server) === "plain") ? PLAIN : SOCKET_IO}
          those={those}
          rooms={rooms.filter(({ namespace }) => namespace === address).flatMap((channel) => channel.rooms)}
        />
      ))}
    </>
  );
}

type Named = Operation & { name: string; message: Message };

/** Commands and events of a namespace whose names have `wanted` in them. */
function operationsOf(api: AsyncApi, channel: string, wanted: string): Named[] {
  const all = Object.values(api.operations).filter((operation) => last(operation.channel) === channel);
  const named = all.flatMap((operation) => {
    const message = messageOf(api, operation.messages[0]);
    return message ? [{ ...operation, name: message.name, message }] : [];
  });
  return named.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()));
}

function messageOf({ components, channels }: AsyncApi, ref: Ref | undefined): Message | undefined {
  if (!ref) return undefined;
  // `#/channels/CHANNEL/messages/NAME` refers to the message in turn.
  const [, , channel = "", , name = ""] = partsOf(ref);
  const target = channels[channel]?.messages[name];
  return components.messages[target ? last(target) : last(ref)];
}

const count = (many: number, one: string) => `${many === 1 ? "one" : many} ${one}${many === 1 ? "" : "s"}`;

/** How a client says a command and hears an event. */
interface How {
  title: (address: string) => string;
  say: (name: string) => string;
  hear: (name: string) => string;
}

const SOCKET_IO: How = {
  title: (address) => `Namespace ${address}`,
  say: (name) => `await socket.emitWithAck("${name}", { … })`,
  hear: (name) => `socket.on("${name}", (data) => …)`,
};

const PLAIN: How = {
  title: (address) => `Plain protocol ${address}`,
  say: (name) => `socket.send(JSON.stringify({ type: "${name}", … }))`,
  hear: (name) => `if (JSON.parse(message.data).type === "${name}") …`,
};

function Said(props: { api: AsyncApi; address: string; how: How; those: Named[]; rooms: RoomKind[] }) {
  const { api, address, how, those, rooms } = props;
  const commands = those.filter(({ action }) => action === "receive");
  const events = those.filter(({ action }) => action === "send");
  return (
    <Card
      title={how.title(address)}
      aside={`${count(commands.length, "command")}, ${count(events.length, "event")}`}
    >
      {rooms.length > 0 && <Rooms of={rooms} address={address} />}
      {commands.length > 0 && (
        <section aria-label={`Commands of ${address}`}>
          <h3>Commands</h3>
          {commands.map((one) => (
            <Command key={one.name} one={one} how={how} api={api} />
          ))}
        </section>
      )}
      {events.length > 0 && (
        <section aria-label={`Events of ${address}`}>
          <h3>Events</h3>
          {events.map((one) => (
            <details key={one.name} className="operation">
              <summary>
                <b className="method">HEAR</b> <code>{one.name}</code>{" "}
                <span>
                  <Words of={one.summary} />
                </span>
              </summary>
              <p>
                <code>{how.hear(one.name)}</code>
              </p>
              <Fields schema={one.message.payload} all={api.components.schemas} />
            </details>
          ))}
        </section>
      )}
    </Card>
  );
}

function Command({ one, how, api }: { one: Named; how: How; api: AsyncApi }) {
  const answer = messageOf(api, one.reply?.messages[0])?.payload;
  const isRefusal = ({ $ref }: Schema) => $ref?.endsWith("/Refused") === true;
  const reply = answer?.oneOf?.find((form) => !isRefusal(form)) ?? answer;
  const rule = /^For: (.+)\.$/.exec(one.description ?? "")?.[1];
  return (
    <details className="operation">
      <summary>
        <b className="method post">SAY</b> <code>{one.name}</code>{" "}
        {rule !== undefined && <Mark kind="plain">{rule}</Mark>}{" "}
        <span>
          <Words of={one.summary} />
        </span>
      </summary>
      <p>
        <code>{how.say(one.name)}</code>
      </p>
      <Fields schema={one.message.payload} all={api.components.schemas} />
      {reply && (
        <>
          <p>Answered with this, or with a refusal</p>
          <Fields schema={reply} all={api.components.schemas} />
        </>
      )}
    </details>
  );
}

function Rooms({ of: rooms, address }: { of: RoomKind[]; address: string }) {
  return (
    <section aria-label={`Rooms of ${address}`}>
      <h3>Rooms</h3>
      <RoomKinds of={rooms} namespace={address} />
    </section>
  );
}
