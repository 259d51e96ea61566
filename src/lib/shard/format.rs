//! What a shard and its index look like: columns, metadata, hashes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::choice::choice;
use crate::clip::Split;
use crate::parquet_file::{Format, Provenance, column};
use crate::tables::{ClipStatus, IndexRow, SourceFacts};

/// The format of shard files.
pub const FORMAT: Format = Format::new("incdec.shard", 1, "make decode");

choice! {
    /// How frames are stored.
    pub enum Codec: "frame codec" {
        /// Each frame is a JPEG file.
        Jpeg = "jpeg",
        /// Each frame is height x width x 3 bytes, RGB, row by row.
        Raw = "raw",
    }
}

/// The columns of a shard of `codec` frames, in the order in which [`super::message`] reads them.
///
/// JPEG frames are stored as Hugging Face datasets stores images (a struct of bytes and an empty
/// path, nullable throughout), because it takes the features in the metadata only where the columns
/// are of exactly its own type.
pub(super) fn columns(codec: Codec) -> Vec<Field> {
    vec![
        column::text("clip_id"),
        column::int32("frames"),
        column::int32("height"),
        column::int32("width"),
        column::text("codec"),
        column::float64("fps"),
        Field::new(
            "encoded_frames",
            DataType::LargeList(frame_field(codec)),
            true,
        ),
        column::text("blake3"),
        column::nullable(column::float64("source_fps")),
        column::nullable(column::float64("source_duration_s")),
        column::int32("rotation"),
        column::nullable(column::text("source_codec")),
        column::nullable(column::int64("source_frames_expected")),
        column::int64("source_frames_decoded"),
        column::int64("source_frames_concealed"),
        column::nullable(column::int64("source_bytes")),
        column::nullable(column::text("source_blake3")),
        column::text("status"),
        column::nullable(column::text("error")),
    ]
}

/// The items of the list of frames.
pub(super) fn frame_field(codec: Codec) -> FieldRef {
    let frame = match codec {
        Codec::Jpeg => DataType::Struct(image_fields()),
        Codec::Raw => DataType::LargeBinary,
    };
    Arc::new(Field::new("item", frame, true))
}

/// The fields of a JPEG frame.
pub(super) fn image_fields() -> Fields {
    Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("path", DataType::Utf8, true),
    ])
}

/// The schema of a shard, with its provenance and, for Hugging Face datasets, the types of its
/// features: JPEG frames show as images there.
pub(super) fn schema(provenance: &Provenance, codec: Codec) -> SchemaRef {
    let mut metadata: HashMap<String, String> = provenance.metadata(&FORMAT).into_iter().collect();
    let features: serde_json::Map<String, serde_json::Value> = columns(codec)
        .iter()
        .map(|f| (f.name().clone(), feature(f.data_type(), codec)))
        .collect();
    let info = serde_json::json!({ "info": { "features": features } });
    metadata.insert("huggingface".to_owned(), info.to_string());
    Arc::new(Schema::new_with_metadata(columns(codec), metadata))
}

fn feature(data_type: &DataType, codec: Codec) -> serde_json::Value {
    let value = |dtype: &str| serde_json::json!({ "dtype": dtype, "_type": "Value" });
    match data_type {
        DataType::Int32 => value("int32"),
        DataType::Int64 => value("int64"),
        DataType::Float64 => value("float64"),
        DataType::LargeList(_) => {
            let frame = match codec {
                Codec::Jpeg => serde_json::json!({ "_type": "Image" }),
                Codec::Raw => value("large_binary"),
            };
            serde_json::json!({ "feature": frame, "_type": "LargeList" })
        }
        _ => value("string"),
    }
}

/// The key of a shard's footer under which its [`Remarks`] stand.
pub(super) const REMARKS: &str = "incdec.source_pictures";

/// What is remarkable about the pictures of some clips, by the row. It stands in the footer and not
/// in columns: shards without such clips stay as they were before anybody looked.
pub(super) type Remarks = BTreeMap<i64, Remark>;

/// What is remarkable about a clip's pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remark {
    /// See [`SourceFacts::scan`].
    scan: Option<String>,
    /// See [`SourceFacts::transfer`].
    transfer: Option<String>,
}

impl Remark {
    /// What is to be remarked; none of nearly all clips.
    pub(super) fn of(source: &SourceFacts) -> Option<Self> {
        let remark = Self {
            scan: source.scan.clone(),
            transfer: source.transfer.clone(),
        };
        (remark != Self::default()).then_some(remark)
    }

    /// Puts it where it was taken from.
    pub(super) fn restore(&self, source: &mut SourceFacts) {
        source.scan.clone_from(&self.scan);
        source.transfer.clone_from(&self.transfer);
    }
}

/// What is known of a clip beside its frames, as its row holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipHead {
    /// What the frames are.
    pub codec: Codec,
    /// Height of a frame in pixels; 0 without frames.
    pub height: u32,
    /// Width of a frame in pixels; 0 without frames.
    pub width: u32,
    /// Frames per second of the stored clip.
    pub fps: f64,
    /// Where the frames come from.
    pub source: SourceFacts,
    /// How decoding went; `Ok` or `Partial` where there are frames.
    pub status: ClipStatus,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

impl ClipHead {
    /// The BLAKE3 hash of the clip's row in hexadecimal. Lengths stand before contents, so no two
    /// rows hash the same bytes.
    pub(super) fn hash<'f>(
        &self,
        clip_id: &str,
        frames: impl ExactSizeIterator<Item = &'f [u8]>,
    ) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("incdec shard row 1");
        let head = serde_json::json!([
            clip_id,
            self.codec.name(),
            self.height,
            self.width,
            self.fps,
            self.source,
            self.status.name(),
            self.error,
            frames.len()
        ])
        .to_string();
        hasher.update(&(head.len() as u64).to_le_bytes());
        hasher.update(head.as_bytes());
        for frame in frames {
            hasher.update(&(frame.len() as u64).to_le_bytes());
            hasher.update(frame);
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The row of the index of a clip with this head whose frames lie in `shard`.
    pub(super) fn index_row(
        self,
        clip_id: &str,
        split: Split,
        (shard, shard_row): (&str, i64),
        frames: usize,
        content: &str,
    ) -> IndexRow {
        IndexRow {
            shard: Some(shard.to_owned()),
            shard_row: Some(shard_row),
            frames: int32(frames),
            height: int32(self.height),
            width: int32(self.width),
            codec: Some(self.codec.to_string()),
            content: Some(content.to_owned()),
            ..IndexRow::without_frames(
                clip_id.to_owned(),
                split,
                self.source,
                self.status,
                self.error,
            )
        }
    }
}

/// A count or a size as tables hold it; those of a clip are far below 2^31.
pub(super) fn int32(n: impl TryInto<i32>) -> i32 {
    n.try_into().unwrap_or(i32::MAX)
}
