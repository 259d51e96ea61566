//! Takes the wanted clips out of a tar stream, and nothing else; memory does not grow with the
//! archive.
//!
//! Headers are read one by one, long names (GNU and pax) within limits, so that no archive can make
//! us hold, write or follow what it likes.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, Read};

use tar::{EntryType, PaxExtensions};

use super::member::{MAX_NAME_BYTES, Verdict, class_of, judge, printable};
use crate::artifact::ArtifactError;
use crate::clip::ClipId;
use crate::download::ledger::{KeptClip, RefusedMember};
use crate::download::source::{RemoteError, fault_in};

/// Most bytes of a pax header that are read; a longer one makes the archive unreadable.
const MAX_PAX_BYTES: u64 = 64 * 1024;
/// Most headers of an archive: of members, and of those that only describe one.
const MAX_HEADERS: u64 = 5_000_000;
/// Most bytes of zeros between members, and behind the last. Tools pad to a tape's record at most,
/// joined archives between.
const MAX_PADDING_BYTES: u64 = 16 << 20;
/// Most unpacked bytes of an archive; the largest official ones have a few gigabytes.
const MAX_UNPACKED_BYTES: u64 = 1 << 40;
/// Refused members that are listed; the rest is only counted.
const MAX_LISTED_REFUSALS: usize = 1000;

/// What an archive turned out to hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Members of all kinds.
    pub seen: u64,
    /// Members refused.
    pub refused_count: u64,
    /// Members refused, as far as they are listed, in the archive's order.
    pub refused: Vec<RefusedMember>,
    /// Clips kept, in the archive's order.
    pub kept: Vec<KeptClip>,
    /// The class that the first member's name gives.
    pub first_class: Option<String>,
}

/// Why an archive could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The source failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The bytes are no sound archive: damaged, cut, or hostile.
    #[error("{0}")]
    Damaged(String),
    /// The file is of a kind that is not read, however often it is fetched.
    #[error("{0}")]
    Foreign(&'static str),
    /// The disk failed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

impl From<io::Error> for ExtractError {
    /// Errors of reading: the network's own, or the format's.
    fn from(error: io::Error) -> Self {
        match fault_in(error) {
            Ok(remote) => Self::Remote(remote),
            Err(error) => Self::Damaged(error.to_string()),
        }
    }
}

/// Takes in the clips that are wanted.
pub trait Keeper {
    /// Whether the clip is wanted.
    fn wants(&self, clip: &ClipId) -> bool;

    /// Keeps the clip, whose `bytes` bytes `body` gives, under its id and the `ending` of its kind
    /// of file, one of [`CLIP_ENDINGS`](crate::download::ledger::CLIP_ENDINGS).
    ///
    /// # Errors
    /// When the body ends early or the disk refuses.
    fn keep(
        &mut self,
        clip: &ClipId,
        ending: &'static str,
        bytes: u64,
        body: &mut dyn Read,
    ) -> Result<KeptClip, ExtractError>;
}

/// What extension headers say about the member that follows them.
#[derive(Default)]
struct Pending {
    name: Option<Vec<u8>>,
    bytes: Option<u64>,
}

/// Reads a tar to its end: every checksum is verified, every wanted clip goes to `keeper`.
///
/// # Errors
/// When the source fails, the archive is damaged or the disk refuses. What was kept before must
/// then be thrown away.
pub fn extract(archive: &mut impl Read, keeper: &mut dyn Keeper) -> Result<Tally, ExtractError> {
    let mut intake = Intake::new(keeper);
    let mut pending = Pending::default();
    let mut headers = 0;
    let next_header_by = Cell::new(MAX_PADDING_BYTES);
    let mut tar = tar::Archive::new(Padded {
        inner: archive,
        position: 0,
        next_header_by: &next_header_by,
    });
    // Archives that were joined by cat are read on; zeros behind the end are then passed over.
    tar.set_ignore_zeros(true);
    for entry in tar.entries()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let bytes = entry.size();
        let end = end_of(entry.raw_header_position(), bytes)?;
        next_header_by.set(end + MAX_PADDING_BYTES);
        headers += 1;
        if headers > MAX_HEADERS {
            return Err(ExtractError::Damaged(format!(
                "more than {MAX_HEADERS} headers"
            )));
        }
        if read_extension(&mut entry, kind, &mut pending)? {
            continue;
        }
        let Pending {
            name,
            bytes: pax_bytes,
        } = std::mem::take(&mut pending);
        if pax_bytes.is_some_and(|b| b != bytes) {
            // Readers that disagree about sizes see different members: a known way to smuggle.
            return Err(ExtractError::Damaged(
                "a member's pax size contradicts its header".into(),
            ));
        }
        let name = name.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        intake.member(&name, kind, bytes, &mut entry)?;
    }
    Ok(intake.tally)
}

