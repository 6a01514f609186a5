//! Office documents under a password: trying the passwords at hand, decrypting the package.
//!
//! Called by: `compound`, `odf`. Talks to: `aes`, `cbc`, `ring` for the hashes.
//! Invariants: a password is never logged or kept; the work per password is bounded by
//! `MAX_SPINS` rounds, whatever the file asks for. Two schemes are read: "standard" (Office
//! 2007) and "agile" (since 2010).

use aes::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use mail_parser::decoders::base64::base64_decode;
use ring::digest;

use super::compound::{Compound, stream};
use crate::extract::emit::Stop;
use crate::extract::xml::{Element, Xml};
use crate::types::ExtractFailureCode;

/// What Excel uses where a workbook is only to be shown as protected.
const EXCEL_DEFAULT: &str = "VelvetSweatshop";
const MAX_PASSWORDS: usize = 100;
const MAX_SPINS: u32 = 1_000_000;
const STANDARD_SPINS: u32 = 50_000;
const SEGMENT: usize = 4096;
const BLOCK: usize = 16;

/// The package inside, decrypted by the first password that fits.
pub(super) fn decrypt(
    file: &mut Compound<'_>,
    limit: usize,
    passwords: &[String],
) -> Result<Vec<u8>, Stop> {
    let damaged = || Stop::malformed("The protected document is damaged");
    let info = stream(file, "/EncryptionInfo", limit).ok_or_else(damaged)?;
    let package = stream(file, "/EncryptedPackage", limit).ok_or_else(damaged)?;
    let scheme = Scheme::read(&info).ok_or_else(|| {
        Stop::failure(
            ExtractFailureCode::PasswordRequired,
            "The document is protected in a way that cannot be opened here",
        )
    })?;
    let tried = passwords.iter().map(String::as_str).take(MAX_PASSWORDS);
    for password in tried.chain([EXCEL_DEFAULT]) {
        let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
        if let Some(key) = scheme.key(&password) {
            return scheme.open(&key, &package).ok_or_else(damaged);
        }
    }
    Err(refused(passwords))
}

/// What a document ends with that none of these passwords opens.
pub(super) fn refused(passwords: &[String]) -> Stop {
    let reason = if passwords.is_empty() {
        "The document is protected by a password"
    } else {
        "The document is protected by a password that is not among those given"
    };
    Stop::failure(ExtractFailureCode::PasswordRequired, reason)
}

enum Scheme {
    Standard(Standard),
    Agile(Box<Agile>),
}

struct Standard {
    key_bytes: usize,
    salt: Vec<u8>,
    verifier: Vec<u8>,
    verifier_hash: Vec<u8>,
}

struct Agile {
    /// How the package is encrypted.
    data: Parameters,
    /// How its key is encrypted.
    password: Parameters,
    spins: u32,
    verifier: Vec<u8>,
    verifier_hash: Vec<u8>,
    key: Vec<u8>,
}

struct Parameters {
    salt: Vec<u8>,
    key_bytes: usize,
    hash: &'static digest::Algorithm,
}

impl Scheme {
    fn read(info: &[u8]) -> Option<Self> {
        match (number16(info, 0)?, number16(info, 2)?) {
            (4, 4) => Agile::read(info.get(8..)?).map(Box::new).map(Self::Agile),
            (2..=4, 2) => Standard::read(info).map(Self::Standard),
            _ => None,
        }
    }

    /// The key of the package, if the password is right.
    fn key(&self, password: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Standard(scheme) => scheme.key(password),
            Self::Agile(scheme) => scheme.key(password),
        }
    }

    fn open(&self, key: &[u8], package: &[u8]) -> Option<Vec<u8>> {
        let (size, encrypted) = package.split_first_chunk::<8>()?;
        let mut bytes = encrypted[..encrypted.len() / BLOCK * BLOCK].to_vec();
        match self {
            Self::Standard(_) => decrypt_blocks(key, &mut bytes)?,
            Self::Agile(scheme) => {
                for (number, segment) in (0_u32..).zip(bytes.chunks_mut(SEGMENT)) {
                    let salt = &scheme.data.salt;
                    let mut iv = hash(scheme.data.hash, &[salt, &number.to_le_bytes()]);
                    iv.resize(BLOCK, 0x36);
                    decrypt_chained(key, &iv, segment)?;
                }
            }
        }
        bytes.truncate(usize::try_from(u64::from_le_bytes(*size)).ok()?);
        Some(bytes)
    }
}

impl Standard {
    fn read(info: &[u8]) -> Option<Self> {
        let header_size = usize::try_from(number32(info, 8)?).ok()?;
        let header = info.get(12..)?.get(..header_size)?;
        let key_bytes = usize::try_from(number32(header, 16)?).ok()? / 8;
        let verifier = info.get(12 + header_size..)?;
        Some(Self {
            key_bytes: if key_bytes == 0 { 16 } else { key_bytes },
            salt: verifier.get(4..20)?.to_vec(),
            verifier: verifier.get(20..36)?.to_vec(),
            verifier_hash: verifier.get(40..72)?.to_vec(),
        })
    }

    fn key(&self, password: &[u8]) -> Option<Vec<u8>> {
        let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        let spun = spin(sha1, &self.salt, password, STANDARD_SPINS);
        let last = hash(sha1, &[&spun, &0_u32.to_le_bytes()]);
        let mut key = Vec::new();
        for pad in [0x36_u8, 0x5c] {
            let mut block = [pad; 64];
            block.iter_mut().zip(&last).for_each(|(byte, mask)| *byte ^= mask);
            key.extend(hash(sha1, &[&block]));
        }
        key.truncate(self.key_bytes);
        let (mut verifier, mut expected) = (self.verifier.clone(), self.verifier_hash.clone());
        decrypt_blocks(&key, &mut verifier)?;
        decrypt_blocks(&key, &mut expected)?;
        let found = hash(sha1, &[&verifier]);
        expected.starts_with(&found).then_some(key)
    }
}

