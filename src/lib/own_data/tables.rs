//! The four tables as text.

use std::path::Path;

use crate::artifact::ArtifactError;
use crate::clip::Split;
use crate::labels::table_file;
use crate::taxonomy::Taxonomy;

/// A labelled clip, ready to be written.
pub(super) struct Row<'a> {
    pub(super) split: Split,
    /// The subcategory, as an index into the taxonomy's pairs.
    pub(super) place: usize,
    pub(super) clip: &'a str,
    pub(super) group: Option<&'a str>,
}

/// `train.csv`, `validation.csv`, `test.csv` and, last, `classes.csv`: the label tables sorted by the taxonomy, then by clip.
pub(super) fn texts(
    pairs: &[(String, String)],
    rows: &[Row<'_>],
) -> Result<Vec<(String, Vec<u8>)>, ArtifactError> {
    let mut sorted: Vec<&Row<'_>> = rows.iter().collect();
    sorted.sort_by_key(|row| (row.place, row.clip));
    let is_grouped = rows.iter().any(|row| row.group.is_some());
    let columns = if is_grouped { 3 } else { 2 };
    let mut texts = Vec::new();
    for split in Split::ALL {
        let name = table_file(split);
        let of_split = sorted.iter().filter(|row| row.split == split);
        let cells = of_split.map(|row| {
            [
                pairs[row.place].1.as_str(),
                row.clip,
                row.group.unwrap_or_default(),
            ]
        });
        let table = [["label", "clip", "group"]].into_iter().chain(cells);
        texts.push((name.clone(), text(&name, table, columns)?));
    }
    let name = Taxonomy::FILE.to_owned();
    let cells = pairs
        .iter()
        .map(|(category, subcategory)| [category.as_str(), subcategory, ""]);
    let table = [["Category", "Subcategory", ""]].into_iter().chain(cells);
    let classes = text(&name, table, 2)?;
    texts.push((name, classes));
    Ok(texts)
}

/// The first cells of each row as CSV.
fn text<'a>(
    name: &str,
    rows: impl Iterator<Item = [&'a str; 3]>,
    columns: usize,
) -> Result<Vec<u8>, ArtifactError> {
    let failed = |e: std::io::Error| ArtifactError::at("write", Path::new(name))(e);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer
            .write_record(&row[..columns])
            .map_err(|e| failed(e.into()))?;
    }
    writer.into_inner().map_err(|e| failed(e.into_error()))
}
