//! Parses JSON that consists mostly of long strings. It copies the wanted strings into one allocation,
//! sixteen bytes at a time.
//!
//! It accepts all JSON, and some invalid JSON: skipped values are not fully validated. (Member names with
//! escapes count as unknown.)

/// A range of bytes in the texts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

/// The input, and the kept texts.
pub(super) struct Reader<'j> {
    json: &'j [u8],
    /// The next byte of the input.
    at: usize,
    /// Longer than the kept texts, so that sixteen bytes can be copied although fewer count.
    texts: Vec<u8>,
    kept: usize,
}

/// Number of bytes that are processed together.
const STRIDE: usize = size_of::<u128>();
/// Number of bytes of a string that are scanned together. JSON inside JSON has an escape every few bytes, and
/// finding one after the other would stall on each.
const BLOCK: usize = 64;
/// Maximum nesting of skipped objects and arrays; servers' answers have three levels.
const DEEPEST: usize = 64;

impl<'j> Reader<'j> {
    /// Reads this text, with memory that may have been used before.
    pub fn new(json: &'j [u8], spare: String) -> Reader<'j> {
        let mut texts = spare.into_bytes();
        // Escapes are longer than the characters that they encode.
        texts.resize(json.len() + STRIDE, 0);
        Reader { json, at: 0, texts, kept: 0 }
    }

    /// Returns the kept texts; `None` if more input follows or they are not text.
    pub fn finish(mut self) -> Option<String> {
        if self.peek().is_some() {
            return None;
        }
        self.texts.truncate(self.kept);
        String::from_utf8(self.texts).ok()
    }

    /// Reads an object. Calls `member` before each value, with its name; `member` must read or skip the
    /// value.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &'j [u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.took(b'}') {
            return Some(());
        }
        loop {
            self.expect(b'"')?;
            let start = self.at;
            self.end_of_string()?;
            let name = &self.json[start..self.at - 1];
            self.expect(b':')?;
            member(self, name)?;
            if !self.took(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Reads an array. Calls `element` before each value, which must read or skip it.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.took(b']') {
            return Some(());
        }
        loop {
            element(self)?;
            if !self.took(b',') {
                return self.expect(b']');
            }
        }
    }

    /// Reads a string and keeps it.
    pub fn string(&mut self) -> Option<Span> {
        self.expect(b'"')?;
        let json = self.json;
        let (mut at, mut kept) = (self.at, self.kept);
        let start = kept;
        // Strides that begin in the block may end behind it.
        'blocks: while let Some(bytes) = json.get(at..)?.first_chunk::<{ BLOCK + STRIDE }>() {
            let (block, _) = bytes.split_first_chunk::<BLOCK>()?;
            let mut marks = marks(block);
            let mut run = 0;
            loop {
                let end = marks.trailing_zeros() as usize;
                let plain = end - run;
                let mut copied = 0;
                while copied < plain {
                    let stride = bytes.get(run + copied..)?.first_chunk::<STRIDE>()?;
                    *self.texts.get_mut(kept + copied..)?.first_chunk_mut::<STRIDE>()? = *stride;
                    copied += STRIDE;
                }
                kept += plain;
                if end == BLOCK {
                    at += BLOCK;
                    continue 'blocks;
                }
                match (bytes[end], bytes[end + 1]) {
                    (b'"', _) => {
                        (self.at, self.kept) = (at + end + 1, kept);
                        return Some(Span { start, end: kept });
                    }
                    // Nearly all escapes in JSON inside a string.
                    (b'\\', byte @ (b'"' | b'\\')) => {
                        *self.texts.get_mut(kept)? = byte;
                        kept += 1;
                        run = end + 2;
                        if run >= BLOCK {
                            at += run;
                            continue 'blocks;
                        }
                        marks &= u64::MAX << run;
                    }
                    (b'\\', _) => {
                        (self.at, self.kept) = (at + end + 1, kept);
                        self.escape()?;
                        (at, kept) = (self.at, self.kept);
                        continue 'blocks;
                    }
                    _ => return None,
                }
            }
        }
        // The last stride.
        loop {
            if let Some(bytes) = json.get(at..)?.first_chunk::<STRIDE>() {
                *self.texts.get_mut(kept..)?.first_chunk_mut::<STRIDE>()? = *bytes;
                let plain = plain(*bytes);
                at += plain;
                kept += plain;
                if plain == STRIDE {
                    continue;
                }
            }
            match *json.get(at..)? {
                [b'"', ..] => {
                    (self.at, self.kept) = (at + 1, kept);
                    return Some(Span { start, end: kept });
                }
                [b'\\', byte @ (b'"' | b'\\'), ..] => {
                    *self.texts.get_mut(kept)? = byte;
                    at += 2;
                    kept += 1;
                }
                [b'\\', ..] => {
                    (self.at, self.kept) = (at + 1, kept);
                    self.escape()?;
                    (at, kept) = (self.at, self.kept);
                }
                [] | [..b' ', ..] => return None,
                // The last few bytes.
                [byte, ..] => {
                    *self.texts.get_mut(kept)? = byte;
                    at += 1;
                    kept += 1;
                }
            }
        }
    }

