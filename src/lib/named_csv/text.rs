//! What a table's bytes are: UTF-8 or UTF-16, and which sign stands between its fields.

use std::io::{self, Chain, Cursor, Read};

/// Bytes of a table that are looked at to tell; a first line is far shorter.
const SNIFFED_BYTES: u64 = 1 << 16;
/// Bytes of UTF-16 that are turned into UTF-8 at a time.
const CHUNK_BYTES: usize = 1 << 13;

/// A table's bytes, as they are or turned from UTF-16 into UTF-8.
#[derive(Debug)]
pub(super) enum Text<R> {
    Utf8(Sniffed<R>),
    Utf16(Utf16<Sniffed<R>>),
}

/// A reader with what was read of it to look at put back.
type Sniffed<R> = Chain<Cursor<Vec<u8>>, R>;

/// The order of the two bytes of a unit of UTF-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl<R: Read> Text<R> {
    /// Looks at the beginning of `bytes`; gives them as UTF-8, as far as they are text, with the sign that stands between the
    /// fields of the first line.
    pub(super) fn sniff(mut bytes: R) -> io::Result<(Self, u8)> {
        let mut begin = Vec::new();
        bytes.by_ref().take(SNIFFED_BYTES).read_to_end(&mut begin)?;
        let order = order(&begin);
        let separator = match order {
            None => separator(&begin),
            Some(order) => {
                let units = begin.chunks_exact(2).map(|pair| unit(order, pair));
                let text: String = char::decode_utf16(units).map_while(Result::ok).collect();
                separator(text.as_bytes())
            }
        };
        let bytes = Cursor::new(begin).chain(bytes);
        let text = match order {
            None => Self::Utf8(bytes),
            Some(order) => Self::Utf16(Utf16 {
                bytes,
                order,
                pending: Vec::new(),
                ready: Cursor::default(),
            }),
        };
        Ok((text, separator))
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Utf8(bytes) => bytes.read(buffer),
            Self::Utf16(text) => text.read(buffer),
        }
    }
}

/// UTF-16 has a mark in front, or, written without one, a zero in every other byte of a table's ASCII names.
fn order(begin: &[u8]) -> Option<Order> {
    match begin {
        [0xff, 0xfe, ..] => Some(Order::Little),
        [0xfe, 0xff, ..] => Some(Order::Big),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some(Order::Little),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some(Order::Big),
        _ => None,
    }
}

/// A comma where the first line has one; else a semicolon or a tab, whichever it has more of.
fn separator(begin: &[u8]) -> u8 {
    let line = begin
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let mut is_quoted = false;
    let mut counts = [0_usize; 3];
    for byte in line {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => counts[0] += 1,
            b';' if !is_quoted => counts[1] += 1,
            b'\t' if !is_quoted => counts[2] += 1,
            _ => {}
        }
    }
    let [commas, semicolons, tabs] = counts;
    if commas > 0 || semicolons + tabs == 0 {
        b','
    } else if semicolons >= tabs {
        b';'
    } else {
        b'\t'
    }
}

fn unit(order: Order, pair: &[u8]) -> u16 {
    let pair = [pair[0], pair[1]];
    match order {
        Order::Little => u16::from_le_bytes(pair),
        Order::Big => u16::from_be_bytes(pair),
    }
}

/// UTF-16 turned into UTF-8, a chunk at a time.
#[derive(Debug)]
pub(super) struct Utf16<R> {
    bytes: R,
    order: Order,
    /// Bytes of a character that is not complete yet.
    pending: Vec<u8>,
    /// What has been turned.
    ready: Cursor<Vec<u8>>,
}

impl<R: Read> Utf16<R> {
    /// Turns the next chunk; says whether there was one.
    fn fill(&mut self) -> io::Result<bool> {
        let damaged = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        let mut chunk = std::mem::take(&mut self.pending);
        let read = self
            .bytes
            .by_ref()
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut chunk)?;
        if read == 0 {
            return if chunk.is_empty() {
                Ok(false)
            } else {
                damaged("the text is UTF-16 and ends within a character")
            };
        }
        let mut units: Vec<u16> = chunk
            .chunks_exact(2)
            .map(|pair| unit(self.order, pair))
            .collect();
        let mut whole = units.len() * 2;
        // The first half of a character outside the basic plane waits for the second.
        if units
            .last()
            .is_some_and(|last| (0xd800..0xdc00).contains(last))
        {
            units.pop();
            whole -= 2;
        }
        self.pending = chunk.split_off(whole);
        match String::from_utf16(&units) {
            Ok(text) => self.ready = Cursor::new(text.into_bytes()),
            Err(_) => return damaged("the text is UTF-16 with a character that is none"),
        }
        Ok(true)
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.ready.read(buffer)?;
            if n > 0 || buffer.is_empty() || !self.fill()? {
                return Ok(n);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<(String, u8)> {
        let (mut text, separator) = Text::sniff(bytes)?;
        let mut all = String::new();
        text.read_to_string(&mut all)?;
        Ok((all, separator))
    }

    /// `text` as UTF-16 in both orders of bytes.
    fn utf16(text: &str) -> [Vec<u8>; 2] {
        [
            text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        ]
    }

    #[test]
    fn utf_16_is_read_in_both_orders_with_and_without_a_mark() {
        // Characters outside the basic plane lie across the ends of chunks.
        let text = format!("label;clip\nä;{}\n", "𝄞a".repeat(3 * CHUNK_BYTES));
        for bytes in utf16(&text) {
            assert_eq!(read(&bytes).unwrap(), (text.clone(), b';'));
        }
        let marked = format!("\u{feff}{text}");
        for bytes in utf16(&marked) {
            assert_eq!(read(&bytes).unwrap(), (marked.clone(), b';'));
        }
    }

    #[test]
    fn broken_utf_16_is_an_error() {
        let [whole, _] = utf16("\u{feff}label,clip");
        assert!(read(&whole[..whole.len() - 1]).is_err());
        let alone = [whole, vec![0x00, 0xdc, b'a', 0]].concat();
        assert!(read(&alone).is_err());
    }

    #[test]
    fn the_sign_between_the_fields_is_a_comma_where_there_is_one() {
        let separator = |text: &str| read(text.as_bytes()).unwrap().1;
        assert_eq!(separator("a,b;c\n"), b',');
        assert_eq!(separator("a;b\n1,2;3\n"), b';');
        assert_eq!(separator("a\tb\tc;d\n"), b'\t');
        assert_eq!(separator("\"a,b\";c\n"), b';');
        assert_eq!(separator("a\nb;c\n"), b',');
        assert_eq!(separator(""), b',');
    }
}
