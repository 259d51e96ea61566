//! What the end of a shard says: its columns, where its rows lie, and where it comes from.

use std::ops::Range;
use std::path::Path;

use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::{Block, root_as_footer};
use bytes::Bytes;

use super::ShardError;
use super::format::{ClipHead, Codec, FORMAT, REMARKS, Remarks, columns};
use super::message::Columns;
use super::stored::StoredClip;
use crate::parquet_file::Provenance;
use crate::tables::{ClipStatus, SourceFacts};

/// Opens and closes every Arrow IPC file.
const MAGIC: &[u8] = b"ARROW1";
/// What follows the footer: its length in four bytes, and the magic word.
const TRAILER_BYTES: usize = 10;

/// The footer of a shard.
pub(super) struct Footer {
    codec: Codec,
    blocks: Vec<Block>,
    remarks: Remarks,
    provenance: Provenance,
}

impl Footer {
    /// Reads the footer of the shard that `file` holds; `path` names it in errors.
    pub(super) fn read(path: &Path, file: &[u8]) -> Result<Self, ShardError> {
        if !file.starts_with(MAGIC) {
            return Err(damaged(path)("it is no complete Arrow file".into()));
        }
        Self::read_tail(path, file)
    }

    /// Reads it from the last bytes of a shard, which must hold all of it: see
    /// [`Footer::tail_bytes`].
    pub(super) fn read_tail(path: &Path, tail: &[u8]) -> Result<Self, ShardError> {
        let damaged = damaged(path);
        let from = Self::tail_bytes(tail).map_err(&damaged)?;
        let footer = usize::try_from(from)
            .ok()
            .and_then(|from| tail.len().checked_sub(from))
            .and_then(|start| tail.get(start..tail.len() - TRAILER_BYTES))
            .ok_or_else(|| damaged("the footer lies outside the file".into()))?;
        let footer = root_as_footer(footer).map_err(|e| damaged(format!("footer: {e}")))?;
        let schema = footer.schema().ok_or_else(|| damaged("no schema".into()))?;
        let schema = try_fb_to_schema(schema).map_err(|e| damaged(format!("schema: {e}")))?;
        let metadata = schema
            .metadata()
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let provenance = Provenance::from_metadata(path, &metadata, &FORMAT)?;
        let fields = || schema.fields().iter().map(AsRef::as_ref);
        let codec = [Codec::Jpeg, Codec::Raw]
            .into_iter()
            .find(|codec| fields().eq(columns(*codec).iter()))
            .ok_or_else(|| damaged("its columns are not a shard's".into()))?;
        let blocks = footer
            .recordBatches()
            .map(|b| b.iter().copied().collect())
            .unwrap_or_default();
        let remarks = (footer.custom_metadata().into_iter().flatten())
            .find(|pair| pair.key() == Some(REMARKS))
            .and_then(|pair| pair.value())
            .map_or(Ok(Remarks::new()), serde_json::from_str)
            .map_err(|e| damaged(format!("what its footer says of pictures: {e}")))?;
        Ok(Self {
            codec,
            blocks,
            remarks,
            provenance,
        })
    }

