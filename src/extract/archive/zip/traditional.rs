//! The encryption that zip archives had first, for files read as they come.
//!
//! Called by: `stream`. Talks to: `entry` for the decoders.
//! Invariants: a password is tried on the start of a file, which is held meanwhile; it is taken
//! only if that start unpacks with it, since the check in the header lets one in 256 through.
//! Why not the `zip` crate: it wants to know beforehand which password is right.

use std::io::{self, Cursor, Read};

use super::entry::{Checked, unpacked};

/// The encrypted bytes in front of a file, the last of which tells most wrong passwords.
const HEADER: usize = 12;
/// How much of a file passwords are tried on.
const PROOF: u64 = 64 << 10;

/// The state of the cipher, which every plain byte changes.
#[derive(Clone)]
struct Keys([u32; 3]);

impl Keys {
    fn new(password: &str) -> Self {
        let mut keys = Self([0x1234_5678, 0x2345_6789, 0x3456_7890]);
        password.bytes().for_each(|byte| keys.update(byte));
        keys
    }

    fn update(&mut self, plain: u8) {
        let [first, second, third] = &mut self.0;
        *first = crc(*first, plain);
        *second = second.wrapping_add(*first & 0xff).wrapping_mul(134_775_813).wrapping_add(1);
        *third = crc(*third, second.to_be_bytes()[0]);
    }

    fn decrypt(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            let mixed = self.0[2] | 2;
            *byte ^= (mixed.wrapping_mul(mixed ^ 1) >> 8).to_le_bytes()[0];
            self.update(*byte);
        }
    }
}

/// One step of CRC-32 without the inversions around it.
fn crc(state: u32, byte: u8) -> u32 {
    (0..8).fold(state ^ u32::from(byte), |state, _| {
        if state & 1 == 1 { (state >> 1) ^ 0xedb8_8320 } else { state >> 1 }
    })
}

/// What stands before the contents of a file once a password was found.
pub(super) struct Opened {
    keys: Keys,
    start: Vec<u8>,
}

impl Opened {
    /// The plain bytes of the file, whose rest follows in `data`.
    pub(super) fn plain<R: Read>(self, data: R) -> impl Read {
        Plain { keys: self.keys, text: Cursor::new(self.start).chain(data) }
    }
}

/// What is known of a file before it is opened.
pub(super) struct Stated {
    pub(super) method: u16,
    /// The byte that its header must end in.
    pub(super) check: u8,
    pub(super) unpacked: u64,
    pub(super) crc: u32,
}

/// Finds the password of a file by its start; none where no password fits.
pub(super) fn open(
    data: &mut impl Read,
    stated: &Stated,
    passwords: &[String],
) -> io::Result<Option<Opened>> {
    let mut header = [0; HEADER];
    data.read_exact(&mut header)?;
    let mut start = Vec::new();
    data.take(PROOF).read_to_end(&mut start)?;
    let cut = start.len() as u64 == PROOF;
    for password in passwords {
        let (mut keys, mut plain) = (Keys::new(password), header);
        keys.decrypt(&mut plain);
        if plain[HEADER - 1] == stated.check && unpacks(&keys, &start, stated, cut) {
            return Ok(Some(Opened { keys, start }));
        }
    }
    Ok(None)
}

/// True where the start of a file unpacks without an error other than that it is `cut` off.
fn unpacks(keys: &Keys, start: &[u8], stated: &Stated, cut: bool) -> bool {
    let plain = Plain { keys: keys.clone(), text: start };
    let Ok(body) = unpacked(stated.method, plain) else { return true };
    let most = PROOF * 16;
    if !cut {
        let mut body = Checked::new(body, stated.unpacked, stated.crc).take(most);
        return io::copy(&mut body, &mut io::sink()).is_ok();
    }
    match io::copy(&mut body.take(most), &mut io::sink()) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::UnexpectedEof,
    }
}

struct Plain<R> {
    keys: Keys,
    text: R,
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(out)?;
        self.keys.decrypt(&mut out[..count]);
        Ok(count)
    }
}
