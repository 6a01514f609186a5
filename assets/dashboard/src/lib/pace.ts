// How fast something grows, over the last few seconds, and how long the rest of it takes.

const WINDOW_MS = 8_000;
/** Less than this says nothing yet. */
const LEAST_MS = 1_000;

export class Pace {
  #samples: { at: number; value: number }[] = [];

  /** Notes how much there is now. A value that fell begins anew. */
  add(value: number, at = Date.now()): void {
    const last = this.#samples.at(-1);
    if (last && value < last.value) this.#samples = [];
    this.#samples = [...this.#samples.filter((sample) => at - sample.at < WINDOW_MS), { at, value }];
  }

  /** What was there before counts for nothing, such as what a server had already. */
  reset(): void {
    this.#samples = [];
  }

  /** Growth in a second; null while nothing can be said. */
  get perSecond(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.at - first.at < LEAST_MS || last.value <= first.value) return null;
    return ((last.value - first.value) * 1000) / (last.at - first.at);
  }

  /** Seconds that `rest` takes at this pace. */
  secondsFor(rest: number): number | null {
    const rate = this.perSecond;
    return rate === null ? null : Math.max(0, rest) / rate;
  }
}
