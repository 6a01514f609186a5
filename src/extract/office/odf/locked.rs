//! OpenDocument packages under a password: which parts are locked and how, and opening them.
//!
//! Called by: `odf`. Talks to: `package`, `protection`, `ring`, `argon2`, `flate2`.
//! Invariants: the work and the memory that a file asks for are bounded, per part and for all of
//! them; a password is kept as long as its document is read and never printed.
//!
//! Two forms are read. In OpenDocument 1.2 and 1.3 (part 2, sections 3.4 and 4.8) every part is
//! packed, encrypted with AES in CBC mode and stored, and the manifest says how; the checksum of
//! the first kilobyte tells whether a password fits. LibreOffice 24.2 and later puts a whole
//! package into one part, under AES in GCM mode and a key by Argon2id (RFC 9106). What programs
//! wrote before 2012, Blowfish, is not read.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::Read;
use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Params, Version};
use flate2::read::DeflateDecoder;
use mail_parser::decoders::base64::base64_decode;
use ring::{aead, digest, pbkdf2};

use crate::extract::emit::Stop;
use crate::extract::office::protection::{decrypt_chained, refused};
use crate::extract::package::{Package, Unlock};
use crate::extract::xml::Element;
use crate::types::ExtractFailureCode;

/// The part that is a package of its own.
const WHOLE: &str = "encrypted-package";
const MAX_ROUNDS: u32 = 1_000_000;
/// Most rounds for all parts of a document, of which each may have a key of its own.
const MAX_ROUNDS_IN_ALL: u32 = 50_000_000;
const MAX_MEMORY_KIB: u32 = 256 << 10;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;
/// How much of a packed part its checksum is of.
const CHECKED: usize = 1024;
/// Largest part when unpacked, and most of all parts together.
const MAX_PART: u64 = 256 << 20;
const MAX_TOTAL: u64 = 1 << 30;
const BLOCK: usize = 16;

/// The locked parts of a package, by their names in lower case.
pub(super) struct Lock(HashMap<String, Encryption>);

/// How a part is encrypted.
struct Encryption {
    cipher: Cipher,
    iv: Vec<u8>,
    start: &'static digest::Algorithm,
    derivation: Derivation,
    checksum: Option<(&'static digest::Algorithm, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Cbc,
    Gcm,
}

/// How a key is made from a digest of the password.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Derivation {
    Pbkdf2 { salt: Vec<u8>, rounds: NonZeroU32, key_bytes: usize },
    Argon2id { salt: Vec<u8>, passes: u32, memory_kib: u32, lanes: u32, key_bytes: usize },
}

impl Lock {
    /// Reads what the manifest says; none where nothing is locked.
    ///
    /// # Errors
    /// A lock of a kind that is not known, or that asks for too much.
    pub(super) fn read(manifest: Element<'_>) -> Result<Option<Self>, Stop> {
        let mut parts = HashMap::new();
        for entry in manifest.children() {
            if let (Some(name), Some(data)) =
                (entry.attr("full-path"), entry.child("encryption-data"))
            {
                let encryption = Encryption::read(data).ok_or_else(unknown)?;
                parts.insert(name.to_lowercase(), encryption);
            }
        }
        Ok((!parts.is_empty()).then_some(Self(parts)))
    }

    /// The package that is in the one part of another.
    ///
    /// # Errors
    /// No password fits, or the part is damaged.
    pub(super) fn open_whole(
        &self,
        package: &mut Package<'_>,
        passwords: &[String],
    ) -> Result<Option<Vec<u8>>, Stop> {
        let Some(encryption) = self.0.get(WHOLE) else {
            return Ok(None);
        };
        let bytes = package.part(WHOLE)?.ok_or_else(damaged)?;
        for password in passwords {
            let key = encryption.key(password).ok_or_else(unknown)?;
            if let Some(packed) = encryption.decrypt(&key, &bytes) {
                return unpack(&packed, MAX_PART).map(Some);
            }
        }
        Err(refused(passwords))
    }

