//! The proof that an actor may touch a tenant at a level.
//!
//! Called by: `tenant::Registry::open` (which demands it), `app`. Talks to: nothing.
//! Invariants: fields are private and constructors are visible in `auth` only, but for
//! `system_grant`, which names its reason and which an architecture test confines to the layers
//! that act without a caller.

use std::marker::PhantomData;

use super::actor::{Actor, SystemActor};
use crate::types::{CollectionScope, TenantId};

mod sealed {
    pub trait Sealed {}
}

/// The levels as values, for the table of who gets which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Read,
    Write,
    Manage,
    Audit,
    Administer,
    Operate,
    Admit,
}

/// A level of access: [`Read`], [`Write`], [`Manage`], [`Audit`], [`Administer`], [`Operate`] or
/// [`Admit`].
pub trait Access: sealed::Sealed + Send + Sync + 'static {
    /// The level as a value.
    const LEVEL: Level;
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

/// May also change keys and collections.
#[derive(Debug)]
pub struct Manage;

/// May see who did what, and no content.
#[derive(Debug)]
pub struct Audit;

/// May rename, suspend and delete the tenant and set its tier and limits; sees no content.
#[derive(Debug)]
pub struct Administer;

/// May lock and unlock the tenant and see its state; sees no content.
#[derive(Debug)]
pub struct Operate;

/// May see and change who belongs to the tenant; sees no content.
#[derive(Debug)]
pub struct Admit;

macro_rules! level {
    ($level:ident, $name:literal $(, $capability:ident)*) => {
        impl sealed::Sealed for $level {}
        impl Access for $level {
            const LEVEL: Level = Level::$level;
            const NAME: &'static str = $name;
        }
        $(impl $capability for $level {})*
    };
}

level!(Read, "read", CanRead);
level!(Write, "write", CanRead, CanWrite);
level!(Manage, "manage", CanRead, CanWrite);
level!(Audit, "audit");
level!(Administer, "administer");
level!(Operate, "operate");
level!(Admit, "admit");

/// Permission for one actor on one tenant at one level.
///
/// There is no way to make one outside `auth`:
/// ```compile_fail,E0451
/// use cairn::auth::{Actor, Grant, Read};
/// let grant: Grant<Read> = Grant {
///     tenant: cairn::types::TenantId::generate(),
///     actor: Actor::Console,
///     collections: cairn::types::CollectionScope::All,
///     level: std::marker::PhantomData,
/// };
/// ```
/// ```compile_fail,E0624
/// use cairn::auth::{Actor, Grant, Read};
/// use cairn::types::{CollectionScope, TenantId};
/// Grant::<Read>::mint(TenantId::generate(), Actor::Console, CollectionScope::All);
/// ```
///
/// A level cannot be added, and administering or auditing a tenant is no way to its content:
/// ```compile_fail,E0277
/// fn needs_content<A: cairn::auth::CanRead>() {}
/// needs_content::<cairn::auth::Administer>();
/// ```
/// ```compile_fail,E0277
/// fn needs_content<A: cairn::auth::CanRead>() {}
/// needs_content::<cairn::auth::Audit>();
/// ```
/// ```compile_fail,E0277
/// fn changes_content<A: cairn::auth::CanWrite>() {}
/// changes_content::<cairn::auth::Read>();
/// ```
/// Spelt rightly, the same lines compile:
/// ```
/// fn needs_content<A: cairn::auth::CanRead>() {}
/// needs_content::<cairn::auth::Read>();
/// fn changes_content<A: cairn::auth::CanWrite>() {}
/// changes_content::<cairn::auth::Manage>();
/// ```
#[derive(Debug)]
pub struct Grant<A> {
    tenant: TenantId,
    actor: Actor,
    collections: CollectionScope,
    level: PhantomData<A>,
}

impl<A: Access> Grant<A> {
    pub(in crate::auth) fn mint(
        tenant: TenantId,
        actor: Actor,
        collections: CollectionScope,
    ) -> Self {
        Self { tenant, actor, collections, level: PhantomData }
    }

    /// The tenant it opens.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Who holds it.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The collections it extends to.
    pub fn collections(&self) -> &CollectionScope {
        &self.collections
    }
}

/// A grant for work that no caller asked for right now: queued jobs and the drop folder.
pub fn system_grant(tenant: TenantId, who: SystemActor) -> Grant<Write> {
    Grant::mint(tenant, Actor::System(who), CollectionScope::All)
}