impl Agile {
    fn read(xml: &[u8]) -> Option<Self> {
        let xml = Xml::parse(xml).ok()?;
        let root = xml.root()?;
        let encryptor = root.descendant("encryptedKey")?;
        let value = |name| base64_decode(encryptor.attr(name)?.as_bytes());
        Some(Self {
            data: Parameters::read(root.descendant("keyData")?)?,
            password: Parameters::read(encryptor)?,
            spins: encryptor.attr("spinCount")?.parse().ok().filter(|spins| *spins <= MAX_SPINS)?,
            verifier: value("encryptedVerifierHashInput")?,
            verifier_hash: value("encryptedVerifierHashValue")?,
            key: value("encryptedKeyValue")?,
        })
    }

    fn key(&self, password: &[u8]) -> Option<Vec<u8>> {
        const VERIFIER: [u8; 8] = [0xfe, 0xa7, 0xd2, 0x76, 0x3b, 0x4b, 0x9e, 0x79];
        const VERIFIER_HASH: [u8; 8] = [0xd7, 0xaa, 0x0f, 0x6d, 0x30, 0x61, 0x34, 0x4e];
        const KEY: [u8; 8] = [0x14, 0x6e, 0x0b, 0xe7, 0xab, 0xac, 0xd0, 0xd6];
        let own = &self.password;
        let spun = spin(own.hash, &own.salt, password, self.spins);
        let mut iv = own.salt.clone();
        iv.resize(BLOCK, 0x36);
        let opened = |purpose: &[u8], encrypted: &[u8]| {
            let mut key = hash(own.hash, &[&spun, purpose]);
            key.resize(own.key_bytes, 0x36);
            let mut bytes = encrypted.to_vec();
            decrypt_chained(&key, &iv, &mut bytes)?;
            Some(bytes)
        };
        let mut verifier = opened(&VERIFIER, &self.verifier)?;
        verifier.truncate(own.salt.len());
        let expected = opened(&VERIFIER_HASH, &self.verifier_hash)?;
        if !expected.starts_with(&hash(own.hash, &[&verifier])) {
            return None;
        }
        let mut key = opened(&KEY, &self.key)?;
        key.truncate(self.data.key_bytes);
        Some(key)
    }
}

impl Parameters {
    fn read(element: Element<'_>) -> Option<Self> {
        let is = |name: &str, value: &str| {
            element.attr(name).is_some_and(|own| own.eq_ignore_ascii_case(value))
        };
        if !is("cipherAlgorithm", "AES") || !is("cipherChaining", "ChainingModeCBC") {
            return None;
        }
        let hash = match element.attr("hashAlgorithm")?.to_ascii_uppercase().as_str() {
            "SHA1" | "SHA-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "SHA256" | "SHA-256" => &digest::SHA256,
            "SHA384" | "SHA-384" => &digest::SHA384,
            "SHA512" | "SHA-512" => &digest::SHA512,
            _ => return None,
        };
        let key_bits: usize = element.attr("keyBits")?.parse().ok()?;
        let salt = base64_decode(element.attr("saltValue")?.as_bytes())?;
        Some(Self { salt, key_bytes: key_bits / 8, hash })
    }
}

fn spin(
    algorithm: &'static digest::Algorithm,
    salt: &[u8],
    password: &[u8],
    spins: u32,
) -> Vec<u8> {
    let mut value = hash(algorithm, &[salt, password]);
    for number in 0..spins {
        value = hash(algorithm, &[&number.to_le_bytes(), &value]);
    }
    value
}

fn hash(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

/// Decrypts in place, every block by itself.
fn decrypt_blocks(key: &[u8], bytes: &mut [u8]) -> Option<()> {
    fn with<C: KeyInit + BlockCipherDecrypt>(key: &[u8], bytes: &mut [u8]) -> Option<()> {
        let cipher = C::new_from_slice(key).ok()?;
        for block in bytes.chunks_exact_mut(BLOCK) {
            cipher.decrypt_block(block.try_into().ok()?);
        }
        Some(())
    }
    match key.len() {
        16 => with::<Aes128>(key, bytes),
        24 => with::<Aes192>(key, bytes),
        32 => with::<Aes256>(key, bytes),
        _ => None,
    }
}

/// Decrypts in place, every block chained to the one before.
pub(super) fn decrypt_chained(key: &[u8], iv: &[u8], bytes: &mut [u8]) -> Option<()> {
    let iv = iv.get(..BLOCK)?;
    match key.len() {
        16 => unchain(Decryptor::<Aes128>::new_from_slices(key, iv).ok()?, bytes),
        24 => unchain(Decryptor::<Aes192>::new_from_slices(key, iv).ok()?, bytes),
        32 => unchain(Decryptor::<Aes256>::new_from_slices(key, iv).ok()?, bytes),
        _ => None,
    }
}

fn unchain(cipher: impl BlockModeDecrypt, bytes: &mut [u8]) -> Option<()> {
    cipher.decrypt_padded::<NoPadding>(bytes).ok().map(|_| ())
}

/// A number of two bytes.
pub(super) fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number of four bytes.
pub(super) fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
