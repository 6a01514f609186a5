//! Shares: any few of them, mistyped, foreign, mixed.

use super::*;

fn kek(byte: u8) -> Kek {
    Kek::from_key(SecretKey::from_bytes([byte; 32]))
}

fn replaced(text: &str, at: usize, with: char) -> String {
    text.chars().enumerate().map(|(index, c)| if index == at { with } else { c }).collect()
}

#[test]
fn any_few_shares_give_the_key_back_and_fewer_do_not() {
    let kek = Kek::generate().unwrap();
    for (threshold, total) in [(2, 2), (2, 3), (3, 5), (5, 5)] {
        let shares = split(&kek, threshold, total).unwrap();
        assert_eq!(shares.len(), usize::from(total));
        for chosen in 0..1_u32 << total {
            let some: Vec<&String> = (0..shares.len())
                .filter(|at| chosen >> at & 1 == 1)
                .map(|at| &shares[at])
                .collect();
            let found = combine(&some);
            if some.len() >= usize::from(threshold) {
                let found = found.unwrap();
                assert_eq!(found.key().expose(), kek.key().expose(), "{chosen:b} of {total}");
            } else {
                let given = some.len();
                let wanted = if given == 0 { 2 } else { usize::from(threshold) };
                assert_eq!(found.unwrap_err(), ShareError::NotEnough { given, wanted });
            }
        }
    }
}

#[test]
fn a_share_prints_as_nineteen_groups_of_four_and_reads_back_however_it_is_typed() {
    let kek = kek(3);
    let text = split(&kek, 2, 3).unwrap().remove(1);
    let groups: Vec<&str> = text.split('-').collect();
    assert_eq!(groups.len(), 19);
    assert!(groups.iter().all(|group| group.len() == 4), "{text}");
    let plain = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '-';
    assert!(text.chars().all(plain), "{text}");
    let sloppy = format!("  {}\n", text.to_lowercase().replace('-', " ").replace('0', "o"));
    for typed in [text.clone(), sloppy, text.replace('-', "").replace('1', "l")] {
        let share = Share::parse(&typed).unwrap();
        assert_eq!((share.index(), share.threshold(), share.kek_id()), (2, 2, kek.id()));
        assert_eq!(*share.to_text(), text);
    }
}

#[test]
fn the_same_share_twice_counts_once_and_more_than_needed_do_no_harm() {
    let shares = split(&kek(1), 2, 3).unwrap();
    let twice = [&shares[0], &shares[0]];
    assert_eq!(combine(&twice).unwrap_err(), ShareError::NotEnough { given: 1, wanted: 2 });
    let more = [&shares[0], &shares[0], &shares[2], &shares[1]];
    assert_eq!(combine(&more).unwrap().id(), kek(1).id());
}

#[test]
fn every_single_wrong_character_is_noticed_and_its_group_named() {
    let text = split(&kek(9), 2, 2).unwrap().remove(0);
    for (at, right) in text.char_indices().filter(|(_, c)| *c != '-') {
        let wrong = if right == '7' { 'K' } else { '7' };
        let error = Share::parse(&replaced(&text, at, wrong)).unwrap_err();
        assert_eq!(error, ShareError::Mistyped { group: Some(at / 5 + 1) }, "character {at}");
    }
}

#[test]
fn exchanged_neighbours_are_noticed_and_their_group_named() {
    let text = split(&kek(9), 2, 2).unwrap().remove(0);
    let mut letters: Vec<char> = text.chars().collect();
    let at =
        (0..letters.len() - 1).find(|at| letters[*at] != letters[at + 1] && at % 5 < 3).unwrap();
    letters.swap(at, at + 1);
    let error = Share::parse(&letters.iter().collect::<String>()).unwrap_err();
    assert_eq!(error, ShareError::Mistyped { group: Some(at / 5 + 1) });
}

