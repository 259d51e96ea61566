//! What a shard and its index look like: columns, metadata, hashes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::choice::choice;
use crate::clip::Split;
use crate::parquet_file::{Format, Provenance, Table, column};
use crate::stage_tables::ClipStatus;

/// The format of shard files.
pub const FORMAT: Format = Format {
    name: "incdec.shard",
    version: 1,
    rebuild: "make decode",
};

choice! {
    /// How frames are stored.
    pub enum Codec: "frame codec" {
        /// Each frame is a JPEG file.
        Jpeg = "jpeg",
        /// Each frame is height x width x 3 bytes, RGB, row by row.
        Raw = "raw",
    }
}

choice! {
    /// Whose fault it is that a clip has no frames.
    pub enum Cause: "cause" {
        /// The file's: another try gives nothing else.
        Damaged = "damaged",
        /// The machine's: no time, no memory, no permission. Another try may succeed.
        NotDecoded = "not-decoded",
    }
}

/// What is known about the file that a clip was decoded from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Average frame rate as the container tells it, in frames per second.
    pub fps: Option<f64>,
    /// Length of the video as displayed, in seconds.
    pub duration_s: Option<f64>,
    /// How far the display turns the coded picture, in degrees clockwise: 0, 90, 180 or 270.
    pub rotation: i32,
    /// The video codec's name (`h264`, `vp9`, ...; `frames` for a folder of images).
    pub codec: Option<String>,
    /// Frames that the header promises.
    pub frames_expected: Option<i64>,
    /// Frames that were decoded.
    pub frames_decoded: i64,
    /// Decoded frames that the decoder marked as damaged or concealed.
    pub frames_concealed: i64,
    /// The file's size in bytes.
    pub bytes: Option<i64>,
    /// BLAKE3 hash of the file.
    pub blake3: Option<String>,
}

/// A row of `index.parquet`: one labelled clip, with or without frames. Sorted by split and the label table's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexRow {
    /// `<youtube_id>_<start>_<end>`.
    pub clip_id: String,
    /// The split whose label table names the clip.
    pub split: Split,
    /// The shard's file name; null without frames.
    pub shard: Option<String>,
    /// The clip's row in its shard; null without frames.
    pub shard_row: Option<i64>,
    /// Stored frames.
    pub frames: i32,
    /// Height of a stored frame in pixels.
    pub height: i32,
    /// Width of a stored frame in pixels.
    pub width: i32,
    /// How frames are stored; null without frames.
    pub codec: Option<String>,
    /// See [`SourceFacts::fps`].
    pub source_fps: Option<f64>,
    /// See [`SourceFacts::duration_s`].
    pub source_duration_s: Option<f64>,
    /// See [`SourceFacts::rotation`].
    pub rotation: i32,
    /// See [`SourceFacts::codec`].
    pub source_codec: Option<String>,
    /// See [`SourceFacts::frames_expected`].
    pub source_frames_expected: Option<i64>,
    /// See [`SourceFacts::frames_decoded`].
    pub source_frames_decoded: i64,
    /// See [`SourceFacts::frames_concealed`].
    pub source_frames_concealed: i64,
    /// See [`SourceFacts::bytes`].
    pub source_bytes: Option<i64>,
    /// See [`SourceFacts::blake3`].
    pub source_blake3: Option<String>,
    /// BLAKE3 hash of the shard's row; null without frames.
    pub content: Option<String>,
    /// How decoding went.
    pub status: ClipStatus,
    /// What went wrong, where something did.
    pub error: Option<String>,
    /// Whose fault it is that a failed clip has no frames; null for all others, and where an earlier version of this program
    /// has decoded.
    pub cause: Option<Cause>,
}

impl Table for IndexRow {
    const FORMAT: Format = Format {
        name: "incdec.index",
        version: 1,
        rebuild: "make decode",
    };

    fn columns() -> Vec<Field> {
        vec![
            column::text("clip_id"),
            column::text("split"),
            column::nullable(column::text("shard")),
            column::nullable(column::int64("shard_row")),
            column::int32("frames"),
            column::int32("height"),
            column::int32("width"),
            column::nullable(column::text("codec")),
            column::nullable(column::float64("source_fps")),
            column::nullable(column::float64("source_duration_s")),
            column::int32("rotation"),
            column::nullable(column::text("source_codec")),
            column::nullable(column::int64("source_frames_expected")),
            column::int64("source_frames_decoded"),
            column::int64("source_frames_concealed"),
            column::nullable(column::int64("source_bytes")),
            column::nullable(column::text("source_blake3")),
            column::nullable(column::text("content")),
            column::text("status"),
            column::nullable(column::text("error")),
            column::nullable(column::text("cause")),
        ]
    }

    const ADDED: &'static [&'static str] = &["cause"];
}

impl IndexRow {
    /// The row of a clip that has no frames. Whose fault that is, the caller says.
    #[must_use]
    pub fn without_frames(
        clip_id: String,
        split: Split,
        source: SourceFacts,
        status: ClipStatus,
        error: Option<String>,
    ) -> Self {
        Self {
            clip_id,
            split,
            shard: None,
            shard_row: None,
            frames: 0,
            height: 0,
            width: 0,
            codec: None,
            source_fps: source.fps,
            source_duration_s: source.duration_s,
            rotation: source.rotation,
            source_codec: source.codec,
            source_frames_expected: source.frames_expected,
            source_frames_decoded: source.frames_decoded,
            source_frames_concealed: source.frames_concealed,
            source_bytes: source.bytes,
            source_blake3: source.blake3,
            content: None,
            status,
            error,
            cause: None,
        }
    }
}

/// The columns of a shard of `codec` frames, in the order in which [`super::message`] reads them.
///
/// JPEG frames are stored as Hugging Face datasets stores images (a struct of bytes and an empty path, nullable throughout),
/// because it takes the features in the metadata only where the columns are of exactly its own type.
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

/// The schema of a shard, with its provenance and, for Hugging Face datasets, the types of its features: JPEG frames show
/// as images there.
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

/// The values of a row that its hash covers, frames included.
pub(super) struct HashedRow<'a> {
    pub(super) clip_id: &'a str,
    pub(super) codec: Codec,
    pub(super) height: i32,
    pub(super) width: i32,
    pub(super) fps: f64,
    pub(super) source: &'a SourceFacts,
    pub(super) status: ClipStatus,
    pub(super) error: Option<&'a str>,
}

impl HashedRow<'_> {
    /// The BLAKE3 hash of the row in hexadecimal. Lengths stand before contents, so no two rows hash the same bytes.
    pub(super) fn hash<'f>(&self, frames: impl ExactSizeIterator<Item = &'f [u8]>) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("incdec shard row 1");
        let head = serde_json::json!([
            self.clip_id,
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
}