/// Judges the members of an archive one by one.
pub(super) struct Intake<'a> {
    keeper: &'a mut dyn Keeper,
    kept: BTreeSet<ClipId>,
    pub(super) tally: Tally,
}

impl<'a> Intake<'a> {
    pub(super) fn new(keeper: &'a mut dyn Keeper) -> Self {
        Self {
            keeper,
            kept: BTreeSet::new(),
            tally: Tally::default(),
        }
    }

    /// Keeps, refuses or passes over the next member.
    pub(super) fn member(
        &mut self,
        name: &[u8],
        kind: EntryType,
        bytes: u64,
        body: &mut dyn Read,
    ) -> Result<(), ExtractError> {
        let tally = &mut self.tally;
        if tally.seen == 0 {
            tally.first_class = class_of(name, kind);
        }
        tally.seen += 1;
        match judge(name, kind, bytes) {
            Verdict::Refused(reason) => tally.refuse(name, bytes, reason),
            Verdict::Clip(clip, ending) if self.keeper.wants(&clip) => {
                if self.kept.contains(&clip) {
                    tally.refuse(name, bytes, "a second clip of this name");
                } else {
                    tally
                        .kept
                        .push(self.keeper.keep(&clip, ending, bytes, body)?);
                    self.kept.insert(clip);
                }
            }
            Verdict::Clip(..) | Verdict::Other => {}
        }
        Ok(())
    }
}

impl Tally {
    pub(super) fn refuse(&mut self, name: &[u8], bytes: u64, reason: &str) {
        self.refused_count += 1;
        if self.refused.len() < MAX_LISTED_REFUSALS {
            self.refused.push(RefusedMember {
                name: printable(name),
                bytes,
                reason: reason.to_owned(),
            });
        }
    }
}

/// A reader that ends in an error where no header comes for too long.
struct Padded<'a, R> {
    inner: R,
    position: u64,
    /// Where the next header has to begin at the latest.
    next_header_by: &'a Cell<u64>,
}

impl<R: Read> Read for Padded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position > self.next_header_by.get() {
            let text = format!("more than {MAX_PADDING_BYTES} bytes of padding");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let n = self.inner.read(buffer)?;
        self.position += n as u64;
        Ok(n)
    }
}

/// Where a member ends whose header is at `position`.
fn end_of(position: u64, bytes: u64) -> Result<u64, ExtractError> {
    position
        .checked_add(bytes)
        .filter(|end| *end <= MAX_UNPACKED_BYTES)
        .ok_or_else(|| {
            ExtractError::Damaged(format!(
                "a member claims {bytes} bytes; an archive may unpack to {MAX_UNPACKED_BYTES}"
            ))
        })
}

