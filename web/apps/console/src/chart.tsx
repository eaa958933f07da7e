import { useEffect, useRef } from "react";
import UPlot from "uplot";
import { axisTimes } from "./format.ts";
import { Card } from "./ui.tsx";

/** One curve of a chart: what it is called, and which of the colours in style/base.css it has. */
export interface Curve {
  name: string;
  colour: 1 | 2 | 3;
}

const HEIGHT = 190;
/** Pixels left of a chart: at least, for each digit, and between the digits and the chart. */
const AXIS_LEAST = 64;
const AXIS_DIGIT = 8;
const AXIS_GAP = 12;
/** Distances between lines of a chart of things one counts. */
const WHOLE_STEPS = [1, 2, 5]
  .flatMap((step) => [1, 10, 100, 1e3, 1e4, 1e5, 1e6].map((by) => step * by))
  .sort((a, b) => a - b);

interface Drawn {
  curves: Curve[];
  times: number[];
  values: (number | null)[][];
  unit: (value: number) => string;
  /** So much is left free below and above, and a tenth of what is seen at least; it does not begin at 0 then. */
  fitted?: number;
  /** What is counted has no halves. */
  counted?: boolean;
  /** What stands there while there is no value. */
  nothing?: string;
}

/** A chart as a part of a page. */
export function ChartCard({ title, aside, ...drawn }: { title: string; aside?: string } & Drawn) {
  return (
    <Card title={title} aside={aside}>
      <Chart label={title} {...drawn} />
    </Card>
  );
}

/** Curves over time, in seconds since 1970; one list of values for each. */
export function Chart({ label, ...drawn }: { label: string } & Drawn) {
  const { curves, times, values, unit, fitted, counted = false, nothing } = drawn;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const shape = curves.map(({ name, colour }) => `${name}:${colour}`).join();
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new UPlot(
        optionsFor(element, curves, unit, { fitted, counted }),
        [[], ...curves.map(() => [])],
        element,
      );
      plot.current.setData([times, ...values]);
    };
    draw();
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    resized.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      dark.removeEventListener("change", draw);
      resized.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- data is set below; the plot is made anew for other curves
  }, [shape]);
  useEffect(() => {
    plot.current?.setData([times, ...values]);
  }, [times, values]);
  const newest = curves.map(({ name }, index) => {
    const value = values[index]?.at(-1);
    return `${name} ${value === null || value === undefined ? "unknown" : unit(value)}`;
  });
  return (
    <figure className="chart">
      <figcaption>
        {curves.map(({ name, colour }) => (
          <span key={name} className={`key curve-${colour}`}>
            {name}
          </span>
        ))}
      </figcaption>
      {nothing !== undefined && isEmpty(values) && <p className="nothing">{nothing}</p>}
      <div ref={place} role="img" aria-label={`${label}: ${newest.join(", ")}`} />
    </figure>
  );
}

function aMinuteAround(times: UPlot.AlignedData[0]): [number, number] | undefined {
  const [only, another] = times;
  return only === undefined || another !== undefined ? undefined : [only - 30, only + 30];
}

function isEmpty(lines: ArrayLike<number | null | undefined>[]): boolean {
  return lines.every((line) => Array.from(line).every((value) => value === null || value === undefined));
}

function isAlone(line: UPlot.AlignedData[number] | undefined): boolean {
  return Array.from(line ?? []).filter((value) => value !== null && value !== undefined).length === 1;
}

function rangeOf(least: number, most: number, fitted: number | undefined): [number, number] {
  if (fitted === undefined) return [0, most > 0 ? most * 1.15 : 1];
  // Where there is one value alone, it stands in the middle of something.
  const free = Math.max(fitted, (most - least) / 10) || Math.abs(most) / 100 || 1;
  return [least - free, most + free];
}

/** Room for what stands left of a chart. Texts that did not fit would lose their first digits. */
function widthOf(texts: string[] | null): number {
  const longest = Math.max(0, ...(texts ?? []).map((text) => text.length));
  return Math.max(AXIS_LEAST, longest * AXIS_DIGIT + AXIS_GAP);
}

function optionsFor(
  element: HTMLElement,
  curves: Curve[],
  unit: (value: number) => string,
  { fitted, counted }: { fitted: number | undefined; counted: boolean },
): UPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--ink-soft"),
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    // The last time is as wide beyond its line as before it.
    padding: [10, 32, 0, 0],
    scales: {
      // One value alone is a point in the middle of a minute; else it would be one of several days.
      x: { range: (plot, least, most) => aMinuteAround(plot.data[0]) ?? [least, most] },
      y: { range: (_, least, most) => rangeOf(least, most, fitted) },
    },
    axes: [
      {
        ...axis,
        space: 90,
        size: 30,
        values: (_, all) => axisTimes(all),
      },
      {
        ...axis,
        size: (_, texts) => widthOf(texts),
        ...(counted ? { incrs: WHOLE_STEPS } : {}),
        // Where nothing is drawn there is nothing to measure.
        values: (plot, all) => (isEmpty(plot.data.slice(1)) ? [] : all.map((value) => unit(value))),
      },
    ],
    series: [
      {},
      ...curves.map(({ name, colour: index }) => ({
        label: name,
        stroke: colour(`--line-${index}`),
        width: 2,
        spanGaps: true,
        // There is no line through one value.
        points: {
          show: (plot: UPlot, line: number) => isAlone(plot.data[line]),
          size: 7,
          fill: colour(`--line-${index}`),
        },
      })),
    ],
  };
}
