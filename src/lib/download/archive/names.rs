//! What an archive holds by the names of its members, whatever it is packed as.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::packing::{BEGIN_BYTES, Packing, Unpacked, packing};

/// An archive that is read from its beginning.
enum Opened {
    Zip(ZipArchive<BufReader<File>>),
    Tar(Box<tar::Archive<Unpacked<File>>>),
}

fn open(path: &Path) -> io::Result<Opened> {
    let mut file = File::open(path)?;
    let mut begin = Vec::with_capacity(BEGIN_BYTES);
    file.by_ref()
        .take(BEGIN_BYTES as u64)
        .read_to_end(&mut begin)?;
    file.rewind()?;
    let packing = packing(&begin).map_err(io::Error::other)?;
    if packing == Packing::Zip {
        let archive = ZipArchive::new(BufReader::new(file)).map_err(io::Error::other)?;
        return Ok(Opened::Zip(archive));
    }
    let archive = tar::Archive::new(Unpacked::new(file, packing)?);
    Ok(Opened::Tar(Box::new(archive)))
}

/// Hands on the name and the size in bytes of each member of the archive at `path`.
///
/// # Errors
/// When it cannot be read to its end, or is no archive that is read; the error says what it is.
pub fn member_names(path: &Path, mut each: impl FnMut(&Path, u64)) -> io::Result<()> {
    match open(path)? {
        Opened::Zip(mut archive) => {
            for index in 0..archive.len() {
                let member = archive.by_index_raw(index).map_err(io::Error::other)?;
                each(&PathBuf::from(member.name()), member.size());
            }
        }
        Opened::Tar(mut archive) => {
            for member in archive.entries()? {
                let member = member?;
                each(&member.path()?, member.size());
            }
        }
    }
    Ok(())
}

/// Hands on the name of each member of the archive at `path` and, to be read, its bytes.
///
/// # Errors
/// As [`member_names`], when a member cannot be unpacked, and what `each` says.
pub fn member_contents(
    path: &Path,
    mut each: impl FnMut(&Path, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    match open(path)? {
        Opened::Zip(mut archive) => {
            for index in 0..archive.len() {
                let mut member = archive.by_index(index).map_err(io::Error::other)?;
                each(&PathBuf::from(member.name()), &mut member)?;
            }
        }
        Opened::Tar(mut archive) => {
            for member in archive.entries()? {
                let mut member = member?;
                let name = member.path()?.into_owned();
                each(&name, &mut member)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A tar with one member.
    fn tarred() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_cksum();
        tar.append_data(&mut header, "a/b.mp4", &b"video"[..])
            .unwrap();
        tar.into_inner().unwrap()
    }

    fn names(bytes: &[u8]) -> io::Result<Vec<(String, u64)>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut found = Vec::new();
        member_names(file.path(), |name, size| {
            found.push((name.display().to_string(), size));
        })?;
        Ok(found)
    }

    fn contents(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut found = Vec::new();
        let each = |name: &Path, content: &mut dyn Read| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            found.push((name.display().to_string(), bytes));
            Ok(())
        };
        member_contents(file.path(), each).unwrap();
        found
    }

    #[test]
    fn members_are_named_however_the_archive_is_packed() {
        let tar = tarred();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        zip.start_file("a/b.mp4", zip::write::FileOptions::default())
            .unwrap();
        zip.write_all(b"video").unwrap();
        for bytes in [
            zstd::stream::encode_all(&tar[..], 1).unwrap(),
            gzip.finish().unwrap(),
            zip.finish().unwrap().into_inner(),
            tar,
        ] {
            assert_eq!(names(&bytes).unwrap(), [("a/b.mp4".to_owned(), 5)]);
            assert_eq!(
                contents(&bytes),
                [("a/b.mp4".to_owned(), b"video".to_vec())]
            );
        }
    }

    #[test]
    fn what_is_no_archive_or_is_cut_short_says_so() {
        assert!(names(b"BZh9").unwrap_err().to_string().contains("bzip2"));
        assert!(names(&tarred()[..514]).is_err());
    }
}
