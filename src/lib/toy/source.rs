//! Writes the miniature source in the official one's layout.
//!
//! ```text
//! train/k700_2020_train_path.txt      one archive URL a line, as officially published
//! train/k700_train_NNN.tar.gz         the NNN-th class in sorted order: <class>/<id>_<start>_<end>.mp4
//! annotations/train.csv val.csv test.csv
//! Info/classes.csv train.csv validation.csv test.csv subcategories_to_remove.csv subcategories_to_substitute.csv
//! toy.json                            the settings; written last
//! ```
//!
//! As in the published subset, the clips of all three label tables lie in the source's train archives. Each archive also
//! holds clips that no table names, and some classes are in no table at all, so that a download has something to leave.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use rand::RngExt;
use serde::Serialize;

use super::ToyError;
use super::motion::Scene;
use super::tables::write_tables;
use crate::artifact::{self, ArtifactError, Draft};
use crate::choice::choice;
use crate::clip::{ClipId, Split};
use crate::lock::{LOCK_FILE, Lock, Wait};
use crate::media::encode::{VideoSpec, write_mp4};
use crate::parallel;
use crate::progress::{Progress, Unit};
use crate::random::stream;
use crate::taxonomy::Taxonomy;

/// The taxonomy of the published experiments.
pub(super) const CLASSES_CSV: &str = include_str!("../../../Kinetics/Info/classes.csv");
/// Classes of Kinetics that no label table names: the first and the last in sorted order.
const UNLABELLED_CLASSES: [&str; 2] = ["abseiling", "zumba"];
/// Clips of each archive that no label table names.
const UNLABELLED_CLIPS: usize = 2;
/// Characters of a YouTube id.
const ID_CHARACTERS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Characters in a YouTube id.
const ID_LENGTH: usize = 11;
/// Seconds between the times in a clip's name, as in Kinetics; the toy's files are shorter than their names say.
const NAMED_SECONDS: u32 = 10;
/// Most clips of a subcategory in all splits.
const MAX_CLIPS_PER_SUBCATEGORY: usize = 10_000;
/// Longest clip, in seconds.
const MAX_SECONDS: f64 = 60.0;
/// Largest side of a picture, in pixels.
const MAX_SIZE_PIXELS: u32 = 2048;
/// Name of the file that says that the source is complete, and with which settings.
const COMPLETE: &str = "toy.json";
/// Purpose of the random streams of this module.
const PURPOSE: &str = "toy source";

choice! {
    /// Where members lie in an archive.
    #[derive(Default)]
    pub enum Layout: "layout" {
        /// `<class>/<clip>.mp4`, as in the official archives.
        #[default]
        Official = "official",
        /// `<clip>.mp4`.
        Flat = "flat",
    }
}

/// Settings of the toy source.
#[derive(Clone, Debug, Serialize)]
pub struct SourceConfig {
    /// The folder to write.
    #[serde(skip)]
    pub out: PathBuf,
    /// Clips a subcategory in train.csv. Default 8.
    pub train: usize,
    /// Clips a subcategory in validation.csv. Default 2.
    pub validation: usize,
    /// Clips a subcategory in test.csv. Default 3.
    pub test: usize,
    /// Length of a clip in seconds. Default 2.4.
    pub seconds: f64,
    /// Width and height of a clip in pixels, even. Default 80.
    pub size: u32,
    /// Frames per second. Default 10.
    pub fps: u32,
    /// Seed of every random choice. Default 0.
    pub seed: u64,
    /// Where members lie in an archive.
    pub layout: Layout,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            out: PathBuf::from("toy"),
            train: 8,
            validation: 2,
            test: 3,
            seconds: 2.4,
            size: 80,
            fps: 10,
            seed: 0,
            layout: Layout::Official,
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Archives of the index.
    pub archives: usize,
    /// Clips in them.
    pub clips: usize,
    /// Clips that the label tables name.
    pub labelled: usize,
    /// Whether the source was there already, with these settings.
    pub unchanged: bool,
}

/// A clip to be made.
pub(super) struct PlannedClip {
    pub(super) id: ClipId,
    class: usize,
    index: usize,
    count: usize,
    pub(super) split: Option<Split>,
    key: u64,
}

/// An archive to be made: a Kinetics class with its clips, in the order of their names.
pub(super) struct PlannedArchive {
    pub(super) class_name: String,
    pub(super) clips: Vec<PlannedClip>,
}

