// What to tell somebody whose sign-in was refused.
import { duration } from './format.ts';
import type { ApiError } from './problem.ts';

export interface Refusal {
  title: string;
  detail: string;
}

/** `withCode` where a code was sent along: asking for one then means that it was not accepted. */
export function refusal(error: ApiError, withCode: boolean): Refusal {
  if (error.status === 429) {
    const seconds = error.retryAfter ?? 30;
    return {
      title: 'Too many attempts',
      detail: `Wait ${duration(Math.max(1, seconds))}, then try again. Waiting is all it takes; the account is not locked.`,
    };
  }
  if (error.code === 'totp_required' && withCode) {
    // The appliance says here whether its clock and the authenticator's disagree.
    return {
      title: 'This code is not accepted',
      detail: sentence(error.detail) || 'Codes change every 30 seconds. Enter the one that is shown now.',
    };
  }
  if (error.code === 'bad_credentials') {
    return { title: 'Name or password is wrong', detail: 'Check both, and whether Caps Lock is on.' };
  }
  const own = error.detail === error.title ? '' : sentence(error.detail);
  return { title: error.title, detail: [own, error.hint].filter(Boolean).join(' ') };
}

/** Details come in lower case and without a full stop. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return '';
  return trimmed.replace(/^\p{Ll}/u, (first) => first.toUpperCase()) + (/[.!?…]$/.test(trimmed) ? '' : '.');
}
