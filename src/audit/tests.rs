//! The chain under every change somebody could make to it.
//!
//! Called by: cargo test. Talks to: nothing.
//! Invariants: whatever is changed, the check names the first entry that is not as it was.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::crypto::{Keyring, SecretKey};

fn keys(scope: &str, epochs: &[u32]) -> ChainKeys {
    let current = epochs.iter().copied().max().unwrap();
    let keys = epochs.iter().map(|epoch| (*epoch, SecretKey::from_bytes([*epoch as u8; 32])));
    ChainKeys::of(&Keyring::new(scope, current, keys))
}

fn record(number: usize) -> Record {
    let at = Timestamp::UNIX_EPOCH + SignedDuration::from_micros(number as i64 * 1_000_001);
    let actor = match number % 3 {
        0 => Party::new("user", Some("u1".to_owned()), Some("ann".to_owned())),
        1 => Party::new("console", None, None),
        _ => Party::anonymous(),
    };
    let origin = Origin {
        request_id: (!number.is_multiple_of(2)).then(|| format!("r{number}")),
        source: number.is_multiple_of(2).then(|| [127, 0, 0, 1].into()),
    };
    let event = match number % 4 {
        0 => Event::new(Action::DocumentUpload).on("document", number).with("size_bytes", number),
        1 => Event::new(Action::Search).about("where is the lease").with("results", 3_u64),
        2 => Event::new(Action::SessionRefused).ended(Outcome::Refused).with("throttled", true),
        _ => Event::new(Action::MemberChange).with("collections", vec!["a".to_owned()]),
    };
    Occasion { at, actor, origin }.record(event)
}

fn chain(keys: &ChainKeys, length: usize) -> (Vec<Entry>, Head) {
    let mut head = keys.first_head();
    let mut entries = Vec::new();
    for number in 0..length {
        let (entry, next) = keys.extend(&head, record(number), false);
        entries.push(entry);
        head = next;
    }
    (entries, head)
}

fn verdict(keys: &ChainKeys, entries: &[Entry], head: &Head) -> Verdict {
    verify(keys.scope(), entries, HeadCheck::Stored(Some(head), keys))
}

fn flaw(verdict: &Verdict) -> (u64, FlawKind) {
    let flaw = verdict.flaw.clone().expect("a flaw");
    (flaw.sequence, flaw.kind)
}

/// Makes the hashes of a chain right again from `from` on, as a forger would.
fn rechain(entries: &mut [Entry], from: usize) {
    for at in from..entries.len() {
        entries[at].sequence = at as u64 + 1;
        if at > 0 {
            entries[at].previous = entries[at - 1].hash;
        }
        entries[at].hash = entries[at].computed_hash();
    }
}

#[test]
fn an_untouched_chain_is_sound() {
    let keys = keys("t1", &[1]);
    for length in [0, 1, 2, 40] {
        let (entries, head) = chain(&keys, length);
        let sound = Verdict { entries: length as u64, flaw: None };
        assert_eq!(verdict(&keys, &entries, &head), sound);
        assert_eq!(verify("t1", &entries, HeadCheck::Unknown), sound);
    }
}

#[test]
fn writing_an_entry_anew_as_json_does_not_change_its_hash() {
    let (entries, _) = chain(&keys("t1", &[1]), 8);
    for entry in &entries {
        let pretty = serde_json::to_string_pretty(entry).unwrap();
        let read: Entry = serde_json::from_str(&pretty).unwrap();
        assert_eq!(read, *entry);
        assert_eq!(read.computed_hash(), entry.hash);
        // By way of a value, which orders fields as it likes.
        let value: serde_json::Value = serde_json::from_str(&pretty).unwrap();
        assert_eq!(serde_json::from_value::<Entry>(value).unwrap().computed_hash(), entry.hash);
    }
}

#[test]
fn json_that_says_more_than_the_hash_covers_is_no_entry() {
    let (entries, _) = chain(&keys("t1", &[1]), 1);
    let json = serde_json::to_string(&entries[0]).unwrap();
    assert!(serde_json::from_str::<Entry>(&json).is_ok());
    for (from, to) in [
        ("{\"scope\"", "{\"note\":\"x\",\"scope\""),
        ("{\"scope\"", "{\"action\":\"ask\",\"scope\""),
        ("\"actor\":{", "\"actor\":{\"role\":\"x\","),
        ("\"detail\":{", "\"detail\":{\"size_bytes\":9,"),
        ("\"detail\":{", "\"detail\":{\"x\":1.5,"),
        ("\"detail\":{", "\"detail\":{\"x\":{},"),
    ] {
        let forged = json.replacen(from, to, 1);
        assert_ne!(forged, json, "{from}");
        assert!(serde_json::from_str::<Entry>(&forged).is_err(), "{forged}");
    }
}

