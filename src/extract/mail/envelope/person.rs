//! The people of a mail: their names as people say them, and each address once.
//!
//! Called by: `mail::envelope`, and through it by `mail` and `mail::outlook`. Talks to: nothing;
//! pure.
//! Invariants: the part of an address before the `@` is kept as it is written, what follows is in
//! lower case; a name is turned round only where it cannot be anything but `Family, Given`.

use std::collections::{HashMap, HashSet};

use crate::extract::clean::one_line;

/// One person of an address field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::extract::mail) struct Person {
    name: String,
    address: String,
}

impl Person {
    /// `None` where neither is known. A name that only repeats the address is none.
    pub(in crate::extract::mail) fn new(name: &str, address: &str) -> Option<Self> {
        let name = one_line(name);
        // Some programs repeat the address in the name.
        let name = name.rsplit_once(" <").filter(|_| name.ends_with('>')).map_or(&*name, |n| n.0);
        let name = name.trim_matches(['"', '\'', ' ']);
        let address = one_line(address);
        let address = address.trim_matches(['<', '>', ' ']);
        let address = address.strip_prefix("mailto:").unwrap_or(address);
        let name = if repeats(name, address) { String::new() } else { natural(name) };
        let address = match address.rsplit_once('@') {
            Some((user, host)) => format!("{user}@{}", host.to_lowercase()),
            None => address.to_owned(),
        };
        (!name.is_empty() || !address.is_empty()).then_some(Self { name, address })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::extract::mail) fn has_address(&self) -> bool {
        !self.address.is_empty()
    }

    /// The address as it is compared: mail systems that tell cases apart are not met any more.
    pub(super) fn key(&self) -> String {
        self.address.to_lowercase()
    }

    /// True where both have the same address, or the same name and none.
    pub(in crate::extract::mail) fn is_same(&self, other: &Self) -> bool {
        self.key() == other.key() && (self.has_address() || self.name == other.name)
    }

    pub(super) fn shown(&self) -> String {
        match (self.name.is_empty(), self.address.is_empty()) {
            (false, false) => format!("{} <{}>", self.name, self.address),
            (true, _) => self.address.clone(),
            (_, true) => self.name.clone(),
        }
    }
}

/// Gives every address the best name that the mail has for it, and leaves each among the authors
/// once and among those the mail is to once, where it comes first.
pub(super) fn settle(from: &mut Vec<Person>, to: [&mut Vec<Person>; 3]) {
    let all: Vec<Person> =
        from.iter().chain(to.iter().flat_map(|list| list.iter())).cloned().collect();
    let mut names: HashMap<String, &str> = HashMap::new();
    for person in all.iter().filter(|person| person.has_address()) {
        let best = names.entry(person.key()).or_default();
        if worth(&person.name) > worth(best) {
            *best = &person.name;
        }
    }
    let tidy = |list: &mut Vec<Person>, seen: &mut HashSet<(String, String)>| {
        list.retain_mut(|person| {
            if let Some(name) = names.get(&person.key()) {
                person.name = (*name).to_owned();
            }
            let nameless = if person.has_address() { String::new() } else { person.name.clone() };
            seen.insert((person.key(), nameless))
        });
    };
    tidy(from, &mut HashSet::new());
    let mut seen = HashSet::new();
    for list in to {
        tidy(list, &mut seen);
    }
}

/// How much a name tells; of equal ones the first is taken.
fn worth(name: &str) -> (bool, bool, bool, bool) {
    let words = name.split_whitespace().count();
    let mixed = name.chars().any(char::is_lowercase) && name.chars().any(char::is_uppercase);
    // Scripts without case have names as well.
    let cased = mixed || !name.chars().any(|c| c.is_lowercase() || c.is_uppercase());
    (!name.is_empty(), !name.contains('@'), words >= 2, cased)
}

/// True where a name says no more than the address.
fn repeats(name: &str, address: &str) -> bool {
    name.eq_ignore_ascii_case(address)
        || (name.contains('@')
            && !name.contains(' ')
            && address.to_lowercase().starts_with(&name.to_lowercase()))
}

/// `Jane Doe` for `Doe, Jane`; any other name as it is.
fn natural(name: &str) -> String {
    /// What stands behind the comma of something else than a person.
    const NO_GIVEN_NAMES: [&str; 26] = [
        "ag", "co", "corp", "cpa", "dr", "esq", "gmbh", "ii", "iii", "inc", "jr", "junior", "kg",
        "limited", "llc", "llp", "ltd", "mba", "md", "ph", "phd", "plc", "prof", "sa", "se", "sr",
    ];
    let Some((family, given)) = name.split_once(',') else { return name.to_owned() };
    let (family, given) = (family.trim(), given.trim());
    let is_name = |part: &str| {
        (1..=3).contains(&part.split_whitespace().count())
            && part.starts_with(|c: char| c.is_alphabetic())
            && part.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '\'' | '’' | '.'))
    };
    let bare = |word: &str| word.replace('.', "").to_lowercase();
    let is_given = given.chars().next().is_some_and(|c| !c.is_lowercase())
        && given.split_whitespace().all(|word| !NO_GIVEN_NAMES.contains(&bare(word).as_str()));
    if is_name(family) && is_name(given) && is_given {
        format!("{given} {family}")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, address: &str) -> Person {
        Person::new(name, address).expect("a person")
    }

    #[test]
    fn names_are_turned_round_only_where_it_is_sure() {
        for (name, expected) in [
            ("Doe, Jane", "Jane Doe"),
            ("'von der Heide, Anna-Lena'", "Anna-Lena von der Heide"),
            ("O'Brien, J. P.", "J. P. O'Brien"),
            ("Acme, Inc.", "Acme, Inc."),
            ("Doe, Ph.D.", "Doe, Ph.D."),
            ("Doe, Jane (IT)", "Doe, Jane (IT)"),
            ("Doe, Jane, Berlin", "Doe, Jane, Berlin"),
            ("Room 4, North", "Room 4, North"),
            ("Jane Doe", "Jane Doe"),
        ] {
            assert_eq!(person(name, "x@y.z").name, expected);
        }
    }

    #[test]
    fn the_host_of_an_address_is_in_lower_case_and_a_repeated_address_is_no_name() {
        assert_eq!(person("jane.doe@x", "Jane.Doe@X.ORG").shown(), "Jane.Doe@x.org");
        assert_eq!(person("Jane <a@b.c>", "mailto:A@B.C").shown(), "Jane <A@b.c>");
        assert_eq!(person("Printer", "").shown(), "Printer");
        assert_eq!(Person::new(" ", "<>"), None);
    }

    #[test]
    fn an_address_stands_once_with_the_best_name_of_the_mail() {
        let mut from = vec![person("", "ann@x.org")];
        let mut to = vec![
            person("j.mueller", "J.Mueller@X.de"),
            person("", "J.MUELLER@x.DE"),
            person("Müller, Jörg", "j.mueller@x.de"),
            person("Undisclosed recipients", ""),
        ];
        let mut cc = vec![person("ANN", "Ann@x.org"), person("Jörg Müller", "j.mueller@x.de")];
        settle(&mut from, [&mut to, &mut cc, &mut Vec::new()]);
        let shown = |list: &[Person]| list.iter().map(Person::shown).collect::<Vec<_>>();
        assert_eq!(shown(&from), ["ANN <ann@x.org>"]);
        assert_eq!(shown(&to), ["Jörg Müller <J.Mueller@x.de>", "Undisclosed recipients"]);
        assert_eq!(shown(&cc), ["ANN <Ann@x.org>"], "who writes to oneself stays");
    }
}
