//! `croissant.json`: what `clips.parquet` is and what its columns mean, in the vocabulary that
//! catalogues of data sets and their loaders read (MLCommons Croissant 1.0).
//!
//! It names no clip: what it says of the data are columns, counts and the hash of the table.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::datatypes::DataType;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ManifestError;
use crate::artifact::{self, ArtifactError};
use crate::parquet_file::Table;
use crate::run_record::write_sealed_document;
use crate::tables::ClipRow;

/// The file's name, beside the manifest.
pub const CROISSANT_FILE: &str = "croissant.json";
const RECORDS: &str = "clips";
const CONFORMS_TO: &str = "http://mlcommons.org/croissant/1.0";

/// What each column means; the columns themselves are the table's own.
const MEANINGS: [(&str, &str); 14] = [
    (
        "clip_id",
        "the clip: <youtube_id>_<start>_<end>, or its path without the ending",
    ),
    (
        "group",
        "what is divided between no splits and withdrawn together: a video, a person, a customer",
    ),
    (
        "youtube_id",
        "the YouTube id of the video that the clip is a piece of",
    ),
    ("time_start_s", "start in that video, in seconds"),
    ("time_end_s", "end in that video, in seconds"),
    ("split", "train, validation or test"),
    ("source_split", "the split of the official annotations"),
    ("row", "line in the split's label table, from 0"),
    ("category", "the category, which a model predicts"),
    ("label", "the category's number"),
    (
        "subcategory",
        "the latent subcategory, which arrives and is withdrawn as one",
    ),
    (
        "shard",
        "file name of the shard that holds the clip's frames",
    ),
    ("shard_row", "the clip's row in its shard"),
    (
        "status",
        "how decoding went: ok, partial, failed, missing or withdrawn",
    ),
];

/// Publishes the description of the manifest at `manifest`, beside it.
///
/// # Errors
/// When the manifest cannot be read or the disk refuses.
pub(super) fn write(manifest: &Path, rows: &[ClipRow]) -> Result<(), ManifestError> {
    let sha256 = sha256(manifest)?;
    let name = manifest.file_name().unwrap_or_default().to_string_lossy();
    let path = manifest.with_file_name(CROISSANT_FILE);
    Ok(write_sealed_document(
        &path,
        &description(&name, &sha256, rows),
    )?)
}

fn sha256(path: &Path) -> Result<String, ArtifactError> {
    let mut hasher = Sha256::new();
    artifact::read_pieces(path, |piece| hasher.update(piece))?;
    Ok(artifact::hexadecimal(&hasher.finalize()))
}

fn description(file: &str, sha256: &str, rows: &[ClipRow]) -> Value {
    let mut splits: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        *splits.entry(row.split.to_string()).or_default() += 1;
    }
    let counts = splits.iter().map(|(split, n)| format!("{n} {split}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let meanings = BTreeMap::from(MEANINGS);
    let fields: Vec<Value> = ClipRow::columns()
        .iter()
        .map(|column| {
            let name = column.name().as_str();
            let kind = match column.data_type() {
                DataType::Int32 | DataType::Int64 => "sc:Integer",
                _ => "sc:Text",
            };
            json!({
                "@type": "cr:Field",
                "@id": format!("{RECORDS}/{name}"),
                "name": name,
                "description": meanings.get(name).unwrap_or(&""),
                "dataType": kind,
                "source": {"fileObject": {"@id": file}, "extract": {"column": name}},
            })
        })
        .collect();
    json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "name": "incdec-clips",
        "description": format!("The labelled clips of a data set for incremental and decremental learning, with the place of their frames in Arrow shards: {counts} clips."),
        "conformsTo": CONFORMS_TO,
        "url": "https://github.com/incdec/incdec",
        "version": "1.0.0",
        "distribution": [{
            "@type": "cr:FileObject",
            "@id": file,
            "name": file,
            "description": "one row for each labelled clip",
            "contentUrl": file,
            "encodingFormat": "application/x-parquet",
            "sha256": sha256,
        }],
        "recordSet": [{
            "@type": "cr:RecordSet",
            "@id": RECORDS,
            "name": RECORDS,
            "description": "one record for each labelled clip",
            "key": {"@id": format!("{RECORDS}/clip_id")},
            "field": fields,
        }],
    })
}

/// The terms of Croissant 1.0, as its specification asks every file to have them.
fn context() -> Value {
    json!({
        "@language": "en",
        "@vocab": "https://schema.org/",
        "citeAs": "cr:citeAs",
        "column": "cr:column",
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "equivalentProperty": "cr:equivalentProperty",
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "extract": "cr:extract",
        "field": "cr:field",
        "fileProperty": "cr:fileProperty",
        "fileObject": "cr:fileObject",
        "fileSet": "cr:fileSet",
        "format": "cr:format",
        "includes": "cr:includes",
        "isLiveDataset": "cr:isLiveDataset",
        "jsonPath": "cr:jsonPath",
        "key": "cr:key",
        "md5": "cr:md5",
        "parentField": "cr:parentField",
        "path": "cr:path",
        "recordSet": "cr:recordSet",
        "references": "cr:references",
        "regex": "cr:regex",
        "repeated": "cr:repeated",
        "replace": "cr:replace",
        "samplingRate": "cr:samplingRate",
        "sc": "https://schema.org/",
        "separator": "cr:separator",
        "source": "cr:source",
        "subField": "cr:subField",
        "transform": "cr:transform",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_meaning_and_no_other() {
        let described = description("clips.parquet", "00", &[]);
        let fields = described["recordSet"][0]["field"].as_array().unwrap();
        assert_eq!(fields.len(), MEANINGS.len());
        for (field, column) in fields.iter().zip(ClipRow::columns()) {
            assert_eq!(field["name"], column.name().as_str());
            assert_ne!(field["description"], "", "{field}");
        }
    }
}
