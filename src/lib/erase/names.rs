//! Paths as tables, ledger and messages name them. Each name leads back to its path, also where that
//! is no text.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What stands before a byte that belongs to no text, in hexadecimal: a path has one slash between
/// two names.
const BYTE: &[u8] = b"//";

/// The name of a path.
pub(super) fn name_of(path: &Path) -> String {
    let mut name = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        name.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing into a text never fails.
            let _ = write!(name, "//{byte:02x}");
        }
    }
    name
}

/// The path that a name stands for.
pub(super) fn path_of(name: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, left) = escaped(rest).unwrap_or((first, after));
        bytes.push(byte);
        rest = left;
    }
    OsString::from_vec(bytes).into()
}

/// The byte that `name` begins with as [`name_of`] writes it, and what follows it.
fn escaped(name: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, left) = name.strip_prefix(BYTE)?.split_at_checked(2)?;
    let byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    // An ASCII byte belongs to a text wherever it stands.
    (!byte.is_ascii()).then_some((byte, left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_back_to_its_path() {
        for bytes in [
            &b"raw/walk/a b.mp4"[..],
            b"/elsewhere/caf\xc3\xa9",
            b"raw/\xff\xfe/a\xe9.mp4",
            b"\x80",
            b"a/\xc3",
        ] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            assert_eq!(path_of(&name_of(&path)), path, "{}", name_of(&path));
        }
        assert_eq!(name_of(Path::new("raw/caf\u{e9}")), "raw/caf\u{e9}");
        // Names that no path has are left as they are.
        assert_eq!(path_of("s3://x//7f"), Path::new("s3://x//7f"));
    }
}
