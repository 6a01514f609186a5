//! The proof that an actor may touch a tenant at a level.
//!
//! Called by: `tenant::Registry::open` (which demands it), `app`. Talks to: nothing.
//! Invariants: fields are private and constructors are visible in `auth` only, but for
//! `system_grant`, which names its reason and which an architecture test confines to the layers
//! that act without a caller.

use std::marker::PhantomData;

use super::actor::{Actor, SystemActor};
use crate::types::TenantId;

mod sealed {
    pub trait Sealed {}
}

/// A level of access: [`Read`], [`Write`] or [`Manage`].
pub trait Access: sealed::Sealed + Send + Sync + 'static {
    /// Name for logs.
    const NAME: &'static str;
}

/// Levels that include reading.
pub trait CanRead: Access {}

/// Levels that include changing documents.
pub trait CanWrite: CanRead {}

/// May see documents, search and ask.
#[derive(Debug)]
pub struct Read;

/// May also add, change and remove documents.
#[derive(Debug)]
pub struct Write;

/// May also change keys and remove the tenant.
#[derive(Debug)]
pub struct Manage;

macro_rules! level {
    ($level:ident, $name:literal $(, $capability:ident)*) => {
        impl sealed::Sealed for $level {}
        impl Access for $level {
            const NAME: &'static str = $name;
        }
        $(impl $capability for $level {})*
    };
}

level!(Read, "read", CanRead);
level!(Write, "write", CanRead, CanWrite);
level!(Manage, "manage", CanRead, CanWrite);

/// Permission for one actor on one tenant at one level.
///
/// There is no way to make one outside `auth`:
/// ```compile_fail
/// use cairn::auth::{Actor, Grant, Read};
/// let grant: Grant<Read> = Grant {
///     tenant: cairn::types::TenantId::generate(),
///     actor: Actor::Operator,
///     level: std::marker::PhantomData,
/// };
/// ```
#[derive(Debug)]
pub struct Grant<A> {
    tenant: TenantId,
    actor: Actor,
    level: PhantomData<A>,
}

impl<A: Access> Grant<A> {
    pub(in crate::auth) fn mint(tenant: TenantId, actor: Actor) -> Self {
        Self { tenant, actor, level: PhantomData }
    }

    /// The tenant it opens.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Who holds it.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
}

/// A grant for work that no caller asked for right now: queued jobs and the drop folder.
pub fn system_grant(tenant: TenantId, who: SystemActor) -> Grant<Write> {
    Grant::mint(tenant, Actor::System(who))
}
