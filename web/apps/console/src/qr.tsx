import encodeQR from "qr";

/** A text as a QR code, drawn here: what it says is a secret, and goes to nobody. The quiet edge is part of it. */
export function Qr({ of, label }: { of: string; label: string }) {
  const rows = encodeQR(of, "raw", { border: 4 });
  return (
    <svg
      className="qr"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${rows.length} ${rows.length}`}
      shapeRendering="crispEdges"
    >
      <path d={pathOf(rows)} />
    </svg>
  );
}

/** Every dark run of a row as a rectangle. */
function pathOf(rows: boolean[][]): string {
  const parts: string[] = [];
  rows.forEach((row, y) => {
    let from = 0;
    row.forEach((dark, x) => {
      if (dark && row[x + 1] === true) return;
      if (dark) parts.push(`M${from} ${y}h${x + 1 - from}v1H${from}z`);
      from = x + 1;
    });
  });
  return parts.join("");
}
