//! What a tier gives: limits and features, in one table.
//!
//! Called by: `app`, `http`, `cli`, `worker`. Talks to: nothing.
//! Invariants: every limit is above zero; a tenant's own value wins over that of its tier.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::account::Tier;

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A limit that is none; `null` in JSON.
pub const UNLIMITED: u64 = u64::MAX;

/// What a tenant may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Limits {
    /// Bytes of originals; the same bytes count once, however often they were dropped.
    #[serde(serialize_with = "or_null")]
    #[schema(value_type = Option<u64>)]
    pub stored_bytes: u64,
    /// Live documents, those found inside others included.
    #[serde(serialize_with = "or_null")]
    #[schema(value_type = Option<u64>)]
    pub documents: u64,
    /// Items that may wait to be read or indexed before further uploads are put off.
    #[serde(serialize_with = "or_null")]
    #[schema(value_type = Option<u64>)]
    pub jobs_in_flight: u64,
    /// Weight in the sharing out of background work among tenants that have some.
    pub ingest_share: u64,
    /// Requests in a second, and as many at once after a pause.
    #[serde(serialize_with = "or_null")]
    #[schema(value_type = Option<u64>)]
    pub requests_per_second: u64,
    /// Searches and questions answered at the same time.
    #[serde(serialize_with = "or_null")]
    #[schema(value_type = Option<u64>)]
    pub concurrent_queries: u64,
    /// Bytes of one upload.
    #[serde(serialize_with = "or_null")]
    #[schema(value_type = Option<u64>)]
    pub upload_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn or_null<S: Serializer>(limit: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match *limit {
        UNLIMITED => serializer.serialize_none(),
        limit => serializer.serialize_some(&limit),
    }
}

/// Something that not every tier has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Keys for programs.
    ApiKeys,
    /// Readers who see some collections only.
    CollectionAccess,
    /// The audit trail as a file, for members.
    AuditExport,
}

impl Tier {
    /// The limits of the tier.
    #[rustfmt::skip]
    pub fn limits(self) -> Limits {
        let pick = |row: [u64; 3]| match self {
            Self::Casual => row[0],
            Self::Pro => row[1],
            Self::Enterprise => row[2],
        };
        Limits {
            //                         casual        pro           enterprise
            stored_bytes:        pick([20 * GIB,     500 * GIB,    20 * TIB]),
            documents:           pick([50_000,       2_000_000,    100_000_000]),
            jobs_in_flight:      pick([10_000,       200_000,      5_000_000]),
            ingest_share:        pick([1,            4,            16]),
            requests_per_second: pick([20,           100,          500]),
            concurrent_queries:  pick([2,            8,            32]),
            upload_bytes:        pick([GIB,          16 * GIB,     64 * GIB]),
        }
    }

    /// The features of the tier.
    pub fn features(self) -> &'static [Feature] {
        match self {
            Self::Casual => &[],
            Self::Pro | Self::Enterprise => {
                &[Feature::ApiKeys, Feature::CollectionAccess, Feature::AuditExport]
            }
        }
    }
}

impl Feature {
    /// The word used in JSON and to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKeys => "api_keys",
            Self::CollectionAccess => "collection_access",
            Self::AuditExport => "audit_export",
        }
    }
}

/// A value that no limit can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitProblem {
    #[error("there is no limit {name:?}; the limits are {}", Limits::NAMES.join(", "))]
    Unknown { name: String },
    #[error("the limit {name} must be a whole number above 0{}", or_none(name))]
    Value { name: String },
}

fn or_none(name: &str) -> &'static str {
    if name == SHARE { "" } else { ", or null for none" }
}

/// The limit that cannot be left open: shares are relative to each other.
const SHARE: &str = "ingest_share";

impl Limits {
    /// The names of all limits.
    pub const NAMES: [&str; 7] = [
        "stored_bytes",
        "documents",
        "jobs_in_flight",
        "ingest_share",
        "requests_per_second",
        "concurrent_queries",
        "upload_bytes",
    ];

