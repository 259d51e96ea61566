//! The toy source's texts: archive index, annotations, label tables, taxonomy and schedules.

use std::fmt::Write as _;

use super::ToyError;
use super::source::{CLASSES_CSV, PlannedArchive, PlannedClip, SourceConfig, archive_name};
use crate::artifact::publish_if_changed;
use crate::clip::Split;
use crate::taxonomy::Taxonomy;

/// Where the official archives lie; the index names them so, and a download's own source replaces this part.
pub(super) const OFFICIAL_BASE: &str = "https://s3.amazonaws.com/kinetics/700_2020";
/// The schedules of the published experiments.
const REMOVE_CSV: &str = include_str!("../../../Kinetics/Info/subcategories_to_remove.csv");
const SUBSTITUTE_CSV: &str = include_str!("../../../Kinetics/Info/subcategories_to_substitute.csv");
/// Columns of the annotations and of the label tables.
const COLUMNS: &str = "label,youtube_id,time_start,time_end,split";

/// Writes index, annotations and label tables.
pub(super) fn write_tables(
    config: &SourceConfig,
    taxonomy: &Taxonomy,
    archives: &[PlannedArchive],
) -> Result<(), ToyError> {
    let text = |path: &str, text: &str| publish_if_changed(&config.out.join(path), text.as_bytes());
    let annotation = |name: &str, clip: &PlannedClip| {
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
    text("annotations/train.csv", &all)?;
    text("annotations/val.csv", &format!("{COLUMNS}\n"))?;
    text(
        "annotations/test.csv",
        "youtube_id,time_start,time_end,split\n",
    )?;

    text("Info/classes.csv", CLASSES_CSV)?;
    text("Info/subcategories_to_remove.csv", REMOVE_CSV)?;
    text("Info/subcategories_to_substitute.csv", SUBSTITUTE_CSV)?;
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
        text(&format!("Info/{split}.csv"), &table)?;
    }
    let mut index = String::new();
    for number in 0..archives.len() {
        let _ = writeln!(index, "{OFFICIAL_BASE}/train/{}", archive_name(number));
    }
    text("train/k700_2020_train_path.txt", &index)?;
    Ok(())
}