    /// How many of a shard's last bytes hold its footer, from its very last ones.
    pub(super) fn tail_bytes(tail: &[u8]) -> Result<u64, String> {
        let end = tail.len().checked_sub(TRAILER_BYTES);
        let end = end.filter(|_| tail.ends_with(MAGIC));
        let end = end.ok_or("it is no complete Arrow file")?;
        let length: [u8; 4] = tail[end..end + 4].try_into().map_err(|_| "it is cut off")?;
        u64::try_from(i32::from_le_bytes(length))
            .map(|length| length + TRAILER_BYTES as u64)
            .map_err(|_| "the footer lies outside the file".to_owned())
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Where the shard comes from.
    pub(super) fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The bytes of the file that hold a row.
    pub(super) fn span(&self, path: &Path, row: i64) -> Result<Range<u64>, ShardError> {
        let block = self.block(path, row)?;
        let number = |n: i64| u64::try_from(n).map_err(|_| "a negative size".to_owned());
        let span = || -> Result<Range<u64>, String> {
            let start = number(block.offset())?;
            let header = number(i64::from(block.metaDataLength()))?;
            let end = start
                .checked_add(header)
                .zip(number(block.bodyLength()).ok())
                .and_then(|(end, body)| end.checked_add(body));
            Ok(start..end.ok_or("the row lies outside the file")?)
        };
        span().map_err(|reason| damaged_row(path, row, reason))
    }

    /// The clip in `row` of the shard of which `bytes` begin at byte `at`.
    pub(super) fn clip(
        &self,
        path: &Path,
        row: i64,
        bytes: &Bytes,
        at: u64,
    ) -> Result<StoredClip, ShardError> {
        let block = self.block(path, row)?;
        let mut clip = read_row(bytes, at, block, self.codec)
            .map_err(|reason| damaged_row(path, row, reason))?;
        if let Some(remark) = self.remarks.get(&row) {
            remark.restore(&mut clip.head.source);
        }
        Ok(clip)
    }

    fn block(&self, path: &Path, row: i64) -> Result<&Block, ShardError> {
        let block = usize::try_from(row).ok().and_then(|r| self.blocks.get(r));
        block.ok_or_else(|| ShardError::NoSuchRow {
            path: path.to_owned(),
            row,
            rows: self.blocks.len(),
        })
    }
}

fn damaged(path: &Path) -> impl Fn(String) -> ShardError {
    move |reason| ShardError::Damaged {
        path: path.to_owned(),
        reason,
    }
}

fn damaged_row(path: &Path, row: i64, reason: String) -> ShardError {
    ShardError::DamagedRow {
        path: path.to_owned(),
        row,
        reason,
    }
}

fn read_row(bytes: &Bytes, at: u64, block: &Block, codec: Codec) -> Result<StoredClip, String> {
    let part = |start: usize, length: usize| bytes.get(start..start.checked_add(length)?);
    let number = |n: i64| usize::try_from(n).map_err(|_| "a negative size");
    let offset = u64::try_from(block.offset()).ok();
    let offset = offset.and_then(|offset| usize::try_from(offset.checked_sub(at)?).ok());
    let offset = offset.ok_or("the row lies outside the file")?;
    let header_len = number(i64::from(block.metaDataLength()))?;
    let header = part(offset, header_len).ok_or("the row lies outside the file")?;
    let body =
        part(offset + header_len, number(block.bodyLength())?).ok_or("the row is cut off")?;
    let mut columns = Columns::new(header, body)?;
    let clip_id = columns.text()?.to_owned();
    let count = columns.int32()?;
    let size = |n: i32| u32::try_from(n).map_err(|_| "a negative size");
    let (height, width) = (size(columns.int32()?)?, size(columns.int32()?)?);
    let named = columns.text()?;
    if named != codec.name() {
        return Err(format!("codec {named:?} in a shard of {codec} frames"));
    }
    let fps = columns.float64()?;
    let frames = columns.frames(codec)?;
    if i32::try_from(frames.len()) != Ok(count) {
        return Err(format!(
            "{count} frames were promised, {} are there",
            frames.len()
        ));
    }
    let raw_bytes = u64::from(height) * u64::from(width) * 3;
    if codec == Codec::Raw && frames.iter().any(|f| f.len() as u64 != raw_bytes) {
        return Err(format!("a raw frame is not {height} x {width} x 3 bytes"));
    }
    let blake3 = columns.text()?.to_owned();
    let source = SourceFacts {
        fps: columns.maybe_float64()?,
        duration_s: columns.maybe_float64()?,
        rotation: columns.int32()?,
        codec: columns.maybe_text()?.map(str::to_owned),
        frames_expected: columns.maybe_int64()?,
        frames_decoded: columns.int64()?,
        frames_concealed: columns.int64()?,
        bytes: columns.maybe_int64()?,
        blake3: columns.maybe_text()?.map(str::to_owned),
        // These stand in the footer.
        scan: None,
        transfer: None,
    };
    let status = usable_status(columns.text()?)?;
    let error = columns.maybe_text()?.map(str::to_owned);
    Ok(StoredClip {
        clip_id,
        head: ClipHead {
            codec,
            height,
            width,
            fps,
            source,
            status,
            error,
        },
        blake3,
        // They are slices of these bytes, as slice_ref wants it.
        frames: frames.into_iter().map(|f| bytes.slice_ref(f)).collect(),
    })
}

/// The status of a stored clip; one without frames is in no shard.
fn usable_status(name: &str) -> Result<ClipStatus, String> {
    [ClipStatus::Ok, ClipStatus::Partial]
        .into_iter()
        .find(|status| status.name() == name)
        .ok_or_else(|| format!("a stored clip cannot have the status {name:?}"))
}
