//! A folder of unpacked clips, as the archive that it was: a tar of its files, made while it is
//! read, the same bytes each time.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::download::archive::video_name;

/// Bytes that a tar's parts are multiples of.
const BLOCK_BYTES: u64 = 512;

/// The clips of one folder, ready to be read as a tar.
pub(super) struct FolderTar {
    /// Their names in the tar and their files, sorted.
    files: std::vec::IntoIter<(String, PathBuf, u64)>,
    bytes: u64,
    /// The header, the file and the padding that are being read; the end at last.
    part: Option<Box<dyn Read + Send>>,
    ended: bool,
}

/// Whether a file's name is that of a clip. Those that begin with a dot are some program's own.
pub(super) fn is_clip(file_name: &str) -> bool {
    !file_name.starts_with('.') && video_name(file_name).is_some()
}

impl FolderTar {
    /// The clips right in `folder`, named below the folder's own name, which is their class. Where
    /// it is the source itself, they have none.
    pub(super) fn open(folder: &Path, class: Option<&str>) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_clip(name)) else {
                continue;
            };
            // A link's file; one that leads nowhere is no clip.
            let Ok(metadata) = entry.path().metadata() else {
                continue;
            };
            if metadata.is_file() {
                let name = class.map_or_else(|| name.to_owned(), |class| format!("{class}/{name}"));
                files.push((name, entry.path(), metadata.len()));
            }
        }
        files.sort();
        let bytes = files
            .iter()
            .try_fold(2 * BLOCK_BYTES, |sum, (name, _, bytes)| {
                let header = header(name, *bytes)?.len() as u64;
                Ok::<_, io::Error>(sum + header + bytes.next_multiple_of(BLOCK_BYTES))
            })?;
        Ok(Self {
            files: files.into_iter(),
            bytes,
            part: None,
            ended: false,
        })
    }

    /// Bytes of the tar.
    pub(super) fn size_bytes(&self) -> u64 {
        self.bytes
    }

    fn next_part(&mut self) -> io::Result<Option<Box<dyn Read + Send>>> {
        if let Some((name, path, bytes)) = self.files.next() {
            let padding = bytes.next_multiple_of(BLOCK_BYTES) - bytes;
            let header = Cursor::new(header(&name, bytes)?);
            let body = Whole {
                file: File::open(&path)?.take(bytes),
            };
            return Ok(Some(Box::new(
                header.chain(body).chain(io::repeat(0).take(padding)),
            )));
        }
        let end = (!self.ended).then(|| io::repeat(0).take(2 * BLOCK_BYTES));
        self.ended = true;
        Ok(end.map(|end| Box::new(end) as Box<dyn Read + Send>))
    }
}

/// A file of which all bytes have to come.
struct Whole {
    file: io::Take<File>,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer)? {
            0 if self.file.limit() > 0 && !buffer.is_empty() => {
                Err(io::Error::other("a clip became shorter while it was read"))
            }
            n => Ok(n),
        }
    }
}

/// The header of a file, with one for its long name before it.
fn header(name: &str, bytes: u64) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, io::empty())?;
    let mut blocks = tar.into_inner()?;
    // Without the end that the builder writes.
    blocks.truncate(blocks.len() - usize::try_from(2 * BLOCK_BYTES).unwrap_or_default());
    Ok(blocks)
}

impl Read for FolderTar {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(part) = &mut self.part {
                let n = part.read(buffer)?;
                if n > 0 {
                    return Ok(n);
                }
            }
            self.part = self.next_part()?;
            if self.part.is_none() {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_clips_are_the_members_of_a_tar_of_the_stated_length() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("{}_000001_000011.webm", "x".repeat(60));
        let class = "a long class name ".repeat(4);
        for (name, bytes) in [
            ("a_000001_000011.mp4", 700),
            (&long, 512),
            (".x.mp4", 1),
            ("notes.txt", 1),
        ] {
            fs::write(folder.path().join(name), vec![7_u8; bytes]).unwrap();
        }
        let open = || FolderTar::open(folder.path(), Some(&class)).unwrap();
        let mut bytes = Vec::new();
        open().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, open().size_bytes());
        let mut tar = tar::Archive::new(&bytes[..]);
        let members = tar.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().display().to_string(), entry.size())
        });
        assert_eq!(
            members.collect::<Vec<_>>(),
            [
                (format!("{class}/a_000001_000011.mp4"), 700),
                (format!("{class}/{long}"), 512)
            ]
        );
    }
}
