//! Finds the bytes of a text that need an escape, many at once.
//!
//! Bodies are mostly plain text, or JSON with a quotation mark every few bytes: the first is looked at in whole pieces,
//! the second in words of eight, so that neither pays for the other.

/// Which bytes are looked for.
pub(crate) trait Special {
    /// Whether this byte is one of them.
    fn is_special(byte: u8) -> bool;

    /// Not zero if any of eight bytes is one; then the lowest bit that is set belongs to the first of them.
    fn find(word: u64) -> u64;
}

/// What a JSON text can't hold as it stands: quotation marks, backslashes, control characters.
pub(crate) enum Json {}

impl Special for Json {
    #[inline]
    fn is_special(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }

    #[inline]
    fn find(word: u64) -> u64 {
        below(word, 0x20) | equal(word, b'"') | equal(word, b'\\')
    }
}

/// What an XML text of SQS can't hold as it stands (facts/protocols.md § 12), or may not: control characters, of which the
/// ends of lines and tabulators are none the worse, and 0xEF, with which U+FFFE and U+FFFF begin.
pub(crate) enum Xml {}

impl Special for Xml {
    #[inline]
    fn is_special(byte: u8) -> bool {
        byte < 0x20 || matches!(byte, b'&' | b'<' | b'>' | b'"' | 0xEF)
    }

    #[inline]
    fn find(word: u64) -> u64 {
        // `<` and `>` differ in the bit 2 alone.
        equal(word | ones(2), b'>')
            | equal(word, b'&')
            | equal(word, b'"')
            | below(word, 0x20)
            | equal(word, 0xEF)
    }
}

const fn ones(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

/// The highest bit of each byte that is below `limit` (at most 128). A byte above the first hit may be set wrongly: the
/// subtraction borrows.
#[inline]
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ones(limit)) & !word & ones(0x80)
}

#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ ones(byte), 1)
}

/// How many bytes stand before the first special one; all of them if there is none.
#[inline]
pub(crate) fn plain_len<S: Special>(bytes: &[u8]) -> usize {
    const PIECE: usize = 64;
    let mut at = 0;
    // No early exit inside a piece, so that the compiler can look at many bytes at once.
    while let Some(piece) = bytes[at..].first_chunk::<PIECE>() {
        if piece.iter().fold(false, |found, &byte| found | S::is_special(byte)) {
            break;
        }
        at += PIECE;
    }
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let found = S::find(u64::from_le_bytes(*word));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    // The last bytes are looked at together with some that were seen to be plain.
    if at > 0
        && let Some(word) = bytes.last_chunk::<8>()
    {
        let found = S::find(u64::from_le_bytes(*word));
        return if found == 0 {
            bytes.len()
        } else {
            bytes.len() - 8 + (found.trailing_zeros() / 8) as usize
        };
    }
    at + bytes[at..].iter().position(|&byte| S::is_special(byte)).unwrap_or(bytes.len() - at)
}

/// Copies the plain bytes from `at` on up to the next special one, which stays; says where that is.
#[inline]
pub(crate) fn copy_plain<S: Special>(bytes: &[u8], mut at: usize, out: &mut Vec<u8>) -> usize {
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let found = S::find(u64::from_le_bytes(*word));
        // All eight are written in any case: it is cheaper to take back than to write a length that varies.
        let before = out.len();
        out.extend_from_slice(word);
        if found != 0 {
            let plain = (found.trailing_zeros() / 8) as usize;
            out.truncate(before + plain);
            return at + plain;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    let plain = rest.iter().position(|&byte| S::is_special(byte)).unwrap_or(rest.len());
    out.extend_from_slice(&rest[..plain]);
    at + plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agrees<S: Special>(bytes: &[u8]) -> Result<(), TestCaseError> {
        let expected = bytes.iter().position(|&byte| S::is_special(byte)).unwrap_or(bytes.len());
        prop_assert_eq!(plain_len::<S>(bytes), expected);
        let mut copy = Vec::new();
        prop_assert_eq!(copy_plain::<S>(bytes, 0, &mut copy), expected);
        prop_assert_eq!(&copy, &bytes[..expected]);
        Ok(())
    }

    proptest! {
        #[test]
        fn words_and_pieces_find_what_single_bytes_find(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            plain in 0usize..200,
        ) {
            // A plain beginning, so that the whole pieces are reached.
            let plain = plain.min(bytes.len());
            bytes[..plain].iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
            agrees::<Json>(&bytes)?;
            agrees::<Xml>(&bytes)?;
        }
    }

    #[test]
    fn every_byte_is_told_apart_in_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut word = [b'a'; 8];
                word[place] = byte;
                let first = |found: u64| (found != 0).then_some((found.trailing_zeros() / 8) as usize);
                let word = u64::from_le_bytes(word);
                assert_eq!(first(Json::find(word)), Json::is_special(byte).then_some(place), "{byte:#x}");
                assert_eq!(first(Xml::find(word)), Xml::is_special(byte).then_some(place), "{byte:#x}");
            }
        }
    }
}