#[test]
fn the_text_of_a_query_is_kept_only_where_the_policy_says_so() {
    let keys = keys("t1", &[1]);
    let search = |query: &str, keeps: bool| {
        let occasion = Occasion {
            at: Timestamp::UNIX_EPOCH,
            actor: Party::anonymous(),
            origin: Origin::default(),
        };
        let record = occasion.record(Event::new(Action::Search).about(query));
        keys.extend(&keys.first_head(), record, keeps).0.detail
    };
    let hidden = search("Größe", false);
    assert!(hidden.get("query").is_none());
    assert_eq!(hidden.get("query_length"), Some(&Value::Number(5)));
    assert_eq!(search("Größe", true).get("query"), Some(&Value::Text("Größe".to_owned())));
    let digest = |detail: &Detail| detail.get("query_digest").cloned().unwrap();
    assert_eq!(digest(&hidden), digest(&search("Größe", true)));
    assert_ne!(digest(&hidden), digest(&search("Grösse", false)));
    let elsewhere = ChainKeys::of(&Keyring::new("t2", 1, [(1, SecretKey::from_bytes([1; 32]))]));
    assert_ne!(elsewhere.digest("Größe"), keys.digest("Größe"), "tenants cannot be compared");
}

#[test]
fn a_chain_of_another_tenant_does_not_pass() {
    let (own, other) = (keys("t1", &[1]), keys("t2", &[1]));
    let (entries, head) = chain(&other, 3);
    assert_eq!(flaw(&verdict(&own, &entries, &head)), (1, FlawKind::Foreign));
    // With the scope painted over it does not begin where this chain begins.
    let mut painted = entries;
    for entry in &mut painted {
        entry.scope = "t1".to_owned();
    }
    assert_eq!(flaw(&verdict(&own, &painted, &head)), (1, FlawKind::Link));
    assert!(!own.is_genuine(&head), "keys differ by scope");
}

#[test]
fn a_chain_computed_anew_is_found_out_by_its_head() {
    let keys = keys("t1", &[1]);
    let (entries, head) = chain(&keys, 9);
    let mut edited = entries.clone();
    edited[4].result = "refused".to_owned();
    rechain(&mut edited, 4);
    assert_eq!(flaw(&verdict(&keys, &edited, &head)), (9, FlawKind::Rewritten));
    let mut shortened = entries.clone();
    shortened.remove(4);
    rechain(&mut shortened, 4);
    assert_eq!(flaw(&verdict(&keys, &shortened, &head)), (9, FlawKind::Cut));
    let mut lengthened = entries;
    lengthened.insert(4, lengthened[0].clone());
    rechain(&mut lengthened, 4);
    assert_eq!(flaw(&verdict(&keys, &lengthened, &head)), (10, FlawKind::Surplus));
    // A head that fits the forgery cannot be sealed without the key.
    let last = &shortened[7];
    let forged = Head { sequence: 8, hash: last.hash, ..head };
    assert_eq!(flaw(&verdict(&keys, &shortened, &forged)), (9, FlawKind::Head));
    let missing = verify("t1", &shortened, HeadCheck::Stored(None, &keys));
    assert_eq!(flaw(&missing), (9, FlawKind::Head));
}

#[test]
fn a_head_once_found_altered_says_so_for_ever() {
    let keys = keys("t1", &[1]);
    let (mut entries, head) = chain(&keys, 5);
    // Two entries are cut off and the head is set back, without the key.
    entries.truncate(3);
    let mut head = Head { sequence: 3, hash: entries[2].hash, ..head };
    for number in 5..9 {
        let (entry, next) = keys.extend(&head, record(number), false);
        entries.push(entry);
        head = next;
    }
    assert!(keys.is_genuine(&head));
    assert_eq!(flaw(&verdict(&keys, &entries, &head)), (4, FlawKind::Head));
    let cleared = Head { altered_at: None, ..head };
    assert_eq!(flaw(&verdict(&keys, &entries, &cleared)), (8, FlawKind::Head));
}

#[test]
fn a_missing_head_is_noted_when_the_chain_goes_on() {
    let keys = keys("t1", &[1]);
    let (mut entries, _) = chain(&keys, 3);
    let head = keys.head_after_loss(entries.last().map(|last| (last.sequence, last.hash)));
    let (entry, head) = keys.extend(&head, record(3), false);
    entries.push(entry);
    assert_eq!(flaw(&verdict(&keys, &entries, &head)), (4, FlawKind::Head));
}

#[test]
fn a_head_outlives_the_key_it_was_sealed_with() {
    let (old, both, new) = (keys("t1", &[1]), keys("t1", &[1, 2]), keys("t1", &[2]));
    let (mut entries, head) = chain(&old, 3);
    assert!(both.is_genuine(&head) && !new.is_genuine(&head));
    let resealed = both.reseal(&head);
    assert_eq!((resealed.epoch, resealed.altered_at), (2, None));
    assert_eq!(verdict(&new, &entries, &resealed).flaw, None);
    let (entry, head) = both.extend(&head, record(3), false);
    entries.push(entry);
    assert_eq!(verdict(&new, &entries, &head).flaw, None);
    // Sealed anew only after the old key is gone, it can no longer be told from a forgery.
    assert_eq!(new.reseal(&old.first_head()).altered_at, Some(1));
}

