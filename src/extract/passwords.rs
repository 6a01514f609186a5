//! Passwords given for files.
//!
//! Called by: `extract` and whoever makes a request. Talks to: nothing.
//! Invariants: their number and length are bounded, whatever arrives; they show in no log.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

const MOST: usize = 16;
const LONGEST: usize = 1024;

/// Passwords to try, bounded and never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>")]
pub struct Passwords(Vec<String>);

impl Deref for Passwords {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl From<Vec<String>> for Passwords {
    fn from(mut passwords: Vec<String>) -> Self {
        passwords.retain(|password| !password.is_empty() && password.len() <= LONGEST);
        passwords.truncate(MOST);
        Self(passwords)
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} redacted]", self.0.len())
    }
}
