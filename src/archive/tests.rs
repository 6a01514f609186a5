//! Archives that were changed in any way are refused as a whole.

use std::io::{Read, Write};

use age::secrecy::SecretString;
use age::{Encryptor, Recipient, scrypt};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::crypto::SecretKey;
use crate::types::{ApplianceId, TenantId, Tier};

const PASSPHRASE: &str = "correct horse battery staple";
/// As little work as there can be: tests open many archives.
const WORK_FACTOR: u8 = 1;

type Entries = Vec<(String, Vec<u8>)>;

fn key() -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_bytes([7; 32]))
}

fn provenance() -> Provenance {
    Provenance {
        version: "0.1.0".to_owned(),
        appliance: ApplianceId::generate(),
        tenant: TenantId::generate(),
        name: "demo".to_owned(),
        tier: Tier::Pro,
        exported_at: Timestamp::UNIX_EPOCH,
        by: "console".to_owned(),
    }
}

fn entries() -> Entries {
    vec![
        ("catalogue.db".to_owned(), vec![1; 5000]),
        ("empty".to_owned(), Vec::new()),
        ("originals/ab".to_owned(), b"the original".to_vec()),
    ]
}

fn written(entries: &Entries) -> Vec<u8> {
    let mut writer = ArchiveWriter::begin_with(Vec::new(), PASSPHRASE, WORK_FACTOR).unwrap();
    for (name, bytes) in entries {
        writer.add(name, bytes.len() as u64, bytes.as_slice()).unwrap();
    }
    writer.finish(provenance(), &key()).unwrap().0
}

fn received(archive: &[u8], passphrase: &str) -> Result<(Entries, Verified), ArchiveError> {
    let mut received = Entries::new();
    let verified = read(archive, passphrase, |name, length, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
        assert_eq!(length, bytes.len() as u64);
        received.push((name.to_owned(), bytes));
        Ok::<(), ArchiveError>(())
    })?;
    Ok((received, verified))
}

