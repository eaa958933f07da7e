/** What stands in a field of a form, without blanks around it. */
export function fieldOf(form: FormData, name: string): string {
  return secretOf(form, name).trim();
}

/** What stands in a field, letter by letter: of a secret blanks are a part as well. */
export function secretOf(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}
