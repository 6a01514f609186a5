// What this browser remembers. Storage may be forbidden, so nothing depends on it.

type Key = 'cairn.theme' | 'cairn.tenant' | `cairn.upload.${string}`;

export function recall(key: Key): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Everything remembered under names that begin so. */
export function recallAll(prefix: string): [string, string][] {
  try {
    return Object.entries(localStorage as unknown as Record<string, string>).filter(([name]) => name.startsWith(prefix));
  } catch {
    return [];
  }
}

export function remember(key: Key, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // The choice then holds until the page is closed.
  }
}

export function forgetAll(prefix: string): void {
  for (const [name] of recallAll(prefix)) remember(name as Key, null);
}
