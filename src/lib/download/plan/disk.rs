//! The disk that the clips go to.

use std::path::Path;

/// Free bytes on the disk of `folder` or, where it is not made yet, of the nearest folder above it.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder
        .ancestors()
        .find(|a| a.exists() && !a.as_os_str().is_empty());
    let stat = rustix::fs::statvfs(existing.unwrap_or(Path::new("."))).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}