/// The tar inside an archive.
fn opened(archive: &[u8]) -> Vec<u8> {
    let identity = scrypt::Identity::new(SecretString::from(PASSPHRASE.to_owned()));
    let identity: &dyn age::Identity = &identity;
    let mut plain = Vec::new();
    age::Decryptor::new(archive)
        .unwrap()
        .decrypt(std::iter::once(identity))
        .unwrap()
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// An archive around a tar that its holder has made, who knows the passphrase.
fn sealed(tar: &[u8]) -> Vec<u8> {
    let mut recipient = scrypt::Recipient::new(SecretString::from(PASSPHRASE.to_owned()));
    recipient.set_work_factor(WORK_FACTOR);
    let recipient: &dyn Recipient = &recipient;
    let mut out = Vec::new();
    let encryptor = Encryptor::with_recipients(std::iter::once(recipient)).unwrap();
    let mut writer = encryptor.wrap_output(&mut out).unwrap();
    writer.write_all(tar).unwrap();
    writer.finish().unwrap();
    out
}

/// The entries of a tar, manifest and signature among them.
fn listed(tar: &[u8]) -> Entries {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    entries.collect()
}

fn packed(entries: &Entries) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn what_was_written_is_read_with_who_signed_it() {
    let (read, verified) = received(&written(&entries()), PASSPHRASE).unwrap();
    assert_eq!(read, entries());
    assert_eq!(verified.signer, key().fingerprint());
    assert_eq!(verified.signer.to_string().parse::<Fingerprint>().unwrap(), verified.signer);
    assert_eq!(verified.manifest.provenance.name, "demo");
    assert_eq!(verified.manifest.entries.len(), 3);
}

#[test]
fn a_wrong_passphrase_is_told_from_a_damaged_file() {
    let archive = written(&entries());
    assert!(matches!(received(&archive, "another"), Err(ArchiveError::WrongPassphrase)));
    let other = b"%PDF-1.7 and whatever else a file may begin with\n".repeat(40);
    assert!(matches!(received(&other, PASSPHRASE), Err(ArchiveError::NotAnArchive)));
    let cut = &archive[..archive.len() - 1];
    assert!(matches!(received(cut, PASSPHRASE), Err(ArchiveError::Read(_))));
}

#[test]
fn an_archive_repacked_by_its_holder_is_refused() {
    let genuine = listed(&opened(&written(&entries())));
    assert!(
        received(&sealed(&packed(&genuine)), PASSPHRASE).is_ok(),
        "repacking alone is harmless"
    );
    type Change = fn(&mut Entries);
    let changes: [(&str, Change); 9] = [
        ("content", |entries| entries[0].1[0] ^= 1),
        ("contents swapped", |entries| {
            let first = std::mem::take(&mut entries[0].1);
            entries[0].1 = std::mem::replace(&mut entries[2].1, first);
        }),
        ("entries swapped", |entries| entries.swap(0, 2)),
        ("an entry less", |entries| drop(entries.remove(2))),
        ("an entry more", |entries| entries.insert(1, ("more".to_owned(), vec![1]))),
        ("an entry twice", |entries| entries.insert(1, entries[0].clone())),
        ("an entry behind the end", |entries| entries.push(("more".to_owned(), vec![1]))),
        ("no signature", |entries| drop(entries.pop())),
        ("another manifest", |entries| {
            let text = String::from_utf8(entries[3].1.clone()).unwrap();
            entries[3].1 = text.replace("demo", "omed").into_bytes();
        }),
    ];
    for (what, change) in changes {
        let mut changed = genuine.clone();
        change(&mut changed);
        assert!(received(&sealed(&packed(&changed)), PASSPHRASE).is_err(), "{what}");
    }
    let mut longer = packed(&genuine);
    longer.push(0);
    let refused = received(&sealed(&longer), PASSPHRASE);
    assert!(matches!(refused, Err(ArchiveError::Surplus)), "{refused:?}");
}

#[test]
fn another_format_number_is_named() {
    let mut entries = listed(&opened(&written(&entries())));
    let manifest = String::from_utf8(entries[3].1.clone()).unwrap();
    let manifest = manifest.replace("\"format\":1", "\"format\":9").into_bytes();
    entries[4].1 = serde_json::to_vec(&key().sign(&manifest)).unwrap();
    entries[3].1 = manifest;
    let refused = received(&sealed(&packed(&entries)), PASSPHRASE);
    assert!(matches!(refused, Err(ArchiveError::Format { found: 9 })), "{refused:?}");
}

#[test]
fn names_that_lead_elsewhere_are_refused_on_both_sides() {
    for name in ["", "/etc/passwd", "../up", "a//b", "a/..", ".hidden", "manifest.json", "ü"] {
        let mut writer = ArchiveWriter::begin_with(Vec::new(), PASSPHRASE, WORK_FACTOR).unwrap();
        assert!(writer.add(name, 0, &[][..]).is_err(), "{name:?}");
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_path("catalogue.db").unwrap();
    link.set_link_name("/etc/passwd").unwrap();
    link.set_size(0);
    link.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&link, &[][..]).unwrap();
    let refused = received(&sealed(&tar.into_inner().unwrap()), PASSPHRASE);
    assert!(matches!(refused, Err(ArchiveError::Entry)), "{refused:?}");
}

#[test]
fn content_of_another_length_than_announced_is_no_entry() {
    for length in [3, 5] {
        let mut writer = ArchiveWriter::begin_with(Vec::new(), PASSPHRASE, WORK_FACTOR).unwrap();
        let refused = writer.add("four", length, &b"four"[..]);
        assert!(matches!(refused, Err(ArchiveError::Length { .. })), "{length}: {refused:?}");
    }
}

#[test]
fn a_receiver_that_reads_nothing_does_not_weaken_the_checks() {
    let archive = written(&entries());
    let skip = |archive: &[u8]| {
        read(archive, PASSPHRASE, |_, _, _| Ok::<(), ArchiveError>(())).map(|_| ())
    };
    assert!(skip(&archive).is_ok());
    let mut changed = listed(&opened(&archive));
    changed[0].1[4999] ^= 1;
    assert!(skip(&sealed(&packed(&changed))).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_is_an_error(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut archive = written(&entries());
        let at = at.index(archive.len());
        archive[at] ^= 1 << bit;
        prop_assert!(received(&archive, PASSPHRASE).is_err());
    }

    #[test]
    fn any_archive_cut_short_is_an_error(at in any::<prop::sample::Index>()) {
        let archive = written(&entries());
        let at = at.index(archive.len());
        prop_assert!(received(&archive[..at], PASSPHRASE).is_err());
    }

    #[test]
    fn any_content_comes_back(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..6)) {
        let entries: Entries = contents
            .into_iter()
            .enumerate()
            .map(|(number, bytes)| (format!("originals/{number}"), bytes))
            .collect();
        prop_assert_eq!(received(&written(&entries), PASSPHRASE).unwrap().0, entries);
    }

    #[test]
    fn garbage_never_panics(tar in prop::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(received(&sealed(&tar), PASSPHRASE).is_err());
    }
}