    /// The same parts with the password that fits them.
    ///
    /// # Errors
    /// No password fits.
    pub(super) fn open(
        self,
        package: &mut Package<'_>,
        passwords: &[String],
    ) -> Result<Box<dyn Unlock>, Stop> {
        let usual = ["content.xml", "meta.xml", "styles.xml"];
        let usual = usual.into_iter().find_map(|name| self.0.get_key_value(name));
        let tried = usual.or_else(|| self.0.iter().next());
        let (name, encryption) = tried.ok_or_else(damaged)?;
        let bytes = package.part(name)?.ok_or_else(damaged)?;
        for password in passwords {
            let key = encryption.key(password).ok_or_else(unknown)?;
            if encryption.decrypt(&key, &bytes).is_some() {
                return Ok(Box::new(Opened {
                    parts: self.0,
                    password: password.clone(),
                    keys: RefCell::default(),
                    rounds: Cell::new(MAX_ROUNDS_IN_ALL),
                    bytes: Cell::new(MAX_TOTAL),
                }));
            }
        }
        Err(refused(passwords))
    }
}

/// The locked parts of a package whose password is known.
struct Opened {
    parts: HashMap<String, Encryption>,
    password: String,
    /// Parts may share what their keys are made of.
    keys: RefCell<HashMap<Derivation, Vec<u8>>>,
    /// Rounds and bytes that are left.
    rounds: Cell<u32>,
    bytes: Cell<u64>,
}

impl Unlock for Opened {
    fn unlock(&self, name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Stop> {
        let Some(encryption) = self.parts.get(&name.to_lowercase()) else {
            return Ok(bytes);
        };
        let packed = encryption.decrypt(&self.key(encryption)?, &bytes);
        let plain = unpack(&packed.ok_or_else(damaged)?, MAX_PART.min(self.bytes.get()))?;
        self.bytes.set(self.bytes.get().saturating_sub(plain.len() as u64));
        Ok(plain)
    }
}

impl Opened {
    fn key(&self, encryption: &Encryption) -> Result<Vec<u8>, Stop> {
        let mut keys = self.keys.borrow_mut();
        if let Some(key) = keys.get(&encryption.derivation) {
            return Ok(key.clone());
        }
        let left = self.rounds.get().checked_sub(encryption.derivation.rounds());
        self.rounds.set(left.ok_or_else(|| {
            let reason = "The locked parts of the document ask for too much work to be opened";
            Stop::failure(ExtractFailureCode::TooLarge, reason)
        })?);
        let key = encryption.key(&self.password).ok_or_else(unknown)?;
        keys.insert(encryption.derivation.clone(), key.clone());
        Ok(key)
    }
}

impl Encryption {
    fn read(data: Element<'_>) -> Option<Self> {
        let algorithm = data.child("algorithm")?;
        let (cipher, key_bytes) = match ending(algorithm.attr("algorithm-name")?) {
            "aes128-cbc" => (Cipher::Cbc, 16),
            "aes192-cbc" => (Cipher::Cbc, 24),
            "aes256-cbc" => (Cipher::Cbc, 32),
            "aes256-gcm" => (Cipher::Gcm, 32),
            _ => return None,
        };
        let checksum = match data.attr("checksum-type") {
            None => None,
            Some(kind) => {
                let hash = match ending(kind) {
                    "sha256-1k" | "SHA256/1K" => &digest::SHA256,
                    "sha1-1k" | "SHA1/1K" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
                    _ => return None,
                };
                Some((hash, bytes(data, "checksum")?))
            }
        };
        let start = data.child("start-key-generation");
        let start = match start.and_then(|start| start.attr("start-key-generation-name")) {
            None => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Some(name) => match ending(name) {
                "sha256" | "SHA256" => &digest::SHA256,
                "sha1" | "SHA1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
                _ => return None,
            },
        };
        Some(Self {
            cipher,
            iv: bytes(algorithm, "initialisation-vector")?,
            start,
            derivation: Derivation::read(data.child("key-derivation")?, key_bytes)?,
            checksum,
        })
    }

    /// The key that a password makes.
    fn key(&self, password: &str) -> Option<Vec<u8>> {
        self.derivation.key(digest::digest(self.start, password.as_bytes()).as_ref())
    }

    /// The packed part, if the key is right.
    fn decrypt(&self, key: &[u8], part: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = part.to_vec();
        let length = match self.cipher {
            Cipher::Cbc => {
                decrypt_chained(key, &self.iv, &mut bytes)?;
                // The last byte says how many were added.
                let added = usize::from(*bytes.last()?);
                (1..=BLOCK).contains(&added).then_some(bytes.len().checked_sub(added)?)?
            }
            Cipher::Gcm => {
                // XML Encryption puts the vector in front.
                let sealed = bytes.strip_prefix(self.iv.as_slice())?.len();
                bytes.drain(..part.len() - sealed);
                let nonce = aead::Nonce::try_assume_unique_for_key(&self.iv).ok()?;
                let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).ok()?;
                let key = aead::LessSafeKey::new(key);
                key.open_in_place(nonce, aead::Aad::empty(), &mut bytes).ok()?.len()
            }
        };
        bytes.truncate(length);
        let Some((hash, stated)) = &self.checksum else {
            // Only what a key can open by chance has to unpack as well.
            let is_sure = self.cipher == Cipher::Gcm || unpack(&bytes, MAX_PART).is_ok();
            return is_sure.then_some(bytes);
        };
        let found = digest::digest(hash, &bytes[..bytes.len().min(CHECKED)]);
        (found.as_ref() == stated.as_slice()).then_some(bytes)
    }
}

