// Typed client for people: signing in, one's own account, and the users of the appliance.
import { API, json, part } from './http.ts';
import type * as T from './types.ts';

export const accounts = {
  session: () => json<T.Actor>('GET', `${API}/session`),
  signIn: (credentials: T.Credentials) => json<T.Actor>('POST', `${API}/session`, { body: credentials }),
  signOut: () => json<void>('DELETE', `${API}/session`),

  /** What a one-time link is for. */
  setup: (token: string) => json<T.Setup>('GET', `${API}/setup`, { query: { token }, apart: true }),
  finishSetup: (body: { token: string; name: string; password: string; totp?: string }) =>
    json<T.Actor>('POST', `${API}/setup`, { body, apart: true }),

  changePassword: (body: { old: string; new: string }) => json<void>('POST', `${API}/me/password`, { body }),
  beginTotp: (password: string) => json<T.TotpOffer>('POST', `${API}/me/totp`, { body: { password } }),
  confirmTotp: (code: string) =>
    json<{ recovery_codes: string[] }>('POST', `${API}/me/totp/confirm`, { body: { code } }),
  removeTotp: (password: string) => json<void>('DELETE', `${API}/me/totp`, { body: { password } }),
  sessions: () => json<{ sessions: T.OwnSession[] }>('GET', `${API}/me/sessions`),
  endSession: (id: string) => json<void>('DELETE', `${API}/me/sessions${part(id)}`),
  endAllSessions: () => json<void>('DELETE', `${API}/me/sessions`),

  users: (cursor?: string | null) =>
    json<{ users: T.User[] } & T.Page>('GET', `${API}/users`, { query: { cursor, limit: 200 } }),
  createUser: (body: { name: string; appliance_role: T.ApplianceRole | null }) =>
    json<T.User>('POST', `${API}/users`, { body }),
  changeUser: (id: string, body: { appliance_role?: T.ApplianceRole | null; disabled?: boolean }) =>
    json<T.User>('PATCH', `${API}/users${part(id)}`, { body }),
  removeUser: (id: string) => json<void>('DELETE', `${API}/users${part(id)}`),
  /** A link that sets the password of this user, once. */
  linkFor: (id: string) => json<T.OneTimeLink>('POST', `${API}/users${part(id)}/link`),
};

/** Every user, however many pages that takes. */
export async function allUsers(): Promise<T.User[]> {
  const found: T.User[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof accounts.users>> = await accounts.users(cursor);
    found.push(...page.users);
    cursor = page.next_cursor;
  } while (cursor);
  return found;
}
