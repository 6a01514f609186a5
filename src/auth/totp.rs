//! The second factor: time-based one-time codes (RFC 6238) and recovery codes.
//!
//! Called by: `auth`, `app`. Talks to: nothing.
//! Invariants: a code counts one step before and after its own; one that is further off is never
//! accepted, but its distance is told, since in an air gap clocks drift and nobody notices.

use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use crate::crypto::{RandomError, SecretKey, TokenDigest};

/// Seconds that a code stands for.
const STEP_S: u64 = 30;
/// Steps that a code may be off and still count. `system` refuses, of two steps that count at one
/// moment, the earlier one once the later one was taken.
const TOLERANCE: i64 = 1;
/// Steps within which a code that does not count says something about the clocks.
const IN_SIGHT: i64 = 10;
/// RFC 4226 recommends 160 bits, which is also what every authenticator takes.
const SECRET_BYTES: usize = 20;
/// Recovery codes a user gets.
const RECOVERY_CODES: usize = 10;
/// Letters of a recovery code: 16 of 32 kinds are 80 bits, so a plain digest is enough.
const RECOVERY_LETTERS: usize = 16;
/// Crockford's base 32: nothing that is mistaken for something else.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A secret as the user is shown it, once.
pub struct TotpOffer {
    /// Base 32, for typing in.
    pub secret: Zeroizing<String>,
    /// `otpauth://…`, for scanning.
    pub uri: Zeroizing<String>,
}

/// Fresh recovery codes, shown once.
pub struct RecoveryCodes(Zeroizing<Vec<String>>);

/// What a code turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The code of this time step.
    Step(u64),
    /// A code of another time: the authenticator is ahead by this many seconds, or behind.
    Skewed {
        seconds: i64,
    },
    Wrong,
}

/// A new secret.
pub(super) fn new_secret() -> Result<Zeroizing<Vec<u8>>, RandomError> {
    let key = SecretKey::generate()?;
    Ok(Zeroizing::new(key.expose()[..SECRET_BYTES].to_vec()))
}

/// A secret in the forms that authenticators take.
pub(super) fn offer(secret: &[u8], user_name: &str) -> TotpOffer {
    let totp = totp(secret, user_name);
    TotpOffer {
        secret: Zeroizing::new(totp.secret().to_base32()),
        uri: Zeroizing::new(
            totp.to_url().expect("invariant: a user's name is not empty and has no colon"),
        ),
    }
}

/// Compares a code with those around `now`, in seconds since 1970.
pub(super) fn check(secret: &[u8], code: &str, now: i64) -> Verdict {
    let totp = totp(secret, "");
    let present = now.max(0) as u64 / STEP_S;
    let matches = |offset: i64| {
        let step = present.checked_add_signed(offset)?;
        totp.check(code, step * STEP_S)
    };
    let nearest_first = (0..=IN_SIGHT).flat_map(|distance| [-distance, distance]);
    for offset in nearest_first {
        if let Some(step) = matches(offset) {
            return match offset.abs() {
                ..=TOLERANCE => Verdict::Step(step),
                _ => Verdict::Skewed { seconds: offset * STEP_S as i64 },
            };
        }
    }
    Verdict::Wrong
}

fn totp(secret: &[u8], user_name: &str) -> Totp {
    Builder::new()
        .with_secret(secret.to_vec())
        .with_skew(0)
        .with_account_name(user_name)
        .with_issuer(Some("Cairn"))
        .build()
        .expect("invariant: secrets are made by new_secret and names have no colon")
}

impl RecoveryCodes {
    /// Ten codes.
    pub(super) fn generate() -> Result<Self, RandomError> {
        let mut codes = Zeroizing::new(Vec::with_capacity(RECOVERY_CODES));
        for _ in 0..RECOVERY_CODES {
            let random = SecretKey::generate()?;
            let mut code = String::with_capacity(RECOVERY_LETTERS * 5 / 4);
            for (at, byte) in random.expose()[..RECOVERY_LETTERS].iter().enumerate() {
                if at > 0 && at % 4 == 0 {
                    code.push('-');
                }
                code.push(char::from(ALPHABET[usize::from(byte % 32)]));
            }
            codes.push(code);
        }
        Ok(Self(codes))
    }

    /// The codes, for the one moment they are shown.
    pub fn reveal(&self) -> &[String] {
        &self.0
    }

    pub(super) fn digests(&self) -> Vec<TokenDigest> {
        self.0.iter().map(|code| recovery_digest(code)).collect()
    }
}

/// Digest of a recovery code however it is written: case, dashes and look-alikes do not matter.
pub(super) fn recovery_digest(code: &str) -> TokenDigest {
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect();
    TokenDigest::of(&plain)
}

/// True for what can only be a code of an authenticator.
pub(super) fn is_time_code(code: &str) -> bool {
    code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";
    const NOW: i64 = 1_111_111_109;

    fn code_at(seconds: i64) -> String {
        totp(SECRET, "").generate(seconds as u64).to_string()
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // The last six digits of the vectors in RFC 6238, appendix B.
        assert_eq!(code_at(59), "287082");
        assert_eq!(code_at(NOW), "081804");
        assert_eq!(code_at(1_234_567_890), "005924");
    }

    #[test]
    fn a_code_counts_one_step_around_and_tells_the_skew_within_ten() {
        let present = NOW as u64 / STEP_S;
        for offset in -1..=1 {
            let step = present.checked_add_signed(offset).unwrap();
            assert_eq!(check(SECRET, &code_at(NOW + offset * 30), NOW), Verdict::Step(step));
        }
        for offset in [-10, -4, -2, 2, 7, 10] {
            let verdict = check(SECRET, &code_at(NOW + offset * 30), NOW);
            assert_eq!(verdict, Verdict::Skewed { seconds: offset * 30 }, "{offset}");
        }
        for offset in [-11, 11, 500] {
            assert_eq!(check(SECRET, &code_at(NOW + offset * 30), NOW), Verdict::Wrong, "{offset}");
        }
    }

    #[test]
    fn what_is_no_code_is_wrong_and_a_clock_before_1970_is_no_panic() {
        for code in ["", "12345", "1234567", "+12345", "12 456", "abcdef", "１２３４５６"] {
            assert_eq!(check(SECRET, code, NOW), Verdict::Wrong, "{code}");
        }
        assert_eq!(check(SECRET, &code_at(0), -5), Verdict::Step(0));
    }

    #[test]
    fn an_offer_names_the_product_and_the_user() {
        let offer = offer(SECRET, "ada@site");
        assert!(offer.uri.starts_with("otpauth://totp/Cairn:ada%40site?secret="), "{}", *offer.uri);
        assert!(offer.uri.contains(offer.secret.as_str()));
    }

    #[test]
    fn recovery_codes_are_ten_different_ones_and_forgive_how_they_are_typed() {
        let codes = RecoveryCodes::generate().unwrap();
        let mut all = codes.reveal().to_vec();
        assert_eq!((all.len(), all[0].len()), (10, 19));
        assert!(!all.iter().any(|code| is_time_code(code)));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 10);
        let typed = all[0].to_uppercase().replace('-', " ").replace('0', "O").replace('1', "l");
        assert_eq!(recovery_digest(&typed), recovery_digest(&all[0]));
        assert_ne!(recovery_digest(&all[0]), recovery_digest(&all[1]));
    }
}
