// Typed client for tenants as vaults: who may in, how much they hold, their keys and their audit.
import { API, encodeQuery, json, part, send, tenantUrl } from './http.ts';
import type * as T from './types.ts';

/** `null` stands for the appliance's own audit. */
const auditUrl = (tenant: string | null, rest = '') =>
  tenant === null ? `${API}/audit${rest}` : tenantUrl(tenant, `/audit${rest}`);

export const vaults = {
  seal: () => json<T.Seal>('GET', `${API}/seal`),
  sealNow: () => json<void>('POST', `${API}/seal`),
  /** With nothing given, the key file or credential is read again. */
  unseal: (body: { passphrase?: string; shares?: string[] }) => json<void>('POST', `${API}/unseal`, { body }),

  tenants: (cursor?: string | null) =>
    json<{ tenants: T.Tenant[] } & T.Page>('GET', `${API}/tenants`, { query: { cursor, limit: 100 } }),
  create: (body: { name: string; tier?: string }) => json<T.Tenant>('POST', `${API}/tenants`, { body }),
  detail: (tenant: string) => json<T.TenantDetail>('GET', tenantUrl(tenant)),
  change: (tenant: string, body: T.TenantChange) => json<T.Tenant>('PATCH', tenantUrl(tenant), { body }),
  remove: (tenant: string) => json<T.DeletionCertificate>('DELETE', tenantUrl(tenant)),
  turn: (tenant: string, action: T.StateAction) => json<void>('POST', tenantUrl(tenant, `/${action}`)),
  rotateKey: (tenant: string) => json<void>('POST', tenantUrl(tenant, '/rotate-key')),
  /** The archive, sealed with a passphrase. */
  export: (tenant: string, passphrase: string, signal?: AbortSignal) =>
    send('POST', tenantUrl(tenant, '/export'), { body: { passphrase }, signal }),
  deletions: (cursor?: string | null) =>
    json<{ deletions: T.DeletionCertificate[] } & T.Page>('GET', `${API}/deletions`, { query: { cursor, limit: 100 } }),
  tls: () => json<T.Tls>('GET', `${API}/tls`),

  tiers: () => json<{ tiers: T.Tier[] }>('GET', `${API}/tiers`),
  usage: (tenant: string) => json<T.Usage>('GET', tenantUrl(tenant, '/usage')),

  members: (tenant: string) => json<{ members: T.Member[] }>('GET', tenantUrl(tenant, '/members')),
  setMember: (tenant: string, user: string, body: { role: T.Role; collections: string[] | null }) =>
    json<void>('PUT', tenantUrl(tenant, `/members${part(user)}`), { body }),
  removeMember: (tenant: string, user: string) => json<void>('DELETE', tenantUrl(tenant, `/members${part(user)}`)),

  collections: (tenant: string) => json<{ collections: T.Collection[] }>('GET', tenantUrl(tenant, '/collections')),
  createCollection: (tenant: string, name: string) =>
    json<T.Collection>('POST', tenantUrl(tenant, '/collections'), { body: { name } }),

  keys: (tenant: string) => json<{ keys: T.ApiKey[] }>('GET', tenantUrl(tenant, '/keys')),
  createKey: (tenant: string, body: { name: string; role: T.Role; expires_at?: string }) =>
    json<T.NewApiKey>('POST', tenantUrl(tenant, '/keys'), { body }),
  revokeKey: (tenant: string, id: string) => json<void>('DELETE', tenantUrl(tenant, `/keys${part(id)}`)),

  audit: (tenant: string | null, query: T.AuditQuery, signal?: AbortSignal) =>
    json<T.AuditPage>('GET', `${auditUrl(tenant)}${encodeQuery({ ...query })}`, { signal }),
  verifyAudit: (tenant: string | null) => json<T.AuditVerdict>('GET', auditUrl(tenant, '/verify')),
  auditPolicy: (tenant: string) => json<{ query_text: boolean }>('GET', auditUrl(tenant, '/policy')),
  setAuditPolicy: (tenant: string, query_text: boolean) =>
    json<{ query_text: boolean }>('PATCH', auditUrl(tenant, '/policy'), { body: { query_text } }),
  auditExportUrl: (tenant: string | null) => auditUrl(tenant, '/export'),
};
