const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { maximumFractionDigits: 1, notation: "compact" });
const FINE = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const whole = (value: number) => WHOLE.format(value);
export const fine = (value: number) => FINE.format(value);
export const short = (value: number) => SHORT.format(value);

/** So many of something, by its name for one of them. */
export const counted = (count: number, one: string) =>
  `${WHOLE.format(count)} ${one}${count === 1 ? "" : "s"}`;

/** A dash for what is not known. */
export const orDash = (value: number | null | undefined, format: (value: number) => string) =>
  value === null || value === undefined ? "–" : format(value);

/** Milliseconds, with as many digits as mean something. */
export const ms = (value: number) => `${FINE.format(value)} ms`;

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes in units of a thousand. */
export function bytes(value: number): string {
  const step = value < 1_000 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), UNITS.length - 1);
  return `${FINE.format(value / 1_000 ** step)} ${UNITS[step]}`;
}

const UNITS_OF_ALERTS: Record<string, string> = {
  latency: "ms",
  memory: "%",
  growth: "MiB an hour",
  buffered: "MiB",
  delivery: "s",
};

/** An alert with its figure, where it has one; the server's sentence names the unit behind it. */
export function alertWords(kind: string, message: string, value: number | undefined): string {
  const unit = UNITS_OF_ALERTS[kind];
  if (unit === undefined || value === undefined) return message;
  return `${message.replace(/ \((p99, )?[^()]*\)$/, (_, p99?: string) => (p99 ? " (p99)" : ""))}: ${FINE.format(value)} ${unit}`;
}

/** A duration in its two largest units. */
export function lasting(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1_000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = parts.slice(Math.max(first, 0), Math.max(first, 0) + 2).filter(([count]) => count > 0);
  return shown.length === 0 ? "0 s" : shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** A time of day where the browser is; with the date if it was not today. */
export function at(time: string | number): string {
  const when = new Date(time);
  const clock = when.toLocaleTimeString("en-GB");
  return when.toDateString() === new Date().toDateString()
    ? clock
    : `${when.toLocaleDateString("en-GB")} ${clock}`;
}

/** What stands below a chart at moments in seconds since 1970: a day where one begins, else the time as far as it tells them apart. */
export function axisTimes(times: number[]): string[] {
  const [first = 0, second = first] = times;
  const isFine = second - first < 60;
  return times.map((time) => {
    const when = new Date(time * 1_000);
    const clock = when.toLocaleTimeString("en-GB");
    if (clock === "00:00:00") return when.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    return isFine ? clock : clock.slice(0, -3);
  });
}

/** A change, with its sign. */
export const signed = (value: number) =>
  value > 0 ? `+${whole(value)}` : value < 0 ? `−${whole(-value)}` : "±0";

/** A decimal amount as the server tells it, in groups of three digits: it never becomes a float. */
export function money(amount: string): string {
  const [, sign, whole, part = ""] = /^(-?)(\d+)(\.\d+)?$/.exec(amount) ?? [];
  if (whole === undefined) return amount;
  return `${sign === "-" ? "−" : ""}${whole.replace(/\B(?=(\d{3})+$)/g, ",")}${part}`;
}

/** The same with a sign, for what was won or lost. */
export const gain = (amount: string) => (/^[^-]*[1-9]/.test(amount) ? `+${money(amount)}` : money(amount));

/** A part of something as the server tells it, as a percentage; what is rounded to nothing has no sign. */
export const percent = (part: string) =>
  `${(Number(part) * 100)
    .toFixed(2)
    .replace(/^-(?=.*[1-9])/, "−")
    .replace("-", "")} %`;
