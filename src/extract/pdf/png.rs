//! PNG files out of pixels.
//!
//! Called by: `pdf::draw`. Talks to: `flate2`.
//! Invariants: eight bits a channel, no transparency; a picture without colour is written in grey.
//!
//! Why by hand: one kind of file is written and none is read, which is less than a library brings.

use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Drawing takes longer than packing at this level, and higher ones save little on pages.
const LEVEL: u32 = 4;
/// Each byte of a line is written as what it differs from the one above.
const FILTER_UP: u8 = 2;
const GREY: u8 = 0;
const COLOUR: u8 = 2;

/// The file for pixels of red, green, blue and one byte that does not count.
pub(super) fn encode(width: u32, height: u32, pixels: &[u8]) -> io::Result<Vec<u8>> {
    let is_grey = pixels.chunks_exact(4).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
    let channels = if is_grey { 1 } else { 3 };
    let line = to_usize(width) * channels;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::new(LEVEL));
    let (mut above, mut here) = (vec![0; line], Vec::with_capacity(line));
    let mut written = Vec::with_capacity(line + 1);
    let lines = pixels.chunks_exact((to_usize(width) * 4).max(1)).take(to_usize(height));
    for pixels in lines {
        here.clear();
        for pixel in pixels.chunks_exact(4) {
            here.extend_from_slice(&pixel[..channels]);
        }
        written.clear();
        written.push(FILTER_UP);
        written.extend(here.iter().zip(&above).map(|(here, above)| here.wrapping_sub(*above)));
        packed.write_all(&written)?;
        std::mem::swap(&mut above, &mut here);
    }
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, if is_grey { GREY } else { COLOUR }, 0, 0, 0]);
    let mut file = SIGNATURE.to_vec();
    chunk(&mut file, *b"IHDR", &header);
    chunk(&mut file, *b"IDAT", &packed.finish()?);
    chunk(&mut file, *b"IEND", &[]);
    Ok(file)
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], body: &[u8]) {
    // Pictures are bounded far below what the length can say.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut sum = Crc::new();
    sum.update(&kind);
    sum.update(body);
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(&kind);
    file.extend_from_slice(body);
    file.extend_from_slice(&sum.sum().to_be_bytes());
}

fn to_usize(length: u32) -> usize {
    usize::try_from(length).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::ZlibDecoder;

    use super::*;

    /// The packed lines of a file, as they are.
    fn lines(file: &[u8]) -> Vec<u8> {
        let at = file.windows(4).position(|window| window == b"IDAT").expect("a body");
        let mut lines = Vec::new();
        ZlibDecoder::new(&file[at + 4..]).read_to_end(&mut lines).expect("packed lines");
        lines
    }

    #[test]
    fn colour_takes_three_channels_and_grey_one() {
        let colour = encode(1, 2, &[1, 2, 3, 255, 5, 5, 5, 255]).expect("memory");
        assert!(colour.starts_with(SIGNATURE));
        assert_eq!(colour[16..26], [0, 0, 0, 1, 0, 0, 0, 2, 8, COLOUR]);
        assert_eq!(lines(&colour), [2, 1, 2, 3, 2, 4, 3, 2]);
        let grey = encode(2, 1, &[9, 9, 9, 255, 7, 7, 7, 255]).expect("memory");
        assert_eq!(grey[25], GREY);
        assert_eq!(lines(&grey), [2, 9, 7]);
        // The sum of the last chunk is the same in every file.
        assert!(grey.ends_with(b"IEND\xaeB`\x82"));
    }
}
