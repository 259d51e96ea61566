//! The id that git gives the content of a file.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha1::{Digest, Sha1};

use crate::artifact::ArtifactError;

/// Bytes that are hashed at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The id in hexadecimal: SHA-1 of `blob <size>\0` and the content.
///
/// # Errors
/// When the file cannot be read.
pub fn blob_id(path: &Path) -> Result<String, ArtifactError> {
    let failed = |source| ArtifactError::at("read", path)(source);
    let mut file = File::open(path).map_err(failed)?;
    let size_bytes = file.metadata().map_err(failed)?.len();
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {size_bytes}\0"));
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let n = file.read(&mut buffer).map_err(failed)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
    }
    let digest = hasher.finalize();
    Ok(digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
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
