import { Link, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useRead } from "../api.ts";
import { Fields, type Schema } from "../schema.tsx";
import { Card, Filter, Head, Note, Words } from "../ui.tsx";
import { SaidAndHeard } from "./sockets_docs.tsx";

interface Operation {
  operationId: string;
  summary?: string;
  tags?: string[];
  security?: unknown[];
  parameters?: { name: string; in: string; description?: string; required?: boolean }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}

interface OpenApi {
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

/** Of two links to one page the one that is meant is the one with the same search. */
const EXACTLY = { exact: true, includeSearch: true };

/** What can be asked by HTTP, and what is said and heard on sockets, as the server describes it. */
export function DocsPage() {
  const { of }: { of?: string } = useSearch({ strict: false });
  const sockets = of === "sockets";
  const [wanted, want] = useState("");
  return (
    <>
      <Head title="API">
        <Filter label={sockets ? "Part of a name" : "Part of a path"} value={wanted} set={want} />
      </Head>
      <nav className="tabs" aria-label="Doors">
        <Link to="/docs" activeOptions={EXACTLY}>
          By HTTP
        </Link>
        <Link to="/docs" search={{ of: "sockets" } as never} activeOptions={EXACTLY}>
          On sockets
        </Link>
      </nav>
      {sockets ? <SaidAndHeard wanted={wanted} /> : <Asked wanted={wanted} />}
    </>
  );
}

function Asked({ wanted }: { wanted: string }) {
  const document = useRead<OpenApi>("/api/openapi.json");
  return (
    <>
      <p className="lead">
        For programs: <a href="/api/openapi.json">OpenAPI 3.1</a>.
      </p>
      {document.error ? (
        <Note error={document.error} />
      ) : document.data ? (
        <Operations of={document.data} wanted={wanted} />
      ) : (
        <Note>Reading …</Note>
      )}
    </>
  );
}
type Row = { path: string; method: string; operation: Operation };

function Operations({ of: document, wanted }: { of: OpenApi; wanted: string }) {
  const rows: Row[] = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const found = rows.filter(({ path }) => path.toLowerCase().includes(wanted.toLowerCase()));
  const groups = Map.groupBy(found, ({ operation }) => operation.tags?.[0] ?? "other");
  if (groups.size === 0) return <Note>No path is like that.</Note>;
  return [...groups].map(([group, those]) => (
    <Card key={group} title={group} aside={those.length === 1 ? "one path" : `${those.length} paths`}>
      {those.map((row) => (
        <OneOperation key={row.method + row.path} row={row} schemas={document.components.schemas} />
      ))}
    </Card>
  ));
}

function OneOperation({
  row: { path, method, operation },
  schemas,
}: {
  row: Row;
  schemas: Record<string, Schema>;
}) {
  const body = operation.requestBody && Object.values(operation.requestBody.content)[0]?.schema;
  return (
    <details className="operation">
      <summary>
        <b className={`method ${method}`}>{method.toUpperCase()}</b> <code>{path}</code>{" "}
        <span>
          <Words of={operation.summary} />
        </span>
      </summary>
      <p>{operation.security?.length ? "Needs a token or an API key." : "Open to everybody."}</p>
      {operation.parameters && operation.parameters.length > 0 && (
        <ul className="fields">
          {operation.parameters.map(({ name, in: where, description }) => (
            <li key={name}>
              <code>{name}</code> <span className="type">in the {where}</span> <Words of={description} />
            </li>
          ))}
        </ul>
      )}
      {body && <Fields schema={body} all={schemas} />}
    </details>
  );
}
