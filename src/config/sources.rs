//! `[sources]`: what synchronised sources of tenants may reach. Nothing, unless the admin says so.
//!
//! Called by: `config`, `app::sources`. Talks to: nothing.
//! Invariants: a directory or host that is not listed is out of reach for every tenant; one that
//! is listed with tenants is so for all others.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Home, HostPort, Problem};

/// What tenants may connect to sources of theirs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourcesConfig {
    /// Directories of this machine that may be read, with all that is below them.
    pub allowed_roots: Vec<Allowed<PathBuf>>,
    /// Hosts that may be connected to; one without a port on every port.
    pub allowed_hosts: Vec<Allowed<HostPort>>,
    /// How many things are taken in at a time, all sources together.
    pub concurrent: usize,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self { allowed_roots: Vec::new(), allowed_hosts: Vec::new(), concurrent: 4 }
    }
}

/// Something that is allowed, to all tenants or to some. In the file it is the thing alone or
/// `{ allow = …, tenants = […] }`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Allowed<T> {
    All(T),
    Some {
        allow: T,
        /// Names or ids.
        tenants: Vec<String>,
    },
}

impl<T> Allowed<T> {
    /// The thing, where a tenant with one of these names may reach it.
    pub fn to(&self, names: &[&str]) -> Option<&T> {
        match self {
            Self::All(thing) => Some(thing),
            Self::Some { allow, tenants } => {
                tenants.iter().any(|tenant| names.contains(&tenant.as_str())).then_some(allow)
            }
        }
    }

    fn thing(&self) -> &T {
        match self {
            Self::All(thing) | Self::Some { allow: thing, .. } => thing,
        }
    }
}

impl SourcesConfig {
    pub(super) fn check(&self, home: &Home, problems: &mut Vec<Problem>) {
        for root in self.allowed_roots.iter().map(Allowed::thing) {
            if !root.is_absolute() || climbs(root) {
                problems.push(Problem::new(
                    "sources.allowed_roots",
                    format!("{} must be an absolute path without `..`", root.display()),
                ));
            }
            if home.path.starts_with(root) || root.starts_with(&home.path) {
                problems.push(Problem::new(
                    "sources.allowed_roots",
                    format!("{} and the home must lie apart", root.display()),
                ));
            }
        }
        if !(1..=64).contains(&self.concurrent) {
            problems.push(Problem::new("sources.concurrent", "must lie between 1 and 64"));
        }
    }
}

fn climbs(path: &Path) -> bool {
    path.components().any(|step| step == std::path::Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> (SourcesConfig, String) {
        let config: SourcesConfig = toml::from_str(text).unwrap();
        let mut problems = Vec::new();
        config.check(&Home { path: "/var/lib/cairn".into() }, &mut problems);
        (config, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_is_allowed_by_default_and_what_is_listed_may_be_for_some_only() {
        let (config, problems) = checked("");
        assert!(config.allowed_roots.is_empty() && config.allowed_hosts.is_empty());
        assert_eq!(problems, "");
        let (config, problems) = checked(
            "allowed_roots = ['/mnt/all', { allow = '/mnt/legal', tenants = ['legal'] }]\n\
             allowed_hosts = ['mail.lan', { allow = '10.0.0.5:993', tenants = ['legal'] }]",
        );
        assert_eq!(problems, "");
        let to = |name| config.allowed_roots.iter().filter_map(|root| root.to(&[name])).count();
        assert_eq!((to("legal"), to("sales")), (2, 1));
        assert!(config.allowed_hosts[1].to(&["sales"]).is_none());
    }

    #[test]
    fn the_home_is_never_a_source_and_roots_are_absolute() {
        for refused in ["/", "/var/lib", "/var/lib/cairn/tenants", "mnt", "/mnt/../etc"] {
            let (_, problems) = checked(&format!("allowed_roots = ['{refused}']"));
            assert!(problems.contains("sources.allowed_roots"), "{refused}: {problems}");
        }
    }
}
