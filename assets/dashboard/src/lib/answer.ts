// Lines up the sentences of an answer with the citations that prove them.
import type { Citation } from './types.ts';

/** A piece of an answer and the 1-based numbers of the citations that follow it. */
export interface AnswerPart {
  text: string;
  citations: number[];
}

/**
 * Splits `answer` behind the sentence of each citation. A citation whose sentence does not occur
 * in it is left out here; the list of sources below the answer still shows it.
 */
export function answerParts(answer: string, citations: readonly Pick<Citation, 'text'>[]): AnswerPart[] {
  const ends = new Map<number, number[]>();
  citations.forEach((citation, index) => {
    const sentence = citation.text.trim();
    const at = sentence === '' ? -1 : answer.indexOf(sentence);
    if (at < 0) return;
    const end = at + sentence.length;
    ends.set(end, [...(ends.get(end) ?? []), index + 1]);
  });
  const parts: AnswerPart[] = [];
  let from = 0;
  for (const [end, numbers] of [...ends].sort(([a], [b]) => a - b)) {
    parts.push({ text: answer.slice(from, end), citations: numbers });
    from = end;
  }
  const rest = answer.slice(from);
  if (rest.trim() !== '') parts.push({ text: rest, citations: [] });
  return parts;
}
