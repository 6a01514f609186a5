//! Argon2id: passwords of users, and passphrases that unseal the appliance.
//!
//! Called by: `auth`, `system`, `keys`. Talks to: the random source.
//! Invariants: costs read from a file or a row are bounded before any memory is taken; a hash is
//! compared in constant time; nothing here keeps or shows a password.
//! Why: the PHC string is written and read here in the one form we write, since the crate's own
//! reader would bring random number and parsing crates for it.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::encoding::{base64, hex, unbase64, unhex};
use super::random::{RandomError, random_bytes};
use super::secret::SecretKey;

const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;
/// What OWASP asks for at least; a sign-in takes some 20 ms of one core.
const PASSWORD_COST: Cost = Cost { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
/// RFC 9106's second choice on one lane: a passphrase is entered once per start.
const PASSPHRASE_COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
const MOST: Cost = Cost { memory_kib: 1024 * 1024, passes: 64, lanes: 16 };

/// A password or passphrase could not be turned into a hash or key.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("no salt could be made")]
    Salt { source: RandomError },
    #[error("the stored Argon2 parameters are damaged or ask for too much")]
    Parameters,
    #[error("Argon2 failed")]
    Argon2 { source: argon2::Error },
}

/// How a key is made of a passphrase. No secret: stored in the clear beside what the key wraps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassphraseParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// Hexadecimal.
    salt: String,
}

impl PassphraseParams {
    /// Today's cost and a new salt.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, RandomError> {
        let Cost { memory_kib, passes, lanes } = PASSPHRASE_COST;
        let salt: [u8; SALT_LEN] = random_bytes()?;
        Ok(Self { memory_kib, passes, lanes, salt: hex(&salt) })
    }
}

/// The key that a passphrase stands for under these parameters. Takes long, on purpose.
///
/// # Errors
/// When the parameters are none that this release would make, or there is too little memory.
pub fn derive_key(passphrase: &str, params: &PassphraseParams) -> Result<SecretKey, PasswordError> {
    let PassphraseParams { memory_kib, passes, lanes, .. } = *params;
    let salt = unhex(&params.salt).ok_or(PasswordError::Parameters)?;
    let mut key = SecretKey::blank();
    Cost { memory_kib, passes, lanes }.hash(passphrase, &salt, key.bytes_mut())?;
    Ok(key)
}

/// Hashes a password with a new salt, as a PHC string. Takes tens of milliseconds, on purpose.
///
/// # Errors
/// When there is no randomness, or too little memory.
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    let salt: [u8; SALT_LEN] = random_bytes().map_err(|source| PasswordError::Salt { source })?;
    let mut hash = Zeroizing::new([0; HASH_LEN]);
    PASSWORD_COST.hash(password, &salt, &mut hash[..])?;
    Ok(Phc { cost: PASSWORD_COST, salt: salt.to_vec(), hash: hash.to_vec() }.to_text())
}

/// True where the password is the one that was hashed. A damaged string matches no password.
pub fn verify_password(password: &str, phc: &str) -> bool {
    let Some(stored) = Phc::parse(phc) else { return false };
    let mut hash = Zeroizing::new(vec![0; stored.hash.len()]);
    stored.cost.hash(password, &stored.salt, &mut hash).is_ok() && same_bytes(&hash, &stored.hash)
}

/// Compares without telling by the time it takes how far two hashes agree.
fn same_bytes(one: &[u8], other: &[u8]) -> bool {
    let differing =
        one.iter().zip(other).fold(0, |seen, (a, b)| std::hint::black_box(seen | (a ^ b)));
    one.len() == other.len() && differing == 0
}

/// What Argon2 spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    fn hash(self, password: &str, salt: &[u8], out: &mut [u8]) -> Result<(), PasswordError> {
        let bounded = self.memory_kib <= MOST.memory_kib
            && self.passes <= MOST.passes
            && self.lanes <= MOST.lanes;
        if !bounded {
            return Err(PasswordError::Parameters);
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(out.len()))
            .map_err(|_| PasswordError::Parameters)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), salt, out)
            .map_err(|source| PasswordError::Argon2 { source })
    }
}

