import type { Commands, Events } from "./wire.ts";

type Namespaces = Events[keyof Events];
type NamesOf<Union> = Union extends unknown ? keyof Union : never;
type DataIn<Union, Name> = Union extends unknown ? (Name extends keyof Union ? Union[Name] : never) : never;

/** Names of events that this server's apps and its engine declare; others are heard as well, as `unknown`. */
export type EventName = Extract<NamesOf<Namespaces>, string>;

/** What an event says. */
export type EventData<Name extends string> = Name extends EventName ? DataIn<Namespaces, Name> : unknown;

/** Where commands are said. */
export type Namespace = Extract<keyof Commands, string>;

/** Commands of a namespace. */
export type CommandName<In extends Namespace> = Extract<keyof Commands[In], string>;

/** What goes with a command. */
export type CommandData<In extends Namespace, Name extends CommandName<In>> = Commands[In][Name] extends {
  data: infer Data;
}
  ? Data
  : never;

/** What a command is answered. */
export type CommandReply<In extends Namespace, Name extends CommandName<In>> = Commands[In][Name] extends {
  reply: infer Reply;
}
  ? Reply
  : never;

/** Of which room an event is, and where it stands there; without `offset` it is not kept. */
export interface Place {
  room: string;
  messageId: string;
  epoch?: string;
  offset?: number;
  tag?: string;
}
