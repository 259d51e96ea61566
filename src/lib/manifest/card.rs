//! `data_card.md`: what the data set is, for people: counts, where it comes from, what it is for.
//!
//! It names no clip, so that no withdrawal touches it.

use std::fmt::Write as _;
use std::path::Path;

use super::ManifestSummary;
use super::summary::StatusCounts;
use crate::artifact::ArtifactError;
use crate::card;
use crate::clip::Split;
use crate::foreign::printable;
use crate::parquet_file::Provenance;

/// The card's file name, beside the manifest.
pub const DATA_CARD_FILE: &str = "data_card.md";

/// What a set of videos is good for, and what it is not.
const USE: &str = "\
Made for research on models whose training data arrive and are withdrawn. The rights of each video
remain with its owner; a clip that its owner withdraws is erased by `make erase`. Of Kinetics the
annotations are Google's, under CC BY 4.0, and the videos are not part of it.";

/// Publishes the card of the manifest at `manifest`, beside it.
///
/// # Errors
/// When the disk refuses.
pub(super) fn write(
    manifest: &Path,
    summary: &ManifestSummary,
    provenance: &Provenance,
) -> Result<(), ArtifactError> {
    let path = manifest.with_file_name(DATA_CARD_FILE);
    card::publish(&path, &text(summary, provenance))
}

fn text(summary: &ManifestSummary, provenance: &Provenance) -> String {
    let splits = Split::ALL.map(|split| (split, summary.splits[split as usize]));
    let clips: usize = splits.iter().map(|(_, counts)| counts.labelled()).sum();
    let usable: usize = splits.iter().map(|(_, counts)| counts.usable()).sum();
    let mut text = format!(
        "# Data card\n\n{clips} labelled clips, {usable} of them with frames.\n\n{USE}\n\n## Splits\n\n{}",
        card::table(
            ["split", "ok", "partial", "failed", "missing", "withdrawn"],
            splits.map(|(split, counts)| of_split(split, counts)),
        )
    );
    let subcategories = summary.subcategories.iter();
    let rows = subcategories.map(|(category, subcategory, counts)| {
        let [train, validation, test] = counts.map(|counts| counts.labelled().to_string());
        let name = |text: &str| printable(text).into_owned();
        [name(category), name(subcategory), train, validation, test]
    });
    let head = ["category", "subcategory", "train", "validation", "test"];
    // Writing into a string cannot fail.
    let _ = write!(
        text,
        "\n## Subcategories\n\nA model predicts categories; subcategories are latent, and arrive and leave as one.\n\n{}",
        card::table(head, rows)
    );
    let inputs = provenance.inputs.iter();
    let rows = inputs.map(|(name, hash)| [printable(name).into_owned(), format!("`{hash}`")]);
    let _ = write!(
        text,
        "\n## Made from\n\nBy incdec {}.\n\n{}",
        env!("CARGO_PKG_VERSION"),
        card::table(["file", "BLAKE3"], rows)
    );
    text
}

fn of_split(split: Split, counts: StatusCounts) -> [String; 6] {
    let StatusCounts {
        ok,
        partial,
        failed,
        missing,
        withdrawn,
    } = counts;
    let [ok, partial, failed, missing, withdrawn] =
        [ok, partial, failed, missing, withdrawn].map(|n| n.to_string());
    [split.to_string(), ok, partial, failed, missing, withdrawn]
}
