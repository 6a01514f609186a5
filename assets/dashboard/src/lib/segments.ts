// Cuts a text into runs that carry the same marks, so that overlapping ranges render as
// properly nested elements.
import { scalarLength, toUtf16 } from './offsets.ts';

/** A range `[start, end)` in Unicode scalar values that gives its text the mark `name`. */
export interface Mark<Name extends string> {
  start: number;
  end: number;
  name: Name;
}

/** A run of text; `start` is the scalar offset where it begins. */
export interface Segment<Name extends string> {
  text: string;
  start: number;
  marks: Name[];
}

/**
 * The runs of `text`, whose first scalar has offset `origin`, under `marks`. Breaks are made at
 * every offset in `breaks` too, so that something can be put between two runs.
 */
export function segments<Name extends string>(
  text: string,
  marks: readonly Mark<Name>[],
  origin = 0,
  breaks: readonly number[] = [],
): Segment<Name>[] {
  const end = origin + scalarLength(text);
  const cuts = new Set<number>([origin, end]);
  for (const cut of [...breaks, ...marks.flatMap((mark) => [mark.start, mark.end])]) {
    if (cut > origin && cut < end) cuts.add(cut);
  }
  const offsets = [...cuts].sort((a, b) => a - b);
  const units = toUtf16(
    text,
    offsets.map((offset) => offset - origin),
  );
  const runs: Segment<Name>[] = [];
  for (let i = 0; i + 1 < offsets.length; i += 1) {
    const start = offsets[i] ?? origin;
    const covering = marks.filter((mark) => mark.start <= start && mark.end > start);
    runs.push({
      text: text.slice(units[i], units[i + 1]),
      start,
      marks: [...new Set(covering.map((mark) => mark.name))],
    });
  }
  return runs;
}
