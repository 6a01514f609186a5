// The colour theme: the system's preference, or the reader's own choice.
import { recall, remember } from './storage.ts';

export type Theme = 'system' | 'light' | 'dark';

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

class ThemeChoice {
  #now = $state<Theme>(read());

  get now(): Theme {
    return this.#now;
  }

  get next(): Theme {
    return NEXT[this.#now];
  }

  turn(): void {
    this.#now = this.next;
    if (this.#now === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.#now;
    remember('cairn.theme', this.#now === 'system' ? null : this.#now);
  }
}

function read(): Theme {
  const stored = recall('cairn.theme');
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

export const theme = new ThemeChoice();