    /// Reads an integer in a string; `None` inside if it is something else.
    pub fn number(&mut self) -> Option<Option<u64>> {
        let text = self.slice()?.trim_ascii();
        let digits = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        Some(digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()))
    }

    /// Reads any value and keeps its text.
    pub fn raw(&mut self) -> Option<Span> {
        let start = self.kept;
        let value = self.slice()?;
        self.keep(value);
        Some(Span { start, end: self.kept })
    }

    /// Reads any value and returns its text without keeping it.
    pub fn slice(&mut self) -> Option<&'j [u8]> {
        let start = self.at;
        self.skip()?;
        Some(&self.json[start..self.at])
    }

    /// Returns whether the next value was `null`.
    pub fn null(&mut self) -> bool {
        let is_null = self.peek() == Some(b'n') && self.json[self.at..].starts_with(b"null");
        if is_null {
            self.at += "null".len();
        }
        is_null
    }

    /// Skips any value.
    pub fn skip(&mut self) -> Option<()> {
        self.skip_at(0)
    }

    fn skip_at(&mut self, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.end_of_string()
            }
            b'{' => self.object(|reader, _| reader.skip_at(depth + 1)),
            b'[' => self.array(|reader| reader.skip_at(depth + 1)),
            _ => {
                let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let length = self.json[self.at..].iter().take_while(|byte| word(byte)).count();
                self.at += length;
                (length > 0).then_some(())
            }
        }
    }

    /// Skips to behind the quote that ends a string.
    fn end_of_string(&mut self) -> Option<()> {
        loop {
            while let Some(bytes) = self.json.get(self.at..)?.first_chunk::<STRIDE>() {
                let plain = plain(*bytes);
                self.at += plain;
                if plain < STRIDE {
                    break;
                }
            }
            let byte = *self.json.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => self.at += 1,
                ..b' ' => return None,
                _ => {}
            }
        }
    }

    /// Decodes the escape after a backslash.
    fn escape(&mut self) -> Option<()> {
        let byte = *self.json.get(self.at)?;
        self.at += 1;
        let meant = match byte {
            b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(),
            _ => return None,
        };
        self.keep(&[meant]);
        Some(())
    }

    /// Decodes `00e9`, or `d83e\udd80`: characters beyond the first 65,536 have two parts.
    fn unicode(&mut self) -> Option<()> {
        let mut code = self.four_digits()?;
        if (0xd800..0xdc00).contains(&code) {
            let behind = self.json.get(self.at..self.at + 2)?;
            self.at += 2;
            let low = self.four_digits().filter(|low| behind == b"\\u" && (0xdc00..0xe000).contains(low))?;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        let meant = char::from_u32(code)?;
        self.keep(meant.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.json.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.texts[self.kept..self.kept + bytes.len()].copy_from_slice(bytes);
        self.kept += bytes.len();
    }

    /// Returns the next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.took(byte).then_some(())
    }

    fn took(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }
}

/// Returns a bit for each of these bytes that is a quote, a backslash or a control character; the first is
/// the lowest bit.
fn marks(block: &[u8; BLOCK]) -> u64 {
    // Ones and zeros first, which the compiler vectorises.
    let marked = block.map(|byte| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < b' '));
    let (words, _) = marked.as_chunks::<8>();
    let bits = |word: &[u8; 8]| {
        // Collects the lowest bit of each byte in the highest byte.
        u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56
    };
    words.iter().rev().fold(0, |marks, word| marks << 8 | bits(word))
}

