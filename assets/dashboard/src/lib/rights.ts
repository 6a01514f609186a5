// Who may do what, as far as the page needs it to show the right things. The appliance decides.
import { to, type Section } from './routes.ts';
import type { Actor, ApplianceRole, Role, Tenant, TenantState } from './types.ts';

export const ROLES: readonly { role: Role; label: string; meaning: string }[] = [
  { role: 'owner', label: 'Owner', meaning: 'Everything in this tenant, members and keys included' },
  { role: 'editor', label: 'Editor', meaning: 'Reads, adds and removes documents' },
  { role: 'reader', label: 'Reader', meaning: 'Searches, asks and reads' },
  { role: 'auditor', label: 'Auditor', meaning: 'Sees the audit, and no content' },
];

export const APPLIANCE_ROLES: readonly { role: ApplianceRole; label: string; meaning: string }[] = [
  { role: 'admin', label: 'Administrator', meaning: 'Manages users, tenants and the appliance; reads no content' },
  { role: 'operator', label: 'Operator', meaning: 'Sees the status, locks and unlocks tenants' },
];

export const roleLabel = (role: Role): string => ROLES.find((one) => one.role === role)?.label ?? role;
export const applianceRoleLabel = (role: ApplianceRole | null): string =>
  APPLIANCE_ROLES.find((one) => one.role === role)?.label ?? 'User';

/** Roles whose access can be limited to some collections. */
export const canBeLimited = (role: Role): boolean => role === 'reader';

export interface Rights {
  role: Role | null;
  read: boolean;
  write: boolean;
  manage: boolean;
  audit: boolean;
  /** Name, tier, suspending and deleting; never content. */
  administer: boolean;
  lock: boolean;
}

export interface ApplianceRights {
  administer: boolean;
  operate: boolean;
}

export function applianceRights(actor: Actor | null): ApplianceRights {
  const role = actor?.user?.appliance_role ?? null;
  const administer = actor?.actor === 'console' || role === 'admin';
  return { administer, operate: administer || role === 'operator' };
}

export function rightsOn(actor: Actor | null, tenant: Pick<Tenant, 'id'> | undefined): Rights {
  const console = actor?.actor === 'console';
  const role = actor?.memberships.find(({ tenant_id }) => tenant_id === tenant?.id)?.role ?? null;
  const { administer, operate } = applianceRights(actor);
  const owner = console || role === 'owner';
  return {
    role,
    read: owner || role === 'editor' || role === 'reader',
    write: owner || role === 'editor',
    manage: owner,
    audit: owner || role === 'auditor',
    administer,
    lock: operate,
  };
}

/** The parts of a tenant's settings that concern somebody with these rights. */
export function sectionsFor({ manage, administer, lock }: Rights): Section[] {
  const all: [Section, boolean][] = [
    ['overview', manage || administer],
    ['members', manage || administer],
    ['sources', manage],
    ['keys', manage],
    ['vault', manage || administer || lock],
  ];
  return all.filter(([, shown]) => shown).map(([section]) => section);
}

/** Where somebody with these rights begins in a tenant. */
export function entrance(tenant: Pick<Tenant, 'name'>, rights: Rights): string {
  if (rights.read) return to.tenant(tenant.name);
  return rights.audit ? to.tenantAudit(tenant.name) : to.settings(tenant.name, sectionsFor(rights)[0]);
}

export const TENANT_STATE: Record<TenantState, { label: string; meaning: string }> = {
  active: { label: 'Active', meaning: 'Open to its members' },
  suspended: { label: 'Suspended', meaning: 'Closed to its members; nothing is lost' },
  locked: { label: 'Locked', meaning: 'Its keys are out of memory; nothing in it can be read' },
};
