//! The bytes of a file, piece by piece, and what they hash to.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::ArtifactError;

/// Bytes of a file that are read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The BLAKE3 hash of a file's bytes in hexadecimal, as lineage and the ledgers keep it.
///
/// # Errors
/// When the file cannot be read.
pub fn hash_file(path: &Path) -> Result<String, ArtifactError> {
    let mut hasher = blake3::Hasher::new();
    // Read piece by piece: a file of any length takes no memory, and one that shrinks meanwhile gives no bus error.
    fs::File::open(path)
        .and_then(|file| hasher.update_reader(file).map(drop))
        .map_err(ArtifactError::at("read", path))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Hands the bytes of a file piece by piece to `take`, for hashes that others ask for.
///
/// # Errors
/// When the file cannot be read.
pub fn read_pieces(path: &Path, mut take: impl FnMut(&[u8])) -> Result<(), ArtifactError> {
    let failed = ArtifactError::at("read", path);
    let mut read = || -> io::Result<()> {
        let mut file = fs::File::open(path)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(()),
                n => take(&piece[..n]),
            }
        }
    };
    read().map_err(failed)
}

/// Bytes as hexadecimal digits, two a byte.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing into a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_hash_is_that_of_all_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip");
        let bytes: Vec<u8> = (0..200_001u32).map(|i| (i % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(
            hash_file(&path).unwrap(),
            blake3::hash(&bytes).to_hex().to_string()
        );
        let absent = hash_file(&folder.path().join("absent")).unwrap_err();
        assert!(absent.to_string().contains("absent"), "{absent}");
    }
}
