import { useId, useState, type FormEvent } from "react";
import { useClient } from "@tidings/react";
import { fieldOf } from "./form.ts";

/** A form that says something in a room, or to a user. */
export function Publish({ to }: { to: { room: string } | { userId: string } }) {
  const client = useClient();
  const [said, say] = useState<string>();
  const [event, data] = [useId(), useId()];
  const publish = async (form: FormData) => {
    const parsed: unknown = JSON.parse(fieldOf(form, "data"));
    // By HTTP, as a server: on a socket the room's own rule would be for clients.
    const body = JSON.stringify({
      ...to,
      event: fieldOf(form, "event"),
      data: parsed,
      key: crypto.randomUUID?.(),
    });
    const { messageId } = (await client.request("/api/publish", { method: "POST", body })) as {
      messageId: string;
    };
    return `Published as ${messageId}.`;
  };
  const submit = (submitted: FormEvent<HTMLFormElement>) => {
    submitted.preventDefault();
    publish(new FormData(submitted.currentTarget)).then(say, (error: unknown) =>
      say(
        error instanceof SyntaxError
          ? "The data is no JSON."
          : error instanceof Error
            ? error.message
            : "It did not work.",
      ),
    );
  };
  return (
    <form className="publish" onSubmit={submit}>
      <label htmlFor={event}>
        Event
        <input id={event} name="event" defaultValue="said" required maxLength={200} />
      </label>
      <label htmlFor={data}>
        Data, as JSON
        <textarea id={data} name="data" rows={3} defaultValue={'{"text": "hello"}'} required />
      </label>
      <div className="actions">
        <button type="submit">Publish</button>
        <span role="status" className="said">
          {said}
        </span>
      </div>
    </form>
  );
}