/// Writes the source. A folder that has it already, with the same settings, is left alone.
///
/// # Errors
/// When a setting is out of its range, the folder holds something else, or a clip or file cannot be written.
pub fn run(config: &SourceConfig) -> Result<Summary, ToyError> {
    check(config)?;
    let taxonomy = embedded_taxonomy()?;
    let archives = plan(config, &taxonomy);
    let clips = archives.iter().map(|a| a.clips.len()).sum();
    let labelled = archives
        .iter()
        .flat_map(|a| &a.clips)
        .filter(|c| c.split.is_some())
        .count();
    let settings = serde_json::json!({"format": "incdec.toy", "version": 1, "settings": config});
    let settings = settings.to_string();
    let complete = config.out.join(COMPLETE);
    // Archives, index and tables belong together: a second one waits for the first.
    let _lock = Lock::folder(&config.out, "incdec-toy", Wait::Yes)?;
    let summary = Summary {
        archives: archives.len(),
        clips,
        labelled,
        unchanged: fs::read_to_string(&complete).is_ok_and(|t| t == settings),
    };
    if summary.unchanged {
        return Ok(summary);
    }
    claim(&config.out)?;
    write_archives(config, &archives, clips)?;
    write_tables(config, &taxonomy, &archives)?;
    artifact::publish(&complete, |w| w.write_all(settings.as_bytes()))?;
    Ok(summary)
}

fn check(config: &SourceConfig) -> Result<(), ToyError> {
    let setting = |name, value: String, expected| {
        Err(ToyError::Setting {
            name,
            value,
            expected,
        })
    };
    let per_subcategory = config.train + config.validation + config.test;
    if !(1..=MAX_CLIPS_PER_SUBCATEGORY).contains(&per_subcategory) {
        return setting(
            "--train",
            per_subcategory.to_string(),
            "1 to 10000 with --validation and --test",
        );
    }
    if !(config.seconds > 0.0 && config.seconds <= MAX_SECONDS) {
        return setting("--seconds", config.seconds.to_string(), "above 0, up to 60");
    }
    if !(16..=MAX_SIZE_PIXELS).contains(&config.size) || config.size % 2 == 1 {
        return setting("--size", config.size.to_string(), "even, 16 to 2048");
    }
    if !(1..=120).contains(&config.fps) {
        return setting("--fps", config.fps.to_string(), "1 to 120");
    }
    Ok(())
}

/// The published taxonomy, as this program carries it.
fn embedded_taxonomy() -> Result<Taxonomy, ToyError> {
    let pairs = CLASSES_CSV.lines().skip(1).filter_map(|line| {
        let (category, subcategory) = line.split_once(',')?;
        Some((category.trim().to_owned(), subcategory.trim().to_owned()))
    });
    Ok(Taxonomy::from_pairs(
        Path::new("Kinetics/Info/classes.csv"),
        pairs,
    )?)
}

/// Makes sure that nothing but an earlier toy is overwritten, and takes away the mark of completeness.
fn claim(out: &Path) -> Result<(), ToyError> {
    fs::create_dir_all(out).map_err(ArtifactError::at("create folder", out))?;
    let complete = out.join(COMPLETE);
    let entries = fs::read_dir(out).map_err(ArtifactError::at("list", out))?;
    let ours = ["train", "annotations", "Info", COMPLETE];
    for entry in entries {
        let entry = entry.map_err(ArtifactError::at("list", out))?;
        let name = entry.file_name();
        let begun = name.to_string_lossy().starts_with(".incdec-") || name == LOCK_FILE;
        if !ours.iter().any(|o| name == *o) && !begun {
            return Err(ToyError::Occupied {
                path: out.to_owned(),
            });
        }
    }
    artifact::sweep(out)?;
    for folder in ["train", "annotations", "Info"] {
        artifact::sweep(&out.join(folder))?;
    }
    match fs::remove_file(&complete) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(ArtifactError::at("remove", &complete)(e).into())
        }
        _ => Ok(()),
    }
}

/// Which clips there are: their names, tables and appearance. Depends on the settings alone.
fn plan(config: &SourceConfig, taxonomy: &Taxonomy) -> Vec<PlannedArchive> {
    let mut classes: Vec<(String, usize, usize, usize, bool)> = Vec::new();
    for (class, category) in taxonomy.categories().iter().enumerate() {
        for (index, name) in category.subcategories.iter().enumerate() {
            classes.push((
                name.clone(),
                class,
                index,
                category.subcategories.len(),
                true,
            ));
        }
    }
    for (i, name) in UNLABELLED_CLASSES.iter().enumerate() {
        classes.push(((*name).to_owned(), i, 0, 1, false));
    }
    classes.sort();
    let mut seen = BTreeSet::new();
    let mut archives = Vec::new();
    for (number, (class_name, class, index, count, labelled)) in classes.into_iter().enumerate() {
        let mut rng = stream(config.seed, PURPOSE, &[number as u64]);
        let tables = [
            (Some(Split::Train), config.train),
            (Some(Split::Validation), config.validation),
            (Some(Split::Test), config.test),
            (None, UNLABELLED_CLIPS),
        ];
        let mut clips = Vec::new();
        for (split, n) in tables {
            for _ in 0..if split.is_some() && !labelled { 0 } else { n } {
                clips.push(PlannedClip {
                    id: fresh_id(&mut rng, &mut seen),
                    class,
                    index,
                    count,
                    split,
                    key: (number * (MAX_CLIPS_PER_SUBCATEGORY * 2) + clips.len()) as u64,
                });
            }
        }
        clips.sort_by(|a, b| a.id.cmp(&b.id));
        archives.push(PlannedArchive { class_name, clips });
    }
    archives
}

