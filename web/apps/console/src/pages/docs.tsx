import { useState } from "react";
import { useRead } from "../api.ts";
import { Fields, type Schema } from "../schema.tsx";
import { Card, Filter, Head, Note } from "../ui.tsx";

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

/** What can be asked by HTTP, as the server describes it; what is said on sockets stands with the apps. */
export function DocsPage() {
  const document = useRead<OpenApi>("/api/openapi.json");
  const [wanted, want] = useState("");
  return (
    <>
      <Head title="API">
        <Filter label="Part of a path" value={wanted} set={want} />
      </Head>
      <p className="lead">
        As <a href="/api/openapi.json">OpenAPI 3.1</a> for programs, and what is said on sockets as{" "}
        <a href="/api/asyncapi.json">AsyncAPI 3.0</a>.
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
        <span>{operation.summary}</span>
      </summary>
      <p>{operation.security?.length ? "Needs a token or an API key." : "Open to everybody."}</p>
      {operation.parameters && operation.parameters.length > 0 && (
        <ul className="fields">
          {operation.parameters.map(({ name, in: where, description }) => (
            <li key={name}>
              <code>{name}</code> <span className="type">in the {where}</span> {description}
            </li>
          ))}
        </ul>
      )}
      {body && <Fields schema={body} all={schemas} />}
    </details>
  );
}