/// `$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>`.
struct Phc {
    cost: Cost,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Phc {
    fn to_text(&self) -> String {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let (salt, hash) = (base64(&self.salt), base64(&self.hash));
        format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")
    }

    /// Reads what [`Self::to_text`] writes and nothing else.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.strip_prefix("$argon2id$v=19$m=")?.split('$');
        let mut costs = fields.next()?.split([',', '=']);
        let memory_kib = costs.next()?.parse().ok()?;
        let passes = costs.nth(1)?.parse().ok()?;
        let lanes = costs.nth(1)?.parse().ok()?;
        let (salt, hash) = (unbase64(fields.next()?)?, unbase64(fields.next()?)?);
        let phc = Self { cost: Cost { memory_kib, passes, lanes }, salt, hash };
        // A short hash would be guessed by anybody.
        (phc.to_text() == text && phc.hash.len() >= 16).then_some(phc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tests of the reference implementation.
    const KNOWN: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    fn cheap(salt: &str) -> PassphraseParams {
        PassphraseParams { memory_kib: 256, passes: 1, lanes: 1, salt: salt.to_owned() }
    }

    #[test]
    fn a_hash_of_the_reference_implementation_verifies() {
        assert!(verify_password("password", KNOWN));
        assert!(!verify_password("passwore", KNOWN));
        assert!(!verify_password("", KNOWN));
    }

    #[test]
    fn a_hashed_password_verifies_and_no_other_does() {
        let phc = hash_password("correct horse").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify_password("correct horse", &phc));
        assert!(!verify_password("correct horse ", &phc));
        assert_ne!(hash_password("correct horse").unwrap(), phc, "the salt is new each time");
    }

    #[test]
    fn a_damaged_hash_matches_no_password() {
        let odd = [
            "",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=0256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4$",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/5",
        ];
        for phc in odd {
            assert!(!verify_password("password", phc), "{phc}");
        }
        for at in 0..KNOWN.len() {
            let cut = &KNOWN[..at];
            assert!(!verify_password("password", cut), "{cut}");
        }
    }

    #[test]
    fn the_same_passphrase_and_salt_give_the_same_key_and_any_other_another() {
        let salt = "00112233445566778899aabbccddeeff";
        let key = derive_key("open sesame", &cheap(salt)).unwrap();
        assert_eq!(derive_key("open sesame", &cheap(salt)).unwrap().expose(), key.expose());
        let other = derive_key("open Sesame", &cheap(salt)).unwrap();
        assert_ne!(other.expose(), key.expose());
        let salted = derive_key("open sesame", &cheap("ff112233445566778899aabbccddeeff")).unwrap();
        assert_ne!(salted.expose(), key.expose());
    }

    #[test]
    fn parameters_survive_being_stored_and_ask_for_sixty_four_mebibytes() {
        let params = PassphraseParams::generate().unwrap();
        let text = serde_json::to_string(&params).unwrap();
        assert_eq!(serde_json::from_str::<PassphraseParams>(&text).unwrap(), params);
        assert_eq!((params.memory_kib, params.passes, params.lanes), (65536, 3, 1));
        assert_ne!(PassphraseParams::generate().unwrap().salt, params.salt);
    }

    #[test]
    fn damaged_parameters_are_refused_before_any_memory_is_taken() {
        let salt = "00112233445566778899aabbccddeeff";
        let odd = [
            PassphraseParams { memory_kib: u32::MAX, ..cheap(salt) },
            PassphraseParams { passes: u32::MAX, ..cheap(salt) },
            PassphraseParams { lanes: u32::MAX, ..cheap(salt) },
            PassphraseParams { passes: 0, ..cheap(salt) },
            PassphraseParams { memory_kib: 0, ..cheap(salt) },
            cheap("0"),
            cheap("zz"),
        ];
        for params in odd {
            let refused = derive_key("open sesame", &params);
            assert!(matches!(refused, Err(PasswordError::Parameters)), "{params:?}");
        }
    }
}