/// Returns how many of these bytes come before the first quote, backslash or control character.
fn plain(bytes: [u8; STRIDE]) -> usize {
    const ONES: u128 = u128::from_ne_bytes([1; STRIDE]);
    const HIGHS: u128 = ONES << 7;
    let word = u128::from_le_bytes(bytes);
    // Subtraction borrows from the bytes above the one that is found, never from those below it.
    let zero = |word: u128| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ (ONES * b'"' as u128));
    let backslash = zero(word ^ (ONES * b'\\' as u128));
    let control = word.wrapping_sub(ONES * b' ' as u128) & !word;
    (((quote | backslash | control) & HIGHS).trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_string(json: &str) -> Option<String> {
        let mut reader = Reader::new(json.as_bytes(), String::new());
        let span = reader.string()?;
        Some(reader.finish()?[span.start..span.end].to_owned())
    }

    #[test]
    fn a_string_is_read_as_serde_reads_it_wherever_its_escapes_stand() {
        let awkward = [
            "\"",
            "\\",
            "/",
            "\n\u{8}\u{c}\r\t",
            "\u{1}",
            "é",
            "€",
            "🦀",
            "\u{7f}",
            "\u{2028}",
            "\"\"\"\"\"\"\"\"\"",
        ];
        for text in awkward {
            let short = (0..20).flat_map(|before| (0..20).map(move |behind| (before, behind)));
            let long = (0..140).flat_map(|before| [50, 100].map(move |behind| (before, behind)));
            for (before, behind) in short.chain(long) {
                let text = ["x".repeat(before).as_str(), text, &"ÿ".repeat(behind)].concat();
                let json = serde_json::to_string(&text).unwrap();
                assert_eq!(read_string(&json).as_ref(), Some(&text));
                let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                assert_eq!(read_string(&format!(" \"{escaped}\"\n")), Some(text));
            }
        }
        assert_eq!(read_string(r#""\b\f\n\r\t\/\u00E9""#).as_deref(), Some("\u{8}\u{c}\n\r\t/é"));
    }

    #[test]
    fn what_serde_refuses_in_a_string_is_refused() {
        let long = "x".repeat(9);
        for wrong in [
            "",
            "x",
            "\"",
            "\"x",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\ud800 udc00\"",
            "\"\\udc00\"",
            "\"\n\"",
            "\"\u{1f}\"",
            "\"x\"x",
            "\"x\" \"y\"",
        ] {
            for json in [wrong.to_owned(), wrong.replacen('"', &["\"", &long].concat(), 1)] {
                assert!(serde_json::from_str::<String>(&json).is_err());
                assert_eq!(read_string(&json), None, "{json:?}");
            }
        }
        let mut reader = Reader::new(b"\"\xff\"", String::new());
        assert!(reader.string().is_some() && reader.finish().is_none());
    }

    #[test]
    fn values_of_all_kinds_are_skipped_or_kept_as_they_are_written() {
        for value in
            ["1", "-1.5e+3", "true", "null", "[]", "{ }", r#""a\"]""#, r#"[1, {"a\"": [null, "]}"]}, [[]]]"#]
        {
            let json = format!(r#"{{ "a": {value} , "b":{value}, "c":"7","d":7 }}"#);
            let mut reader = Reader::new(json.as_bytes(), String::new());
            let (mut kept, mut numbers) = (None, Vec::new());
            let read = reader.object(|reader, name| {
                match name {
                    b"a" => reader.skip()?,
                    b"b" => kept = Some(reader.raw()?),
                    _ => numbers.push(reader.number()?),
                }
                Some(())
            });
            assert_eq!((read, numbers), (Some(()), vec![Some(7), None]), "{json}");
            let (texts, span) = (reader.finish().unwrap(), kept.unwrap());
            assert_eq!(&texts[span.start..span.end], value);
        }
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        for wrong in ["{", "[", "{\"a\"}", "{\"a\":}", "[1,]", "[1 2]", "{\"a\":1,}", "\"", "[\"\\", &deep] {
            assert!(Reader::new(wrong.as_bytes(), String::new()).skip().is_none(), "{wrong:.20}");
        }
    }
}
