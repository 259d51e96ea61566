//! A page tells whether it is as it was written: its head holds the hash of the rest.

use std::path::Path;

use crate::artifact::{self, ArtifactError};

/// What stands before the hash, and behind it.
const BEFORE: &str = "<meta name=\"blake3\" content=\"";
const BEHIND: &str = "\">";
/// Characters of a BLAKE3 hash in hexadecimal.
const HASH_LENGTH: usize = 64;

/// Puts the hash of `page` into its empty `meta` element of the name `blake3`; a page without one
/// stays as it is.
fn seal(page: &str) -> String {
    let hash = blake3::hash(page.as_bytes()).to_hex();
    let empty = format!("{BEFORE}{BEHIND}");
    page.replacen(&empty, &format!("{BEFORE}{hash}{BEHIND}"), 1)
}

/// Publishes `page`, sealed.
pub(super) fn publish(path: &Path, page: &str) -> Result<(), ArtifactError> {
    artifact::publish(path, |file| file.write_all(seal(page).as_bytes()))
}

/// Whether `page` is one of this program's, to the byte.
#[must_use]
pub fn is_sealed(page: &str) -> bool {
    let Some((head, rest)) = page.split_once(BEFORE) else {
        return false;
    };
    let Some((hash, rest)) = rest.split_at_checked(HASH_LENGTH) else {
        return false;
    };
    let mut hasher = blake3::Hasher::new();
    for part in [head, BEFORE, rest] {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().as_str() == hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_letter_breaks_the_seal() {
        let page = seal("<head><meta name=\"blake3\" content=\"\"></head><body>0.406</body>");
        assert!(is_sealed(&page), "{page}");
        assert!(!is_sealed(&page.replace("0.406", "0.506")));
        assert!(!is_sealed("<head></head>"));
        assert!(!is_sealed(BEFORE));
    }
}