    /// These limits with those that `own` names replaced. What `own` holds besides is passed
    /// over, so that a row of a later release can be read.
    pub fn with(mut self, own: &Map<String, Value>) -> Self {
        for (name, value) in own {
            if let (Some(limit), Some(value)) = (self.by_name(name), limit_of(name, value)) {
                *limit = value;
            }
        }
        self
    }

    fn by_name(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "stored_bytes" => &mut self.stored_bytes,
            "documents" => &mut self.documents,
            "jobs_in_flight" => &mut self.jobs_in_flight,
            "ingest_share" => &mut self.ingest_share,
            "requests_per_second" => &mut self.requests_per_second,
            "concurrent_queries" => &mut self.concurrent_queries,
            "upload_bytes" => &mut self.upload_bytes,
            _ => return None,
        })
    }
}

/// The limit that a JSON value stands for.
fn limit_of(name: &str, value: &Value) -> Option<u64> {
    if value.is_null() && name != SHARE {
        return Some(UNLIMITED);
    }
    value.as_u64().filter(|number| *number > 0)
}

/// Checks limits that a tenant is to have of its own.
///
/// # Errors
/// A name that is no limit; a value that no limit can have.
pub fn check_limits(own: &Map<String, Value>) -> Result<(), LimitProblem> {
    for (name, value) in own {
        if !Limits::NAMES.contains(&name.as_str()) {
            return Err(LimitProblem::Unknown { name: name.clone() });
        }
        if limit_of(name, value).is_none() {
            return Err(LimitProblem::Value { name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn every_tier_gives_at_least_what_the_one_before_gives() {
        for pair in Tier::ALL.windows(2) {
            let below = serde_json::to_value(pair[0].limits()).unwrap();
            let above = serde_json::to_value(pair[1].limits()).unwrap();
            for name in Limits::NAMES {
                let (below, above) = (below[name].as_u64().unwrap(), above[name].as_u64().unwrap());
                assert!(0 < below && below <= above, "{name} of {} and {}", pair[0], pair[1]);
            }
            let kept = pair[0].features().iter().all(|has| pair[1].features().contains(has));
            assert!(kept, "{} lacks a feature of {}", pair[1], pair[0]);
        }
    }

    #[test]
    fn the_names_are_those_of_the_json() {
        let limits = map(serde_json::to_value(Tier::Pro.limits()).unwrap());
        let mut names: Vec<&str> = limits.keys().map(String::as_str).collect();
        let mut known = Limits::NAMES;
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
        for name in known {
            let own = map(json!({ name: 7 }));
            let with = serde_json::to_value(Tier::Pro.limits().with(&own)).unwrap();
            assert_eq!(with[name], 7, "{name} can be overridden");
        }
        let word = serde_json::to_value(Feature::CollectionAccess).unwrap();
        assert_eq!(word, Feature::CollectionAccess.as_str());
    }

    #[test]
    fn limits_of_its_own_are_numbers_above_zero_or_none_at_all() {
        let own = map(json!({ "documents": null, "stored_bytes": 100 }));
        assert_eq!(check_limits(&own), Ok(()));
        let limits = Tier::Casual.limits().with(&own);
        assert_eq!((limits.documents, limits.stored_bytes), (UNLIMITED, 100));
        assert_eq!(serde_json::to_value(limits).unwrap()["documents"], Value::Null);
        for wrong in [
            json!({ "documents": 0 }),
            json!({ "documents": -1 }),
            json!({ "documents": "9" }),
            json!({ "ingest_share": null }),
        ] {
            let problem = check_limits(&map(wrong.clone())).unwrap_err();
            assert!(matches!(problem, LimitProblem::Value { .. }), "{wrong}: {problem}");
        }
        let problem = check_limits(&map(json!({ "disk": 1 }))).unwrap_err();
        assert!(problem.to_string().contains("stored_bytes"), "{problem}");
    }
}
