// Offsets: the API counts Unicode scalar values, JavaScript strings count UTF-16 units.

/** The UTF-16 index of each scalar offset in `text`; offsets past the end give its length. */
export function toUtf16(text: string, offsets: readonly number[]): number[] {
  const order = offsets.map((_, position) => position);
  order.sort((a, b) => (offsets[a] ?? 0) - (offsets[b] ?? 0));
  const found = new Array<number>(offsets.length).fill(0);
  let unit = 0;
  let scalar = 0;
  for (const position of order) {
    const wanted = offsets[position] ?? 0;
    while (scalar < wanted && unit < text.length) {
      unit += unitsAt(text, unit);
      scalar += 1;
    }
    found[position] = unit;
  }
  return found;
}

/** How many Unicode scalar values `text` holds. */
export function scalarLength(text: string): number {
  let count = 0;
  for (let unit = 0; unit < text.length; unit += unitsAt(text, unit)) count += 1;
  return count;
}

/** The part of `text` between two scalar offsets. */
export function sliceScalars(text: string, start: number, end: number): string {
  const [from = 0, to = 0] = toUtf16(text, [start, end]);
  return text.slice(from, Math.max(from, to));
}

function unitsAt(text: string, unit: number): 1 | 2 {
  const code = text.charCodeAt(unit);
  if (code < 0xd800 || code > 0xdbff || unit + 1 >= text.length) return 1;
  const next = text.charCodeAt(unit + 1);
  return next >= 0xdc00 && next <= 0xdfff ? 2 : 1;
}
