//! Writing shards: clips in the order in which they are pushed, a new file for each range of label
//! rows.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, LargeBinaryArray, LargeListArray,
    RecordBatch, StringArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;

use super::ShardError;
use super::folder::shard_name;
use super::format::{
    ClipHead, Codec, REMARKS, Remark, Remarks, frame_field, image_fields, int32, schema,
};
use super::ranges::Ranges;
use crate::artifact::{ArtifactError, Draft};
use crate::clip::Split;
use crate::parquet_file::{self, Provenance};
use crate::tables::IndexRow;

/// Most bytes that one stored clip may have: the offsets of JPEG frames inside their clip are
/// 32-bit numbers, as Hugging Face datasets wants them. Across clips everything is 64-bit.
const MAX_CLIP_BYTES: u64 = (2 << 30) - 1;

/// How shards are cut and numbered.
#[derive(Clone, Debug, Default)]
pub struct ShardWriterConfig {
    /// The rows of the label tables that share a shard.
    pub ranges: Ranges,
    /// Numbers of shards that are there already: a new one gets the lowest that is free of its
    /// range's.
    pub taken: BTreeSet<(Split, u32)>,
}

/// A clip to be stored.
#[derive(Clone, Debug)]
pub struct NewClip {
    /// `<youtube_id>_<start>_<end>`, or the clip's path without its ending.
    pub clip_id: String,
    /// The split that the clip belongs to.
    pub split: Split,
    /// Its row in the split's label table, from 0: it says with which clips it shares a shard.
    pub label_row: usize,
    /// What is known of it beside the frames.
    pub head: ClipHead,
    /// The frames, each as the head's codec says; at least one.
    pub frames: Vec<Vec<u8>>,
}

/// Writes shards into a folder. Holds one clip in memory. A shard appears under its name when it is
/// closed; the index is the caller's to write, last, with [`write_index`].
pub struct ShardWriter {
    folder: PathBuf,
    provenance: Provenance,
    config: ShardWriterConfig,
    open: Option<OpenShard>,
    closed: Vec<String>,
}

/// What all clips of a shard have in common: split, range of rows, codec.
type Kind = (Split, u32, Codec);

struct OpenShard {
    name: String,
    path: PathBuf,
    /// Split, range and codec of all its clips.
    kind: Kind,
    rows: i64,
    schema: SchemaRef,
    remarks: Remarks,
    draft: Draft,
    writer: FileWriter<BufWriter<File>>,
}

impl ShardWriter {
    /// A writer of shards into `folder`, each with `provenance`. Nothing is made before the first
    /// clip.
    #[must_use]
    pub fn new(folder: &Path, provenance: Provenance, config: ShardWriterConfig) -> Self {
        Self {
            folder: folder.to_owned(),
            provenance,
            config,
            open: None,
            closed: Vec::new(),
        }
    }

    /// Appends a clip and gives its row of the index. A new shard begins where the split, the range
    /// of label rows or the codec changes.
    ///
    /// # Errors
    /// When the clip has no frames, a raw frame of a wrong size or an unusable status, or the disk
    /// refuses.
    pub fn push(&mut self, clip: &NewClip) -> Result<IndexRow, ShardError> {
        check(clip)?;
        let range = self.config.ranges.range(clip.label_row);
        let kind = (clip.split, range, clip.head.codec);
        if self.open.as_ref().is_some_and(|open| open.kind != kind) {
            self.close()?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.start(kind)?,
        };
        let (batch, content) = record_batch(clip, &open.schema).map_err(refused(&open.path))?;
        open.writer.write(&batch).map_err(refused(&open.path))?;
        let place = (open.name.as_str(), open.rows);
        let head = clip.head.clone();
        let row = head.index_row(
            &clip.clip_id,
            clip.split,
            place,
            clip.frames.len(),
            &content,
        );
        if let Some(remark) = Remark::of(&clip.head.source) {
            open.remarks.insert(open.rows, remark);
        }
        open.rows += 1;
        self.open = Some(open);
        Ok(row)
    }

    /// Closes the open shard, if any, and gives the names of all shards written, in order.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<Vec<String>, ShardError> {
        self.close()?;
        Ok(self.closed)
    }

    /// The shards that are published so far, in order.
    #[must_use]
    pub fn published(&self) -> &[String] {
        &self.closed
    }

    fn start(&mut self, kind: Kind) -> Result<OpenShard, ShardError> {
        let (split, range, codec) = kind;
        let name = shard_name(split, self.free_number(split, range));
        let path = self.folder.join(&name);
        let draft = Draft::new(&path)?;
        let schema = schema(&self.provenance, codec);
        let writer =
            FileWriter::try_new_buffered(draft.handle()?, &schema).map_err(refused(&path))?;
        Ok(OpenShard {
            name,
            path,
            kind,
            rows: 0,
            schema,
            remarks: Remarks::new(),
            draft,
            writer,
        })
    }

    /// Takes the lowest number of the range that no shard has.
    fn free_number(&mut self, split: Split, range: u32) -> u32 {
        let ShardWriterConfig { ranges, taken } = &mut self.config;
        let mut number = range;
        while !taken.insert((split, number)) {
            // There are far fewer shards than numbers.
            number = number.wrapping_add(ranges.count(split));
        }
        number
    }

    fn close(&mut self) -> Result<(), ShardError> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        if !open.remarks.is_empty() {
            let remarks = serde_json::json!(open.remarks).to_string();
            open.writer.write_metadata(REMARKS, remarks);
        }
        open.writer
            .finish()
            .and_then(|()| open.writer.flush())
            .map_err(refused(&open.path))?;
        drop(open.writer);
        open.draft.publish()?;
        self.closed.push(open.name);
        Ok(())
    }
}

