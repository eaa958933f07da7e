import { Table, Words } from "./ui.tsx";

/** A kind of rooms, as an app's manifest tells it. */
export interface RoomKind {
  kind: string;
  about: string;
  keep: string;
  subscribe: string;
  publish: string;
}

/** The kinds of rooms of a namespace: what they keep, and who may hear and publish. */
export function RoomKinds({ of: kinds, namespace }: { of: RoomKind[]; namespace: string }) {
  return (
    <Table
      caption={`Kinds of rooms in ${namespace}`}
      head={["Rooms", "Keep", "May hear", "May publish", "About"]}
    >
      {kinds.map((room) => (
        <tr key={room.kind}>
          <th scope="row">
            <code>{room.kind}:…</code>
          </th>
          <td>{room.keep}</td>
          <td>{room.subscribe}</td>
          <td>{room.publish}</td>
          <td className="words">
            <Words of={room.about} />
          </td>
        </tr>
      ))}
    </Table>
  );
}
