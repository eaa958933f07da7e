/** What an address asks for, all of it text: what reads like a number there is a name like any other. */
export const readSearch = (search: string): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(search));

/** The same as an address has it; what is undefined is not asked for. */
export function writeSearch(asked: Record<string, unknown>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) if (typeof value === "string") search.set(name, value);
  return search.size === 0 ? "" : `?${search}`;
}