#[test]
fn a_slip_beyond_one_character_is_still_noticed() {
    let text = split(&kek(9), 2, 2).unwrap().remove(0);
    let mut groups: Vec<&str> = text.split('-').collect();
    groups.swap(2, 11);
    let error = Share::parse(&groups.join("-")).unwrap_err();
    assert_eq!(error, ShareError::Mistyped { group: None });
    assert!(error.to_string().contains("every group"), "{error}");
}

#[test]
fn missing_groups_and_foreign_characters_are_named() {
    let text = split(&kek(9), 2, 2).unwrap().remove(0);
    assert_eq!(Share::parse(&text[5..]).unwrap_err(), ShareError::Length { found: 72 });
    assert_eq!(Share::parse(&(text.clone() + "00")).unwrap_err(), ShareError::Length { found: 78 });
    assert_eq!(Share::parse("").unwrap_err(), ShareError::Length { found: 0 });
    let error = Share::parse(&replaced(&text, 10, 'U')).unwrap_err();
    assert_eq!(error, ShareError::Character { character: 'U', group: 3 });
}

#[test]
fn combining_names_the_share_that_is_mistyped() {
    let mut shares = split(&kek(4), 2, 3).unwrap();
    let wrong = if shares[1].starts_with('7') { '8' } else { '7' };
    shares[1] = replaced(&shares[1], 0, wrong);
    let error = combine(&shares).unwrap_err();
    let named = matches!(&error, ShareError::Unreadable { position: 2, problem }
        if **problem == ShareError::Mistyped { group: Some(1) });
    assert!(named, "{error}");
    assert_eq!(error.to_string(), "share 2: the share is mistyped; look at group 1");
}

#[test]
fn combining_names_the_share_of_another_key_wherever_it_stands() {
    let (mine, other) = (split(&kek(1), 2, 3).unwrap(), split(&kek(2), 2, 3).unwrap());
    for place in 0..3 {
        let mut shares = mine.clone();
        shares[place] = other[place].clone();
        let expected =
            ShareError::Foreign { position: place + 1, found: kek(2).id(), expected: kek(1).id() };
        assert_eq!(combine(&shares).unwrap_err(), expected);
    }
}

#[test]
fn shares_of_two_printings_of_one_key_give_no_key() {
    let (first, second) = (split(&kek(1), 2, 3).unwrap(), split(&kek(1), 2, 3).unwrap());
    let third = split(&kek(1), 3, 3).unwrap();
    for pair in [[&first[0], &second[1]], [&first[0], &second[0]], [&first[0], &third[1]]] {
        assert_eq!(combine(&pair).unwrap_err(), ShareError::Mixed);
    }
}

#[test]
fn counts_that_protect_nothing_or_cannot_be_met_are_refused() {
    for (threshold, total) in [(0, 3), (1, 3), (3, 2), (2, 33), (0, 0)] {
        let refused = split(&kek(1), threshold, total).unwrap_err();
        assert_eq!(refused, ShareError::Counts, "{threshold} of {total}");
    }
    assert_eq!(split(&kek(1), 32, 32).unwrap().len(), 32);
}

#[test]
fn a_share_of_a_later_version_says_so() {
    let text = split(&kek(1), 2, 2).unwrap().remove(0);
    let values = symbols(&text).unwrap();
    let mut bytes = crockford::decode(&values).unwrap();
    bytes[0] = 2;
    let sum = checksum(&bytes[..CHECKED_BYTES]);
    bytes[CHECKED_BYTES..].copy_from_slice(&sum);
    assert_eq!(Share::parse(&crockford::encode(&bytes)).unwrap_err(), ShareError::Version);
}

#[test]
fn debug_shows_no_value() {
    let share = Share::parse(&split(&kek(0xcd), 2, 2).unwrap()[0]).unwrap();
    let shown = format!("{share:?}");
    assert_eq!(shown, format!("Share(1 of {}, 2 needed)", kek(0xcd).id()));
}
