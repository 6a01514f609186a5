// The rules for a new password, as far as this page can check them.
import { scalarLength } from './offsets.ts';

export const LEAST_LENGTH = 12;

export interface Rule {
  text: string;
  met: boolean;
}

export function passwordRules(password: string, name: string, again: string): Rule[] {
  const length = scalarLength(password);
  const fold = (text: string) => text.trim().toLowerCase();
  return [
    {
      text: `At least ${LEAST_LENGTH} characters${length > 0 && length < LEAST_LENGTH ? ` (${length} so far)` : ''}`,
      met: length >= LEAST_LENGTH,
    },
    { text: 'Not your name', met: length > 0 && fold(password) !== fold(name) },
    { text: 'Entered the same twice', met: length > 0 && password === again },
  ];
}

/** Recovery shares as somebody pastes them: one a line, with stray blanks and empty lines. */
export function shareLines(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean);
}

/** A secret in groups of four, to be typed into another device. */
export const inGroups = (secret: string): string => secret.replace(/\s/g, '').replace(/(.{4})(?=.)/g, '$1 ');