/// A clip id whose YouTube id no other clip has.
fn fresh_id(rng: &mut rand_chacha::ChaCha8Rng, seen: &mut BTreeSet<String>) -> ClipId {
    loop {
        let youtube_id: String = (0..ID_LENGTH)
            .map(|_| char::from(ID_CHARACTERS[rng.random_range(0..ID_CHARACTERS.len())]))
            .collect();
        let start = rng.random_range(0..300_u32);
        if seen.insert(youtube_id.clone())
            // The characters and the times are such that this never fails.
            && let Ok(id) = ClipId::new(&youtube_id, start, start + NAMED_SECONDS)
        {
            return id;
        }
    }
}

pub(super) fn archive_name(number: usize) -> String {
    format!("k700_train_{:03}.tar.gz", number + 1)
}

/// Makes all archives, on all cores; each depends on the settings alone.
fn write_archives(
    config: &SourceConfig,
    archives: &[PlannedArchive],
    clips: usize,
) -> Result<(), ToyError> {
    let progress = Progress::new("making clips", Some(clips as u64), Unit::Count("clips"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let numbered: Vec<_> = archives.iter().enumerate().collect();
    let written = parallel::try_each(&numbered, threads, |(number, archive)| {
        write_archive(config, *number, archive, &progress)
    });
    progress.finish();
    written.map(drop)
}

fn write_archive(
    config: &SourceConfig,
    number: usize,
    archive: &PlannedArchive,
    progress: &Progress,
) -> Result<(), ToyError> {
    let path = config.out.join("train").join(archive_name(number));
    let at = |action| ArtifactError::at(action, &path);
    let mut draft = Draft::new(&path)?;
    // No date and no name in the header: the bytes depend on the members alone.
    let gzip = GzBuilder::new().write(draft.handle()?, Compression::default());
    let mut tar = tar::Builder::new(gzip);
    if config.layout == Layout::Official {
        let name = format!("{}/", archive.class_name);
        tar.append_data(
            &mut header(0, tar::EntryType::Directory),
            name,
            std::io::empty(),
        )
        .map_err(at("write"))?;
    }
    for clip in &archive.clips {
        let bytes = encode(config, clip, &path)?;
        let name = match config.layout {
            Layout::Official => format!("{}/{}", archive.class_name, clip.id.file_name()),
            Layout::Flat => clip.id.file_name(),
        };
        let mut header = header(bytes.len() as u64, tar::EntryType::Regular);
        tar.append_data(&mut header, name, bytes.as_slice())
            .map_err(at("write"))?;
        progress.inc(1);
    }
    tar.into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .map_err(at("write"))?;
    draft.file().flush().map_err(at("write"))?;
    Ok(draft.publish()?)
}

fn header(size_bytes: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size_bytes);
    header.set_mode(if kind == tar::EntryType::Directory {
        0o755
    } else {
        0o644
    });
    header.set_mtime(0);
    header
}

/// Draws and encodes a clip; the muxer needs a file, so one lies beside the archive for that time.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // At most 60 s at 120 fps.
fn encode(config: &SourceConfig, clip: &PlannedClip, archive: &Path) -> Result<Vec<u8>, ToyError> {
    let mut rng = stream(config.seed, "toy scene", &[clip.key]);
    let scene = Scene::draw(clip.class, clip.index, clip.count, &mut rng);
    let frames = ((config.seconds * f64::from(config.fps)).round() as u32).max(1);
    let spec = VideoSpec {
        width: config.size,
        height: config.size,
        fps: config.fps,
    };
    let draft = Draft::new(&archive.with_extension("mp4"))?;
    write_mp4(
        draft.path(),
        spec,
        (0..frames).map(|t| scene.picture(f64::from(t) / f64::from(config.fps), config.size)),
    )?;
    Ok(fs::read(draft.path()).map_err(ArtifactError::at("read", draft.path()))?)
}