/// Reads a header that only describes the member behind it; says whether it was one.
fn read_extension(
    entry: &mut impl Read,
    kind: EntryType,
    pending: &mut Pending,
) -> Result<bool, ExtractError> {
    match kind {
        EntryType::GNULongName => {
            // One byte more than allowed, so that the name's judge sees that it is too long.
            let mut name = Vec::new();
            entry.take(MAX_NAME_BYTES + 2).read_to_end(&mut name)?;
            while name.last() == Some(&0) {
                name.pop();
            }
            pending.name = Some(name);
        }
        EntryType::XHeader => {
            let mut text = Vec::new();
            entry.take(MAX_PAX_BYTES + 1).read_to_end(&mut text)?;
            if text.len() as u64 > MAX_PAX_BYTES {
                return Err(ExtractError::Damaged(format!(
                    "a pax header of more than {MAX_PAX_BYTES} bytes"
                )));
            }
            for extension in PaxExtensions::new(&text) {
                let extension = extension?;
                match extension.key_bytes() {
                    b"path" => pending.name = Some(extension.value_bytes().to_vec()),
                    b"size" => {
                        pending.bytes = extension.value().ok().and_then(|v| v.parse().ok());
                    }
                    _ => {}
                }
            }
        }
        // Links are refused whatever they are called, and global headers tell nothing that we use.
        EntryType::GNULongLink | EntryType::XGlobalHeader => {}
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::archive::Gunzip;
    use crate::random::stream;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use rand::RngExt;
    use std::io::Write;

    /// Keeps nothing but the names and sizes, where the bodies are as long as they claim.
    #[derive(Default)]
    struct FakeKeeper {
        kept: Vec<String>,
    }

    impl Keeper for FakeKeeper {
        fn wants(&self, clip: &ClipId) -> bool {
            clip.end_s() == Some(11)
        }

        fn keep(
            &mut self,
            clip: &ClipId,
            _ending: &'static str,
            bytes: u64,
            body: &mut dyn Read,
        ) -> Result<KeptClip, ExtractError> {
            let read = io::copy(body, &mut io::sink())?;
            if read != bytes {
                return Err(ExtractError::Damaged("short".into()));
            }
            self.kept.push(clip.to_string());
            Ok(KeptClip {
                clip_id: clip.to_string(),
                bytes,
                blake3: String::new(),
                container: String::new(),
            })
        }
    }

    fn tar_of(names: &[&str]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(700);
            tar.append_data(&mut header, name, &[5; 700][..]).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn read(tar: &[u8], keeper: &mut FakeKeeper) -> Result<Tally, ExtractError> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(tar).unwrap();
        let gzip = encoder.finish().unwrap();
        extract(&mut Gunzip::new(gzip.as_slice()), keeper)
    }

    const NAMES: [&str; 4] = [
        "yawning/a_000001_000011.mp4",
        "yawning/b_000001_000012.mp4",
        "yawning/c_000001_000011.mp4",
        "yawning/notes.txt",
    ];

    #[test]
    fn wanted_clips_are_kept_and_all_members_counted() {
        let mut keeper = FakeKeeper::default();
        let tally = read(&tar_of(&NAMES), &mut keeper).unwrap();
        assert_eq!(keeper.kept, ["a_000001_000011", "c_000001_000011"]);
        assert_eq!(
            (tally.seen, tally.kept.len(), tally.refused_count),
            (4, 2, 0)
        );
        assert_eq!(tally.first_class.as_deref(), Some("yawning"));
    }

    #[test]
    fn archives_joined_by_cat_are_read_to_the_last() {
        let mut joined = tar_of(&NAMES[..1]);
        joined.extend(tar_of(&NAMES[2..]));
        let mut keeper = FakeKeeper::default();
        assert_eq!(read(&joined, &mut keeper).unwrap().kept.len(), 2);
    }

    #[test]
    fn a_long_name_costs_no_more_than_its_limit() {
        let mut tar = tar::Builder::new(Vec::new());
        let huge = vec![b'a'; 3 << 20];
        let mut header = tar::Header::new_gnu();
        header.set_path("././@LongLink").unwrap();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(huge.len() as u64);
        header.set_cksum();
        tar.append(&header, huge.as_slice()).unwrap();
        let mut bytes = tar.into_inner().unwrap();
        bytes.truncate(bytes.len() - 1024);
        bytes.extend(tar_of(&NAMES[..1]));
        let tally = read(&bytes, &mut FakeKeeper::default()).unwrap();
        assert_eq!(tally.refused_count, 1);
        assert_eq!(tally.refused[0].reason, "the name is too long");
        assert!(tally.refused[0].name.len() < 400);
    }

    #[test]
    fn zeros_between_and_behind_members_end_at_their_limit() {
        let zeros = |n: u64| vec![0; usize::try_from(n).unwrap()];
        let archive = |n| [tar_of(&NAMES[..1]), zeros(n), tar_of(&NAMES[2..])].concat();
        let padded = read(&archive(MAX_PADDING_BYTES / 2), &mut FakeKeeper::default());
        assert_eq!(padded.unwrap().kept.len(), 2);
        let behind = [tar_of(&NAMES), zeros(MAX_PADDING_BYTES * 2)].concat();
        for endless in [
            zeros(MAX_PADDING_BYTES * 2),
            archive(MAX_PADDING_BYTES * 2),
            behind,
        ] {
            let error = read(&endless, &mut FakeKeeper::default()).unwrap_err();
            assert!(error.to_string().contains("padding"), "{error}");
        }
    }

    #[test]
    fn flipped_bits_give_an_error_or_known_names_and_never_a_panic() {
        let sound = tar_of(&NAMES);
        let mut rng = stream(5, "flipped tar bits", &[]);
        let mut errors = 0;
        for _ in 0..600 {
            let mut tar = sound.clone();
            for _ in 0..rng.random_range(1..6) {
                let at = rng.random_range(0..tar.len());
                tar[at] ^= 1 << rng.random_range(0..8);
            }
            let mut keeper = FakeKeeper::default();
            errors += usize::from(read(&tar, &mut keeper).is_err());
            assert!(keeper.kept.len() <= 2);
        }
        assert!(errors > 100, "{errors}");
    }
}
