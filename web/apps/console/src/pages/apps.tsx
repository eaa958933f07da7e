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

interface Manifest {
  name: string;
  version: string;
  about: string;
  namespaces: string[];
  channels: {
    namespace: string;
    commands: Said[];
    events: Said[];
    rooms: RoomKind[];
  }[];
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
      {app.channels.map((channel) => (
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