/// What Arrow said at `path`; what the disk said keeps its own error, so that a full one gets its
/// hint and its exit status.
fn refused(path: &Path) -> impl FnOnce(ArrowError) -> ShardError + use<> {
    let path = path.to_owned();
    move |source| match source {
        ArrowError::IoError(_, io) => ArtifactError::at("write", &path)(io).into(),
        source => ShardError::Arrow { path, source },
    }
}

/// Publishes the index of `folder`. Call it last: what it names must be there.
///
/// # Errors
/// When the disk refuses.
pub fn write_index(
    folder: &Path,
    rows: &[IndexRow],
    provenance: &Provenance,
) -> Result<(), ShardError> {
    Ok(parquet_file::write(
        &folder.join(IndexRow::FILE),
        rows,
        provenance,
    )?)
}

fn check(clip: &NewClip) -> Result<(), ShardError> {
    let refuse = |reason: String| ShardError::Clip {
        clip_id: clip.clip_id.clone(),
        reason,
    };
    if clip.frames.is_empty() {
        return Err(refuse("it has no frames".into()));
    }
    if !clip.head.status.is_usable() {
        return Err(refuse(format!("its status is {:?}", clip.head.status)));
    }
    if clip.head.codec == Codec::Raw {
        let expected = u64::from(clip.head.height) * u64::from(clip.head.width) * 3;
        if let Some(frame) = clip.frames.iter().find(|f| f.len() as u64 != expected) {
            return Err(refuse(format!(
                "a raw frame has {} bytes instead of {expected}",
                frame.len()
            )));
        }
    }
    if i32::try_from(clip.frames.len()).is_err() {
        return Err(refuse(format!("{} frames", clip.frames.len())));
    }
    let bytes: u64 = clip.frames.iter().map(|f| f.len() as u64).sum();
    if bytes > MAX_CLIP_BYTES {
        return Err(refuse(format!(
            "{bytes} bytes of frames; the limit is {MAX_CLIP_BYTES}"
        )));
    }
    Ok(())
}

/// The clip as a record batch of one row, and its hash.
fn record_batch(clip: &NewClip, schema: &SchemaRef) -> Result<(RecordBatch, String), ArrowError> {
    let head = &clip.head;
    let content = head.hash(&clip.clip_id, clip.frames.iter().map(Vec::as_slice));
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let maybe_text = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let int = |value: i32| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
    let int64 = |value: Option<i64>| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let float64 = |value: Option<f64>| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
    let values: ArrayRef = match head.codec {
        Codec::Raw => Arc::new(LargeBinaryArray::from_iter_values(&clip.frames)),
        Codec::Jpeg => Arc::new(StructArray::try_new(
            image_fields(),
            vec![
                Arc::new(BinaryArray::from_iter_values(&clip.frames)),
                Arc::new(StringArray::new_null(clip.frames.len())),
            ],
            None,
        )?),
    };
    let lengths = OffsetBuffer::from_lengths([clip.frames.len()]);
    let frames = LargeListArray::try_new(frame_field(head.codec), lengths, values, None)?;
    let source = &head.source;
    let columns = vec![
        text(&clip.clip_id),
        int(int32(clip.frames.len())),
        int(int32(head.height)),
        int(int32(head.width)),
        text(head.codec.name()),
        float64(Some(head.fps)),
        Arc::new(frames),
        text(&content),
        float64(source.fps),
        float64(source.duration_s),
        int(source.rotation),
        maybe_text(source.codec.as_deref()),
        int64(source.frames_expected),
        int64(Some(source.frames_decoded)),
        int64(Some(source.frames_concealed)),
        int64(source.bytes),
        maybe_text(source.blake3.as_deref()),
        text(head.status.name()),
        maybe_text(head.error.as_deref()),
    ];
    Ok((RecordBatch::try_new(schema.clone(), columns)?, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::hint::Hint;
    use std::io;

    #[test]
    fn a_full_disk_is_a_passing_trouble() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = refused(Path::new("train-00000.arrow"))(full.into());
        assert_eq!(error.exit(), Exit::TryAgain);
        assert!(error.hint().unwrap().contains("free some space"));
    }
}
