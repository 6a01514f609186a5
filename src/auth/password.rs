//! What a password must be: long, not one that is tried first, not the user's own name.
//!
//! Called by: `auth`. Talks to: the bundled list of breached passwords.
//! Invariants: a rule's message says what to do and never repeats the password.
//! Why no rules on digits and signs: they make passwords that people write down; length and a
//! list of what attackers try first do more (NIST SP 800-63B).

use std::sync::OnceLock;

/// Fewest characters of a password.
const MIN_CHARACTERS: usize = 12;
/// Most bytes of a password; beyond it nobody types.
const MAX_BYTES: usize = 1024;
/// Fewest different characters.
const MIN_DIFFERENT: usize = 5;
/// A part of a password shorter than this proves nothing.
const MIN_PART: usize = 3;

/// Sorted by bytes, lower case, one a line.
const BREACHED: &str = include_str!("../../assets/passwords/breached.txt");

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    #[error("a password needs at least {MIN_CHARACTERS} characters; several words make a good one")]
    TooShort,
    #[error("a password has at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("this password repeats a few characters; several words make a good one")]
    Repetitive,
    #[error("this password is on lists that attackers try first; choose another one")]
    Breached,
    #[error("a password must not contain the user's name")]
    ContainsName,
}

/// Checks a password that a user has chosen.
pub(super) fn check(password: &str, user_name: &str) -> Result<(), PasswordProblem> {
    if password.chars().count() < MIN_CHARACTERS {
        return Err(PasswordProblem::TooShort);
    }
    if password.len() > MAX_BYTES {
        return Err(PasswordProblem::TooLong);
    }
    let lower = password.to_lowercase();
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < MIN_DIFFERENT {
        return Err(PasswordProblem::Repetitive);
    }
    if is_breached(&lower) {
        return Err(PasswordProblem::Breached);
    }
    let name = user_name.to_lowercase();
    if name.chars().count() >= MIN_PART && lower.contains(&name) {
        return Err(PasswordProblem::ContainsName);
    }
    Ok(())
}

/// True for a listed password, one between digits and signs, and one written several times.
fn is_breached(lower: &str) -> bool {
    if is_listed(lower) {
        return true;
    }
    let core = lower.trim_matches(|c: char| !c.is_alphabetic());
    if core.len() >= MIN_PART && is_listed(core) {
        return true;
    }
    [lower, core].into_iter().filter_map(repeated_part).any(is_listed)
}

/// The part that the whole text repeats, if it does.
fn repeated_part(text: &str) -> Option<&str> {
    (MIN_PART..=text.len() / 2)
        .filter(|length| text.len().is_multiple_of(*length) && text.is_char_boundary(*length))
        .map(|length| &text[..length])
        .find(|part| part.repeat(text.len() / part.len()) == text)
}

fn is_listed(lower: &str) -> bool {
    static LIST: OnceLock<Vec<&str>> = OnceLock::new();
    LIST.get_or_init(|| BREACHED.lines().collect()).binary_search(&lower).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_every_entry_is_found() {
        let entries: Vec<&str> = BREACHED.lines().collect();
        assert!(entries.len() > 10_000);
        assert!(entries.is_sorted());
        assert!(entries.iter().all(|entry| is_listed(entry)));
        assert!(!is_listed("") && !is_listed("lighthouse keeper"));
    }

    #[test]
    fn passwords_that_are_tried_first_are_refused_in_their_usual_disguises() {
        for password in [
            "administrator",
            "Administrator",
            "qwerty123456",
            "Password-2024!",
            "1234letmein!!!",
            "letmeinletmein",
            "dragondragon99",
        ] {
            assert_eq!(check(password, "ada"), Err(PasswordProblem::Breached), "{password}");
        }
    }

    #[test]
    fn length_counts_characters_and_repetition_is_no_length() {
        assert_eq!(check("elevenchars", "ada"), Err(PasswordProblem::TooShort));
        assert_eq!(check("ÄÖÜäöüßéèêçñ", "ada"), Ok(()));
        assert_eq!(check(&"ab".repeat(20), "ada"), Err(PasswordProblem::Repetitive));
        assert_eq!(check(&"x y z w v ".repeat(200), "ada"), Err(PasswordProblem::TooLong));
    }

    #[test]
    fn the_users_own_name_is_no_part_of_a_password() {
        assert_eq!(check("hello-Margaret-1", "margaret"), Err(PasswordProblem::ContainsName));
        assert_eq!(check("four words make sense", "wo"), Ok(()), "a name of two letters is chance");
        assert_eq!(check("four words make sense", "margaret"), Ok(()));
    }
}
