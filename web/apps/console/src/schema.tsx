import { Words } from "./ui.tsx";

/** A JSON schema, as far as it is shown. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema | boolean>;
  required?: string[];
  items?: Schema | boolean;
  enum?: unknown[];
  const?: unknown;
  allOf?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  additionalProperties?: Schema | boolean;
}

/** How deep fields of fields are shown. */
const DEPTH = 3;

const nameOf = (ref: string) => ref.slice(ref.lastIndexOf("/") + 1);

function resolved(schema: Schema | boolean | undefined, all: Record<string, Schema>): Schema | undefined {
  if (typeof schema !== "object") return undefined;
  const named = schema.$ref === undefined ? schema : (all[nameOf(schema.$ref)] ?? schema);
  if (!named.allOf) return named;
  // All of them at once: the fields of each.
  const parts = named.allOf.map((part) => resolved(part, all));
  return {
    ...named,
    properties: Object.assign({}, ...parts.map((part) => part?.properties)) as Schema["properties"] & object,
    required: parts.flatMap((part) => part?.required ?? []),
  };
}

/** The forms of what is one of several objects; none of what is one thing. */
function formsOf(schema: Schema | undefined, all: Record<string, Schema>): Schema[] {
  const choices = (schema?.oneOf ?? schema?.anyOf ?? []).map((one) => resolved(one, all));
  const objects = choices.filter((one) => one?.properties !== undefined) as Schema[];
  return objects.length > 1 ? objects : [];
}

/** What a schema says a value is, in a word or two. */
function kindOf(schema: Schema | boolean | undefined): string {
  if (typeof schema !== "object") return "anything";
  if (schema.$ref !== undefined) return nameOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices)
    return choices
      .map(kindOf)
      .filter((kind) => kind !== "null")
      .join(" | ");
  if (schema.items !== undefined) return `list of ${kindOf(schema.items)}`;
  if (schema.type === "null") return "null";
  const kinds = [schema.type ?? []].flat().filter((kind) => kind !== "null");
  return kinds.length > 0 ? kinds.join(" | ") : "anything";
}

/** The fields of an object, each with its type and what it means. */
export function Fields({
  schema,
  all,
  depth = 0,
}: {
  schema: Schema | boolean | undefined;
  all: Record<string, Schema>;
  depth?: number;
}) {
  const whole = resolved(schema, all);
  const properties = Object.entries(whole?.properties ?? {});
  const forms = properties.length === 0 && depth < DEPTH ? formsOf(whole, all) : [];
  if (forms.length > 0)
    return (
      <ul className="fields forms">
        {forms.map((form, index) => (
          <li key={index}>
            {index === 0 ? "either" : "or"}
            {form.description !== undefined && (
              <span>
                {" "}
                <Words of={form.description} />
              </span>
            )}
            <Fields schema={form} all={all} depth={depth + 1} />
          </li>
        ))}
      </ul>
    );
  if (properties.length === 0)
    return depth === 0 ? <p className="fields-none">{whole ? kindOf(schema) : "Nothing."}</p> : null;
  return (
    <ul className="fields">
      {properties.map(([name, field]) => (
        <li key={name}>
          <code>{name}</code>
          {!whole?.required?.includes(name) && <span className="optional">optional</span>}{" "}
          <span className="type">{kindOf(field)}</span>{" "}
          {typeof field === "object" && (
            <span>
              <Words of={field.description} />
            </span>
          )}
          {depth < DEPTH && <Fields schema={inner(field)} all={all} depth={depth + 1} />}
        </li>
      ))}
    </ul>
  );
}

function inner(field: Schema | boolean): Schema | boolean | undefined {
  if (typeof field !== "object") return undefined;
  const choice = (field.anyOf ?? field.oneOf)?.find((one) => one.type !== "null");
  return choice ?? (field.items !== undefined ? field.items : field);
}
