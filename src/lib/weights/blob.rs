//! The id that git gives the content of a file.

use std::fs;
use std::path::Path;

use sha1::{Digest, Sha1};

use crate::artifact::{self, ArtifactError};

/// The id in hexadecimal: SHA-1 of `blob <size>\0` and the content.
///
/// # Errors
/// When the file cannot be read.
pub fn blob_id(path: &Path) -> Result<String, ArtifactError> {
    let file = fs::metadata(path).map_err(ArtifactError::at("read", path))?;
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", file.len()));
    artifact::read_pieces(path, |piece| hasher.update(piece))?;
    Ok(artifact::hexadecimal(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_those_that_git_gives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        // `git hash-object` of an empty file and of "hello\n".
        for (content, id) in [
            ("", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
            ("hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(blob_id(&path).unwrap(), id);
        }
    }
}
