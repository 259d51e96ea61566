//! A small data set in every place that the pipeline has: label tables, files, the download's
//! ledger, shards, manifest, tasks, and a run that might have been trained.

mod full;
mod run;

pub(super) use full::tar_of;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Command, Output};

use incdec::artifact;
use incdec::clip::Split;
use incdec::decode::DecodeConfig;
use incdec::erase::{Archives, EraseConfig, Places, Selector};
use incdec::labels::Labels;
use incdec::lock::Wait;
use incdec::manifest::{self, ManifestConfig};
use incdec::parquet_file::{self, Provenance};
use incdec::shard::{
    ClipHead, Codec, NewClip, Ranges, ShardWriter, ShardWriterConfig, SourceFacts, write_index,
};
use incdec::tables::{AvailabilityRow, ClipStatus, Kind, LedgerRow};
use incdec::tasks::{self, DealSettings, LabelSource, Scenario, TasksConfig};
use walkdir::WalkDir;

const SUBCATEGORIES: [(&str, &str); 4] = [
    ("food", "eating cake"),
    ("food", "eating chips"),
    ("phone", "texting"),
    ("phone", "looking at phone"),
];
/// Clips of each subcategory in train, validation and test.
const CLIPS: [usize; 3] = [6, 2, 2];
/// Tasks of the run.
pub(super) const TASKS: usize = 3;

/// A source with a clip in every split, two of them overlapping in time.
pub(super) const SHARED: &str = "shared-src";
pub(super) const SHARED_CLIPS: [&str; 3] = [
    "shared-src_000000_000010",
    "shared-src_000005_000015",
    "shared-src_000050_000060",
];

/// A clip as the fixture makes it.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) split: Split,
    pub(super) subcategory: &'static str,
    /// Of data of one's own: who is seen.
    pub(super) person: Option<String>,
}

pub(super) struct World {
    _folder: tempfile::TempDir,
    root: PathBuf,
    pub(super) clips: Vec<Made>,
    /// Side of the stored frames in pixels.
    side: usize,
    clips_per_shard: NonZeroU32,
}

impl World {
    /// Everything, with frames of four pixels.
    pub(super) fn new() -> Self {
        let world = Self::of(CLIPS, 2, 14);
        world.fake_run("one");
        world
    }

    /// Everything but a run: clips of each subcategory in each split, the side of a frame, and the
    /// label rows of a shard.
    pub(super) fn of(clips: [usize; 3], side: usize, clips_per_shard: u32) -> Self {
        Self::with(made(clips), side, clips_per_shard)
    }

    /// Data of one's own: clips that are called by their path, and persons who are seen in several.
    pub(super) fn own() -> Self {
        let mut clips = made(CLIPS);
        for (n, clip) in clips.iter_mut().enumerate() {
            clip.id = format!("{}/caf\u{e9} {n}", clip.subcategory.replace(' ', "_"));
            clip.person = Some(format!("person {}", n % 7));
        }
        let world = Self::with(clips, 2, 14);
        fs::remove_file(world.path("downloads.parquet")).unwrap();
        world.fake_run("one");
        world
    }

    fn with(clips: Vec<Made>, side: usize, clips_per_shard: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self {
            root: folder.path().join("data"),
            _folder: folder,
            clips,
            side,
            clips_per_shard: NonZeroU32::new(clips_per_shard).unwrap(),
        };
        world.write_labels();
        world.write_raw();
        world.write_shards();
        world.run_stages();
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn places(&self) -> Places {
        let optional = |name: &str| Some(self.path(name)).filter(|path| path.exists());
        Places {
            frame_folders: optional("frames"),
            archives: optional("archives"),
            caches: optional("cache").into_iter().collect(),
            ..Places::below(&self.root)
        }
    }

    pub(super) fn config(&self, selectors: Vec<Selector>) -> EraseConfig {
        EraseConfig {
            places: self.places(),
            selectors,
            request: "R-1".into(),
            reason: None,
            archives: Archives::Refuse,
            wait: Wait::No,
        }
    }

    /// The command with these arguments and the world's places.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-erase"));
        command.args(args).arg("--data").arg(&self.root);
        if let Some(folder) = self.places().frame_folders {
            command.arg("--frame-folders").arg(folder);
        }
        if let Some(folder) = self.places().archives {
            command.arg("--kept-archives").arg(folder);
        }
        for folder in self.places().caches {
            command.arg("--cache").arg(folder);
        }
        command
    }

