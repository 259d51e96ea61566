//! numpy's `.npy` files: the header of one; the numbers follow it, in C order.

/// What a file begins with: numpy's mark, then version 1.0 of the format.
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// The numbers begin at a multiple of this many bytes.
const ALIGNMENT: usize = 64;

/// The header of an array of `shape` whose numbers are of numpy's type `descr` (`<i8`, `|u1`, ...).
#[must_use]
pub fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    // A tuple of one has a comma after it.
    let comma = if sizes.len() == 1 { "," } else { "" };
    let sizes = sizes.join(", ");
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}{comma}), }}");
    // Magic, the text's length in two bytes, the text, a newline.
    let unpadded = MAGIC.len() + 2 + text.len() + 1;
    text += &" ".repeat(unpadded.next_multiple_of(ALIGNMENT) - unpadded);
    text.push('\n');
    // A type and a handful of numbers never make a header of 64 KiB.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [MAGIC, &length.to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_laid_out_as_numpy_does() {
        let bytes = header("<i8", &[2, 2]);
        assert_eq!(bytes.len(), 128);
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
        assert_eq!(u16::from_le_bytes([bytes[8], bytes[9]]), 118);
        let text = std::str::from_utf8(&bytes[10..]).unwrap();
        assert!(text.starts_with("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }"));
        assert!(text.ends_with(" \n"));
        let text = String::from_utf8(header("|u1", &[7])[10..].to_vec()).unwrap();
        assert!(text.contains("'shape': (7,), }"), "{text}");
    }
}
