//! The toy source's texts: archive index, annotations, label tables, taxonomy and schedules.

use std::fmt::Write as _;
use std::path::Path;

use super::archives::archive_name;
use super::plan::{ToyArchive, ToyClip};
use super::{ToyConfig, ToyError};
use crate::artifact::publish_if_changed;
use crate::clip::Split;
use crate::labels::table_file;
use crate::taxonomy::Taxonomy;

/// Where the official archives lie; the index names them so, and a download's own source replaces
/// this part.
pub(super) const OFFICIAL_BASE: &str = "https://s3.amazonaws.com/kinetics/700_2020";
/// The taxonomy of the published experiments.
const CLASSES_CSV: &str = include_str!("../../../Kinetics/Info/classes.csv");
/// The schedules of the published experiments.
const REMOVE_CSV: &str = include_str!("../../../Kinetics/Info/subcategories_to_remove.csv");
const SUBSTITUTE_CSV: &str = include_str!("../../../Kinetics/Info/subcategories_to_substitute.csv");
/// Columns of the annotations and of the label tables.
const COLUMNS: &str = "label,youtube_id,time_start,time_end,split";

/// The published taxonomy, as this program carries it.
pub(super) fn embedded_taxonomy() -> Result<Taxonomy, ToyError> {
    let pairs = CLASSES_CSV.lines().skip(1).filter_map(|line| {
        let (category, subcategory) = line.split_once(',')?;
        Some((category.trim().to_owned(), subcategory.trim().to_owned()))
    });
    Ok(Taxonomy::from_pairs(
        Path::new("Kinetics/Info/classes.csv"),
        pairs,
    )?)
}

/// The index of the archives.
const INDEX_FILE: &str = "train/k700_2020_train_path.txt";
/// The annotations, as officially published, and the schedules.
const TRAIN_ANNOTATIONS: &str = "annotations/train.csv";
const VALIDATION_ANNOTATIONS: &str = "annotations/val.csv";
const TEST_ANNOTATIONS: &str = "annotations/test.csv";
const REMOVE_FILE: &str = "Info/subcategories_to_remove.csv";
const SUBSTITUTE_FILE: &str = "Info/subcategories_to_substitute.csv";

/// The files that [`write_tables`] writes, below the source's folder.
pub(super) fn table_files() -> impl Iterator<Item = String> {
    let fixed = [
        INDEX_FILE,
        TRAIN_ANNOTATIONS,
        VALIDATION_ANNOTATIONS,
        TEST_ANNOTATIONS,
        REMOVE_FILE,
        SUBSTITUTE_FILE,
    ];
    let labels = Split::ALL.into_iter().map(table_file);
    let info = labels
        .chain([Taxonomy::FILE.to_owned()])
        .map(|name| format!("Info/{name}"));
    fixed.into_iter().map(str::to_owned).chain(info)
}

/// Writes index, annotations and label tables.
pub(super) fn write_tables(
    config: &ToyConfig,
    taxonomy: &Taxonomy,
    archives: &[ToyArchive],
) -> Result<(), ToyError> {
    let text = |path: &str, text: &str| publish_if_changed(&config.out.join(path), text.as_bytes());
    let annotation = |name: &str, clip: &ToyClip| {
        // Every clip of the toy is a piece of a video, as Kinetics' are.
        let id = clip.id.youtube_id().unwrap_or_default();
        let [start, end] = [clip.id.start_s(), clip.id.end_s()].map(Option::unwrap_or_default);
        format!("{name},{id},{start},{end}")
    };

    let mut all = format!("{COLUMNS}\n");
    for archive in archives {
        for clip in &archive.clips {
            let _ = writeln!(all, "{},train", annotation(&archive.class_name, clip));
        }
    }
    text(TRAIN_ANNOTATIONS, &all)?;
    text(VALIDATION_ANNOTATIONS, &format!("{COLUMNS}\n"))?;
    text(TEST_ANNOTATIONS, "youtube_id,time_start,time_end,split\n")?;

    text(&format!("Info/{}", Taxonomy::FILE), CLASSES_CSV)?;
    text(REMOVE_FILE, REMOVE_CSV)?;
    text(SUBSTITUTE_FILE, SUBSTITUTE_CSV)?;
    for split in Split::ALL {
        let mut table = format!(",{COLUMNS}\n");
        let mut row = 0;
        for (_, name) in taxonomy.subcategories() {
            let archive = archives.iter().filter(|a| a.class_name == name);
            for clip in archive
                .flat_map(|a| &a.clips)
                .filter(|c| c.split == Some(split))
            {
                let _ = writeln!(table, "{row},{},train", annotation(name, clip));
                row += 1;
            }
        }
        text(&format!("Info/{}", table_file(split)), &table)?;
    }
    let mut index = String::new();
    for number in 0..archives.len() {
        let _ = writeln!(index, "{OFFICIAL_BASE}/train/{}", archive_name(number));
    }
    text(INDEX_FILE, &index)?;
    Ok(())
}
