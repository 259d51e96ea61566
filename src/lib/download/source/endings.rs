//! Which names are those of archives.

/// Whether a file's name is that of an archive, of those too that are not read, which is then said.
#[must_use]
pub(in crate::download) fn is_archive(path: &str) -> bool {
    const ENDINGS: [&str; 10] = [
        ".tar.gz", ".tgz", ".tar", ".tar.zst", ".tzst", ".zip", ".tar.xz", ".txz", ".tar.bz2",
        ".tbz2",
    ];
    let path = path.to_ascii_lowercase();
    ENDINGS.iter().any(|end| path.ends_with(end))
}