impl Derivation {
    /// None where it is not known or asks for more than is given.
    fn read(element: Element<'_>, key_bytes: usize) -> Option<Self> {
        let number = |name: &str| element.attr(name)?.parse::<u32>().ok();
        let salt = bytes(element, "salt")?;
        match ending(element.attr("key-derivation-name")?) {
            "PBKDF2" | "pbkdf2" => {
                let rounds = NonZeroU32::new(number("iteration-count")?)?;
                (rounds.get() <= MAX_ROUNDS).then_some(Self::Pbkdf2 { salt, rounds, key_bytes })
            }
            "argon2id" => {
                let passes = number("argon2-iterations")?;
                let memory_kib = number("argon2-memory")?;
                let lanes = number("argon2-lanes")?;
                let is_bounded =
                    passes <= MAX_PASSES && memory_kib <= MAX_MEMORY_KIB && lanes <= MAX_LANES;
                is_bounded.then_some(Self::Argon2id { salt, passes, memory_kib, lanes, key_bytes })
            }
            _ => None,
        }
    }

    /// What it costs, in rounds of PBKDF2.
    fn rounds(&self) -> u32 {
        match self {
            Self::Pbkdf2 { rounds, .. } => rounds.get(),
            // A kibibyte of memory is about as much work as four rounds.
            Self::Argon2id { passes, memory_kib, .. } => passes * memory_kib * 4,
        }
    }

    fn key(&self, start: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Pbkdf2 { salt, rounds, key_bytes } => {
                let mut key = vec![0; *key_bytes];
                pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, *rounds, salt, start, &mut key);
                Some(key)
            }
            Self::Argon2id { salt, passes, memory_kib, lanes, key_bytes } => {
                let mut key = vec![0; *key_bytes];
                let params = Params::new(*memory_kib, *passes, *lanes, Some(*key_bytes)).ok()?;
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                argon2.hash_password_into(start, salt, &mut key).ok()?;
                Some(key)
            }
        }
    }
}

/// The last step of an address, or the whole of a plain name.
fn ending(name: &str) -> &str {
    name.rsplit(['#', ':']).next().unwrap_or(name)
}

fn bytes(element: Element<'_>, name: &str) -> Option<Vec<u8>> {
    base64_decode(element.attr(name)?.as_bytes())
}

/// Unpacks a part that was packed before it was encrypted.
fn unpack(packed: &[u8], limit: u64) -> Result<Vec<u8>, Stop> {
    let mut plain = Vec::new();
    let read = DeflateDecoder::new(packed).take(limit.saturating_add(1)).read_to_end(&mut plain);
    read.map_err(|_| damaged())?;
    if plain.len() as u64 > limit {
        let reason = "The file is too large inside: its locked parts swell beyond what is read";
        return Err(Stop::failure(ExtractFailureCode::TooLarge, reason));
    }
    Ok(plain)
}

fn damaged() -> Stop {
    Stop::malformed("The protected document is damaged")
}

