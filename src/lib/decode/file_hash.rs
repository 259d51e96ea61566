//! The hash of a clip's file, within the clip's time.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::trouble::Trouble;
use crate::media::MediaError;
use crate::media::limits::Deadline;

/// Largest file that is taken for a clip, in bytes: a sparse file may claim more than anybody can
/// read.
const MAX_FILE_BYTES: u64 = 64 << 30;

/// The BLAKE3 hash of a file in hexadecimal. Whatever the system refuses shows here, before libav
/// gets the file.
pub(super) fn hash_in_time(path: &Path, deadline: Deadline) -> Result<String, Trouble> {
    let refused = |e: io::Error| {
        deadline.check().map_or_else(Trouble::from, |()| {
            Trouble::from(MediaError::Refused(e.to_string()))
        })
    };
    let file = File::open(path).map_err(refused)?;
    let bytes = file.metadata().map_err(refused)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(Trouble::Damaged(format!(
            "{bytes} bytes; {MAX_FILE_BYTES} are the limit for a clip"
        )));
    }
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(InTime { file, deadline })
        .map_err(refused)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Reads until the time is up.
struct InTime {
    file: File,
    deadline: Deadline,
}

impl Read for InTime {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.deadline.is_over() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.file.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::limits::Limits;

    fn of_length(bytes: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        file
    }

    #[test]
    fn a_file_that_claims_a_terabyte_is_refused_unread() {
        let file = of_length(1 << 40);
        let trouble = hash_in_time(file.path(), Limits::default().deadline()).unwrap_err();
        assert!(
            matches!(&trouble, Trouble::Damaged(reason) if reason.contains("limit")),
            "{trouble:?}"
        );
    }

    #[test]
    fn hashing_counts_within_the_clips_time() {
        let file = of_length(1 << 35);
        let limits = Limits {
            seconds: 0,
            ..Limits::default()
        };
        let trouble = hash_in_time(file.path(), limits.deadline()).unwrap_err();
        assert!(
            matches!(&trouble, Trouble::Starved(reason) if reason == "took longer than 0 s"),
            "{trouble:?}"
        );
    }
}
