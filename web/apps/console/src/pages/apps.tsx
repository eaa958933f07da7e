import { useRead } from "../api.ts";
import { type RoomKind, RoomKinds } from "../room_kinds.tsx";
import { Fields, type Schema } from "../schema.tsx";
import { Card, Head, Mark, Note, Words } from "../ui.tsx";

interface Said {
  name: string;
  about?: string;
  data?: Schema;
  reply?: Schema;
  requires?: string;
}

interface Channel {
  namespace: string;
  commands: Said[];
  events: Said[];
  rooms: RoomKind[];
}

interface Manifest {
  name: string;
  version: string;
  about: string;
  namespaces: string[];
  channels: Channel[];
}

interface Manifests {
  apps: Manifest[];
  components: { schemas: Record<string, Schema> };
}

/** What is mounted in this server: drawn from the manifests alone, so that it knows apps that came after it. */
export function AppsPage() {
  const manifests = useRead<Manifests>("/api/apps");
  return (
    <>
      <Head title="Apps" />
      {manifests.error ? (
        <Note error={manifests.error} />
      ) : (
        manifests.data?.apps.map((app) => (
          <App key={app.name} app={app} all={manifests.data.components.schemas} />
        ))
      )}
    </>
  );
}

function App({ app, all }: { app: Manifest; all: Record<string, Schema> }) {
  return (
    <Card title={app.name} aside={`version ${app.version}`}>
      <p>
        <Words of={app.about} />
      </p>
      {byNamespace(app.channels).map((channel) => (
        <section key={channel.namespace} className="channel" aria-label={`Namespace ${channel.namespace}`}>
          <h3>
            Namespace <code>{channel.namespace}</code>
          </h3>
          {channel.rooms.length > 0 && <RoomKinds of={channel.rooms} namespace={channel.namespace} />}
          <Names title="Commands" those={channel.commands} all={all} />
          <Names title="Events" those={channel.events} all={all} />
        </section>
      ))}
    </Card>
  );
}

/** What is said on each namespace: an app may have several kinds of rooms there, each of which is a channel. */
export function byNamespace(channels: Channel[]): Channel[] {
  const found = new Map<string, Channel>();
  for (const { namespace, commands, events, rooms } of channels) {
    const before = found.get(namespace) ?? { commands: [], events: [], rooms: [] };
    found.set(namespace, {
      namespace,
      commands: named([...before.commands, ...commands]),
      events: named([...before.events, ...events]),
      rooms: [...before.rooms, ...rooms],
    });
  }
  return [...found.values()];
}

/** Each once: in several kinds of rooms the same may be heard. */
const named = (said: Said[]) => [...new Map(said.map((one) => [one.name, one])).values()];

function Names({ title, those, all }: { title: string; those: Said[]; all: Record<string, Schema> }) {
  if (those.length === 0) return null;
  return (
    <>
      <h4>{title}</h4>
      {those.map((one) => (
        <details key={one.name} className="operation">
          <summary>
            <code>{one.name}</code> {one.requires !== undefined && <Mark kind="plain">{one.requires}</Mark>}{" "}
            <span>
              <Words of={one.about} />
            </span>
          </summary>
          <Fields schema={one.data} all={all} />
          {one.reply && (
            <>
              <p>Answered with</p>
              <Fields schema={one.reply} all={all} />
            </>
          )}
        </details>
      ))}
    </>
  );
}