/// No password can help here.
fn unknown() -> Stop {
    Stop::failure(
        ExtractFailureCode::UnsupportedType,
        "The document is protected by a password in a way that cannot be opened here; an office \
         program that saves it anew protects it in another way",
    )
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::{Found, limits, package_of};
    use crate::extract::xml::Xml;
    use crate::extract::{ExtractRequest, extract};
    use crate::types::{ExtractFailure, ExtractFailureCode};

    use super::Lock;

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../../../tests/fixtures/formats/odf-crypto/", $name))
                .as_slice()
        };
    }

    fn open(bytes: &[u8], passwords: &[&str]) -> Result<Found, ExtractFailure> {
        let passwords: Vec<String> = passwords.iter().map(|word| (*word).to_owned()).collect();
        let request = ExtractRequest {
            name: "a.odt".to_owned(),
            media_type: None,
            format: None,
            passwords: passwords.into(),
            limits: limits(),
        };
        let mut found = Found::default();
        found.document = extract(&request, &mut &bytes[..], &mut found)?;
        Ok(found)
    }

    #[test]
    fn both_forms_are_opened_by_the_password_that_fits() {
        for (bytes, form) in [
            (fixture!("lo-legacy-aes-cbc.odt"), "part by part"),
            (fixture!("lo-wholesome-gcm-argon2.odt"), "as a whole"),
        ] {
            let found = open(bytes, &["not this", "password"]).expect(form);
            assert!(!found.texts().is_empty(), "{form}");
            assert!(found.document.media_type.ends_with("opendocument.text"), "{form}");
            assert!(found.document.warnings.is_empty(), "{:?}", found.document.warnings);
            assert!(found.document.content_date.is_some(), "its facts are locked, too");
            for passwords in [&[][..], &["not this"]] {
                let failure = open(bytes, passwords).expect_err("locked");
                assert_eq!(failure.code, ExtractFailureCode::PasswordRequired, "{form}");
            }
        }
    }

    #[test]
    fn pictures_are_unlocked_like_the_text() {
        let found = open(fixture!("lo-legacy-aes-cbc-image.odt"), &["password"]).expect("open");
        assert_eq!(found.document.metadata["pictures"], "1");
        assert!(found.document.warnings.is_empty(), "{:?}", found.document.warnings);
    }

    #[test]
    fn a_lock_that_no_password_opens_is_told_from_one_that_does() {
        let failure =
            open(fixture!("aoo-blowfish-pbkdf2.odt"), &["password"]).expect_err("Blowfish");
        assert_eq!(failure.code, ExtractFailureCode::UnsupportedType);
        assert!(failure.message.contains("cannot be opened here"), "{}", failure.message);
    }

    /// What a manifest says of one part.
    fn lock(derivation: &str) -> bool {
        let manifest = format!(
            "<manifest><file-entry full-path='content.xml'><encryption-data>\
             <algorithm algorithm-name='http://www.w3.org/2001/04/xmlenc#aes256-cbc' \
             initialisation-vector='QBXqfBpUgoUkmH27eYj0Bw=='/>{derivation}</encryption-data>\
             </file-entry></manifest>"
        );
        let xml = Xml::parse(manifest.as_bytes()).expect("XML");
        Lock::read(xml.root().expect("a root")).is_ok_and(|lock| lock.is_some())
    }

    #[test]
    fn more_work_or_memory_than_is_given_is_not_begun() {
        let pbkdf2 = |rounds: &str| {
            lock(&format!(
                "<key-derivation key-derivation-name='PBKDF2' salt='AAAA' iteration-count='{rounds}'/>"
            ))
        };
        assert!(pbkdf2("100000"));
        for rounds in ["0", "-1", "4000000000", "x", ""] {
            assert!(!pbkdf2(rounds), "{rounds}");
        }
        let argon2 = |passes: u32, memory: u32, lanes: u32| {
            lock(&format!(
                "<key-derivation key-derivation-name='urn:x:argon2id' salt='AAAA' \
                 argon2-iterations='{passes}' argon2-memory='{memory}' argon2-lanes='{lanes}'/>"
            ))
        };
        assert!(argon2(3, 65_536, 4));
        for (passes, memory, lanes) in
            [(4_000_000_000, 65_536, 4), (3, 4_000_000_000, 4), (3, 65_536, 4_000_000)]
        {
            assert!(!argon2(passes, memory, lanes), "{passes} {memory} {lanes}");
        }
    }

    #[test]
    fn a_part_that_was_changed_is_damaged_and_not_locked() {
        let manifest = "<manifest><file-entry full-path='encrypted-package'><encryption-data>\
             <algorithm algorithm-name='x#aes256-gcm' initialisation-vector='AAAAAAAAAAAAAAAA'/>\
             <key-derivation key-derivation-name='PBKDF2' salt='AAAA' iteration-count='1'/>\
             </encryption-data></file-entry></manifest>";
        // Without the part itself there is nothing to try a password on.
        let bytes = package_of(&[
            ("mimetype", b"application/vnd.oasis.opendocument.text"),
            ("META-INF/manifest.xml", manifest.as_bytes()),
        ]);
        let failure = open(&bytes, &["password"]).expect_err("damaged");
        assert_eq!(failure.code, ExtractFailureCode::Malformed);
    }
}
