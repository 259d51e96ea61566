//! Takes the wanted clips out of a ZIP file. Its list of members stands at its end, so the file is
//! kept on disk while it is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use tar::EntryType;
use zip::ZipArchive;
use zip::result::ZipError;

use super::extract::{ExtractError, Intake, Keeper, Tally};
use super::member::{Verdict, judge};

/// Most members of a ZIP file. Room for all of them is made before the first is seen.
const MAX_MEMBERS: u64 = 1 << 20;
/// Bytes of the end record without its comment, and of the comment at most.
const END_BYTES: u64 = 22;
const MAX_COMMENT_BYTES: u64 = u16::MAX as u64;
/// Bytes of the 64-bit record's locator, which stands before the end record.
const LOCATOR_BYTES: usize = 20;
/// The bits of a Unix mode that tell the type of a file, and those of a link.
const TYPE_BITS: u32 = 0o170_000;
const LINK_BITS: u32 = 0o120_000;

/// Reads a ZIP file to its end: every checksum of a wanted clip is verified, and the clip goes to
/// `keeper`.
///
/// # Errors
/// When the file is damaged or the disk refuses. What was kept before must then be thrown away.
pub(super) fn unzip(mut file: File, keeper: &mut dyn Keeper) -> Result<Tally, ExtractError> {
    let stated = stated_members(&mut file)?;
    if stated.is_none_or(|stated| stated > MAX_MEMBERS) {
        return Err(ExtractError::Damaged(match stated {
            Some(stated) => format!("the ZIP file states {stated} members"),
            None => "the ZIP file has no end: it is cut short".to_owned(),
        }));
    }
    let damaged = |e: ZipError| ExtractError::Damaged(e.to_string());
    let mut archive = ZipArchive::new(file).map_err(damaged)?;
    let mut intake = Intake::new(keeper);
    for index in 0..archive.len() {
        let (name, kind, bytes) = {
            let member = archive.by_index_raw(index).map_err(damaged)?;
            let link = member.unix_mode().map(|mode| mode & TYPE_BITS) == Some(LINK_BITS);
            let kind = match (member.is_dir(), link) {
                (true, _) => EntryType::Directory,
                (_, true) => EntryType::Symlink,
                _ => EntryType::Regular,
            };
            (member.name_raw().to_vec(), kind, member.size())
        };
        if !matches!(judge(&name, kind, bytes), Verdict::Clip(..)) {
            intake.member(&name, kind, bytes, &mut io::empty())?;
            continue;
        }
        match archive.by_index(index) {
            // One byte more than it states, so that a member that gives more is noticed.
            Ok(member) => intake.member(&name, kind, bytes, &mut member.take(bytes + 1))?,
            // With a password, or packed in a way that this reader does not know.
            Err(ZipError::UnsupportedArchive(reason)) => {
                intake.tally.seen += 1;
                intake.tally.refuse(&name, bytes, reason);
            }
            Err(error) => return Err(damaged(error)),
        }
    }
    Ok(intake.tally)
}

/// How many members the end of the file states; `None` where it has no end.
fn stated_members(file: &mut File) -> io::Result<Option<u64>> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let tail = (END_BYTES + MAX_COMMENT_BYTES + LOCATOR_BYTES as u64).min(bytes);
    file.seek(SeekFrom::Start(bytes - tail))?;
    let mut end = Vec::new();
    file.take(tail).read_to_end(&mut end)?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    let Some(at) = end.windows(4).rposition(|w| w == b"PK\x05\x06") else {
        return Ok(None);
    };
    let locator = at.checked_sub(LOCATOR_BYTES).map(|from| &end[from..at]);
    let Some(locator) = locator.filter(|l| l.starts_with(b"PK\x06\x07")) else {
        return Ok(end.get(at + 8..at + 10).map(number));
    };
    let record = number(&locator[8..16]);
    let mut wide = [0; 40];
    if record.checked_add(40).is_none_or(|to| to > bytes) {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(record))?;
    file.read_exact(&mut wide)?;
    Ok(wide
        .starts_with(b"PK\x06\x06")
        .then(|| number(&wide[32..40])))
}