    pub(super) fn erase(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The first clip of a split.
    pub(super) fn clip(&self, split: Split) -> &Made {
        self.clips.iter().find(|clip| clip.split == split).unwrap()
    }

    pub(super) fn raw_file(&self, clip: &Made) -> PathBuf {
        if clip.person.is_some() {
            return self.path("raw").join(format!("{}.avi", clip.id));
        }
        self.path("raw")
            .join(clip.subcategory)
            .join(format!("{}.mp4", clip.id))
    }

    /// Every file below the data folder with its bytes.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = WalkDir::new(&self.root).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().is_file());
        files
            .map(|entry| {
                let name = entry
                    .path()
                    .strip_prefix(&self.root)
                    .unwrap()
                    .display()
                    .to_string();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect()
    }

    fn write_labels(&self) {
        let info = self.path("Info");
        fs::create_dir_all(&info).unwrap();
        let rows = SUBCATEGORIES.map(|(category, name)| format!("{category},{name}\n"));
        fs::write(
            info.join("classes.csv"),
            format!("Category,Subcategory\n{}", rows.concat()),
        )
        .unwrap();
        for split in Split::ALL {
            let rows = self
                .clips
                .iter()
                .filter(|clip| clip.split == split)
                .map(|clip| {
                    if let Some(person) = &clip.person {
                        return format!("{},{},{person}\n", clip.subcategory, clip.id);
                    }
                    let (source, times) = clip.id.split_at(clip.id.len() - 14);
                    let number =
                        |range: std::ops::Range<usize>| times[range].parse::<u32>().unwrap();
                    format!(
                        "{},{source},{},{},train\n",
                        clip.subcategory,
                        number(1..7),
                        number(8..14)
                    )
                });
            let columns = if self.clips[0].person.is_some() {
                "label,clip,group"
            } else {
                "label,youtube_id,time_start,time_end,split"
            };
            let text = format!("{columns}\n{}", rows.collect::<String>());
            fs::write(info.join(format!("{split}.csv")), text).unwrap();
        }
    }

    /// Label tables without these clips.
    pub(super) fn unlabel(&mut self, gone: &[&str]) {
        self.clips.retain(|clip| !gone.contains(&clip.id.as_str()));
        self.write_labels();
    }

    fn write_raw(&self) {
        let mut rows = Vec::new();
        for clip in &self.clips {
            let path = self.raw_file(clip);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let bytes = format!("video of {}", clip.id);
            fs::write(&path, &bytes).unwrap();
            rows.push(LedgerRow {
                kind: Kind::Clip,
                archive: Some("train/a.tar.gz".into()),
                name: clip.id.clone(),
                state: "present".into(),
                url: None,
                subcategory: Some(clip.subcategory.into()),
                bytes: Some(bytes.len() as i64),
                etag: None,
                blake3: Some(artifact::hash_file(&path).unwrap()),
                members_seen: None,
                members_kept: None,
                members_refused: None,
                container: Some("ok".into()),
                reason: None,
            });
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let provenance = self.label_inputs(Provenance::default());
        parquet_file::write(&self.path("downloads.parquet"), &rows, &provenance).unwrap();
    }

    fn label_inputs(&self, mut provenance: Provenance) -> Provenance {
        for file in Labels::read(&self.path("Info")).unwrap().files() {
            provenance = provenance.with_input(file).unwrap();
        }
        provenance
    }

    /// The settings of decoding that the shards were made with.
    pub(super) fn decoding(&self) -> DecodeConfig {
        DecodeConfig {
            clips_per_shard: self.clips_per_shard,
            ..DecodeConfig::new(self.path("raw"), self.path("Info"), self.path("shards"))
        }
    }

    fn write_shards(&self) {
        let provenance = self.decoding().provenance();
        let labels = Labels::read(&self.path("Info")).unwrap();
        let config = ShardWriterConfig {
            ranges: Ranges::of(&labels, self.clips_per_shard),
            ..ShardWriterConfig::default()
        };
        let label_rows: BTreeMap<String, usize> = labels
            .iter()
            .map(|(_, row, label)| (label.clip.to_string(), row))
            .collect();
        let mut writer = ShardWriter::new(&self.path("shards"), provenance.clone(), config);
        let mut index = Vec::new();
        for (n, clip) in self.clips.iter().enumerate() {
            let path = self.raw_file(clip);
            let source = SourceFacts {
                bytes: Some(fs::metadata(&path).unwrap().len() as i64),
                blake3: Some(artifact::hash_file(&path).unwrap()),
                frames_decoded: 4,
                ..SourceFacts::default()
            };
            index.push(
                writer
                    .push(&NewClip {
                        label_row: label_rows[&clip.id],
                        ..self.stored(&clip.id, clip.split, n, source)
                    })
                    .unwrap(),
            );
        }
        writer.finish().unwrap();
        write_index(&self.path("shards"), &index, &self.label_inputs(provenance)).unwrap();
    }

    /// A clip to be stored whose frames are those of number `n`.
    pub(super) fn stored(&self, id: &str, split: Split, n: usize, source: SourceFacts) -> NewClip {
        let side = self.side as u32;
        NewClip {
            clip_id: id.to_owned(),
            split,
            label_row: 0,
            head: ClipHead {
                codec: Codec::Raw,
                height: side,
                width: side,
                fps: 5.0,
                source,
                status: ClipStatus::Ok,
                error: None,
            },
            frames: (0..4)
                .map(|t| {
                    let pixels = 0..self.side * self.side * 3;
                    let bytes = pixels.map(|i| ((n * 37 + t * 11 + i) % 251) as u8);
                    let mut bytes: Vec<u8> = bytes.collect();
                    // No two clips have the same frames, where a frame has room for a number.
                    if let Some(first) = bytes.first_chunk_mut() {
                        *first = (n as u32).to_le_bytes();
                    }
                    bytes
                })
                .collect(),
        }
    }

    /// Manifest and tasks, as their stages make them.
    pub(super) fn run_stages(&self) {
        manifest::run(&ManifestConfig {
            labels: self.path("Info"),
            shards: self.path("shards").into(),
            out: self.path("manifests/clips.parquet"),
            listed: 0,
        })
        .unwrap();
        tasks::run(&TasksConfig {
            clips: LabelSource::Manifest(self.path("manifests/clips.parquet")),
            without: None,
            events: None,
            deal: DealSettings::published(Scenario::Substitution, 0),
            schedule: None,
            tasks: Some(TASKS),
            out: self.path("tasks/substitution/seed-0"),
        })
        .unwrap();
    }

    pub(super) fn availability(&self) -> Vec<AvailabilityRow> {
        parquet_file::read(&self.path("tasks/substitution/seed-0/availability.parquet")).unwrap()
    }
}

/// The clips in the order of the label tables; the first of each split's second subcategory is of
/// the shared source.
fn made(counts: [usize; 3]) -> Vec<Made> {
    let mut clips = Vec::new();
    for (split, (count, shared)) in Split::ALL
        .into_iter()
        .zip(counts.into_iter().zip(SHARED_CLIPS))
    {
        for (k, (_, subcategory)) in SUBCATEGORIES.into_iter().enumerate() {
            for i in 0..count {
                let id = if (k, i) == (1, 0) {
                    shared.to_owned()
                } else {
                    format!("{}{k}-{i:04}_000000_000010", &split.name()[..2])
                };
                clips.push(Made {
                    id,
                    split,
                    subcategory,
                    person: None,
                });
            }
        }
    }
    clips
}
