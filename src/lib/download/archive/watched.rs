//! What is done with compressed bytes on their way: progress, and a copy where `--keep-archives`
//! asks for one.

use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use crate::artifact::{ArtifactError, Draft};
use crate::progress::Progress;

/// Where the copy of the archive at `path` is kept: under its own name, below `folder` whatever the
/// path says.
pub(crate) fn place(folder: &Path, path: &str) -> PathBuf {
    let parts = Path::new(path).components();
    let inside = parts.filter(|part| matches!(part, Component::Normal(_)));
    folder.join(inside.collect::<PathBuf>())
}

/// A reader whose bytes are counted and, where asked for, copied into a draft that is published at
/// the end.
pub(crate) struct Watched<'a, R> {
    inner: R,
    progress: &'a Progress,
    copy: Option<(Draft, PathBuf)>,
    failed: Option<io::Error>,
}

impl<'a, R: Read> Watched<'a, R> {
    pub(crate) fn new(
        inner: R,
        progress: &'a Progress,
        copy: Option<PathBuf>,
    ) -> Result<Self, ArtifactError> {
        Ok(Self {
            inner,
            progress,
            copy: copy
                .map(|path| Draft::new(&path).map(|draft| (draft, path)))
                .transpose()?,
            failed: None,
        })
    }

    /// Publishes the copy and hands the reader back.
    pub(crate) fn finish(self) -> Result<R, ArtifactError> {
        if let Some((draft, path)) = self.copy {
            if let Some(error) = self.failed {
                return Err(ArtifactError::at("write", &path)(error));
            }
            draft.publish()?;
        }
        Ok(self.inner)
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.progress.inc(n as u64);
        if self.failed.is_none()
            && let Some((draft, _)) = &mut self.copy
        {
            // Told at the end, as the disk's error and not as the archive's.
            self.failed = draft.file().write_all(&buffer[..n]).err();
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_lie_in_their_folder_whatever_an_archive_is_called() {
        for (path, expected) in [
            ("train/a.tar.gz", "kept/train/a.tar.gz"),
            ("https://else/a.tar.gz", "kept/https:/else/a.tar.gz"),
            ("/etc/a.tar.gz", "kept/etc/a.tar.gz"),
            ("x/../../../a.tar.gz", "kept/x/a.tar.gz"),
        ] {
            assert_eq!(place(Path::new("kept"), path), Path::new(expected));
        }
    }
}