#[test]
fn every_action_has_a_word_of_its_own() {
    let mut words: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Action::ALL.len());
    for word in words {
        assert!(word.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_')), "{word}");
        assert!(Action::is_filter(word));
    }
    assert!(Action::is_filter("document") && Action::is_filter("ask"));
    assert!(!Action::is_filter("doc") && !Action::is_filter("") && !Action::is_filter("read"));
}

/// What somebody might change in an entry.
fn edited(entry: &Entry, what: u8) -> Entry {
    let mut entry = entry.clone();
    match what {
        0 => entry.at += SignedDuration::from_nanos(1),
        1 => entry.actor.kind.push('x'),
        2 => entry.actor.id = entry.actor.id.map_or(Some(String::new()), |_| None),
        3 => entry.actor.name = Some("bob".to_owned()),
        4 => entry.action = "document.read".to_owned(),
        5 => {
            entry.resource = entry
                .resource
                .map_or(Some(Resource { kind: "k".into(), id: "i".into() }), |_| None);
        }
        6 => entry.result.push('x'),
        7 => entry.source = Some("10.0.0.1".to_owned()),
        8 => entry.request_id = Some("other".to_owned()),
        9 => entry.detail.set("more", 1_u64),
        10 => entry.detail.set("results", "3"),
        // Moved from one field to its neighbour.
        11 => {
            (entry.source, entry.request_id) = (entry.request_id, entry.source);
        }
        _ => {
            entry.result = format!("{}{}", entry.action, entry.result);
            entry.action = String::new();
        }
    }
    entry
}

const EDITS: u8 = 13;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_edit_is_found_at_its_entry(
        length in 1_usize..24, at in any::<prop::sample::Index>(), what in 0..EDITS,
    ) {
        let keys = keys("t1", &[1]);
        let (mut entries, head) = chain(&keys, length);
        let at = at.index(length);
        entries[at] = edited(&entries[at], what);
        prop_assert_eq!(flaw(&verdict(&keys, &entries, &head)), (at as u64 + 1, FlawKind::Content));
    }

    #[test]
    fn an_edit_with_its_hash_made_right_is_found_one_entry_later(
        length in 1_usize..24, at in any::<prop::sample::Index>(), what in 0..EDITS,
    ) {
        let keys = keys("t1", &[1]);
        let (mut entries, head) = chain(&keys, length);
        let at = at.index(length);
        entries[at] = edited(&entries[at], what);
        entries[at].hash = entries[at].computed_hash();
        let expected = if at + 1 == length {
            (length as u64, FlawKind::Rewritten)
        } else {
            (at as u64 + 2, FlawKind::Link)
        };
        prop_assert_eq!(flaw(&verdict(&keys, &entries, &head)), expected);
    }

    #[test]
    fn any_removal_is_found(
        length in 1_usize..24, at in any::<prop::sample::Index>(), count in 1_usize..4,
    ) {
        let keys = keys("t1", &[1]);
        let (mut entries, head) = chain(&keys, length);
        let at = at.index(length);
        let end = (at + count).min(length);
        entries.drain(at..end);
        let kind = if end == length { FlawKind::Cut } else { FlawKind::Gap };
        prop_assert_eq!(flaw(&verdict(&keys, &entries, &head)), (at as u64 + 1, kind));
    }

    #[test]
    fn any_swap_is_found(
        length in 2_usize..24,
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let keys = keys("t1", &[1]);
        let (mut entries, head) = chain(&keys, length);
        let (one, other) = (one.index(length), other.index(length));
        prop_assume!(one != other);
        entries.swap(one, other);
        let first = one.min(other) as u64 + 1;
        prop_assert_eq!(flaw(&verdict(&keys, &entries, &head)).0, first);
        // Also where the numbers are put right.
        let (low, high) = (one.min(other), one.max(other));
        (entries[low].sequence, entries[high].sequence) = (low as u64 + 1, high as u64 + 1);
        prop_assert_eq!(flaw(&verdict(&keys, &entries, &head)).0, first);
    }

    #[test]
    fn any_repetition_is_found(
        length in 1_usize..24,
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let keys = keys("t1", &[1]);
        let (mut entries, head) = chain(&keys, length);
        let (from, to) = (from.index(length), to.index(length + 1));
        entries.insert(to, entries[from].clone());
        let found = flaw(&verdict(&keys, &entries, &head)).0;
        // Beside its original, the second of the two is the surplus one.
        let expected = if to == from { from + 2 } else { to + 1 };
        prop_assert_eq!(found, expected as u64);
    }

    #[test]
    fn any_change_to_the_head_is_found(length in 0_usize..12, what in 0_u8..5) {
        let keys = keys("t1", &[1, 2]);
        let (entries, head) = chain(&keys, length);
        let mut forged = head.clone();
        match what {
            0 => forged.sequence += 1,
            1 => forged.hash = EntryHash::from_bytes([7; 32]),
            2 => forged.epoch = 1,
            3 => forged.altered_at = Some(1),
            _ => forged.mac.replace_range(..2, if forged.mac.starts_with("00") { "01" } else { "00" }),
        }
        prop_assert_eq!(flaw(&verdict(&keys, &entries, &forged)).1, FlawKind::Head);
    }
}
