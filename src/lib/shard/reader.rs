//! Reading one shard where the page cache has it: the file is mapped, clips are slices of the map.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::{Block, root_as_footer};
use memmap2::Mmap;

use super::ShardError;
use super::format::{ClipHead, Codec, FORMAT, REMARKS, Remarks, columns};
use super::message::Columns;
use crate::artifact::ArtifactError;
use crate::clip::Split;
use crate::parquet_file::Provenance;
use crate::tables::ClipStatus;
use crate::tables::{IndexRow, SourceFacts};

/// Opens and closes every Arrow IPC file.
const MAGIC: &[u8] = b"ARROW1";

/// A clip in a shard. Frames, id and hash are slices of the memory map: nothing is copied.
#[derive(Clone, Debug)]
pub struct StoredClip<'a> {
    /// `<youtube_id>_<start>_<end>`, or the clip's path without its ending.
    pub clip_id: &'a str,
    /// What is known of it beside the frames.
    pub head: ClipHead,
    /// The BLAKE3 hash that was stored with the row, in hexadecimal. [`StoredClip::intact`]
    /// compares it.
    pub blake3: &'a str,
    frames: Vec<&'a [u8]>,
}

impl<'a> StoredClip<'a> {
    /// The number of frames; at least one in an intact shard.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The bytes of frame `i`, as the head's codec says.
    ///
    /// # Panics
    /// When there is no such frame.
    #[must_use]
    pub fn frame(&self, i: usize) -> &'a [u8] {
        self.frames[i]
    }

    /// All frames in order.
    #[must_use]
    pub fn frames(&self) -> &[&'a [u8]] {
        &self.frames
    }

    /// Whether the row's bytes still have the hash that was stored with them. Reads all frames.
    #[must_use]
    pub fn intact(&self) -> bool {
        self.head.hash(self.clip_id, self.frames.iter().copied()) == self.blake3
    }
}

/// One shard file, mapped into memory.
pub struct Shard {
    path: PathBuf,
    map: Mmap,
    codec: Codec,
    blocks: Vec<Block>,
    remarks: Remarks,
    provenance: Provenance,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard")
            .field("path", &self.path)
            .field("rows", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

impl Shard {
    /// Maps a shard and reads its footer. The file is closed again; the map stays.
    ///
    /// # Errors
    /// When the file is absent, no shard, of another version, or damaged.
    pub fn open(path: &Path) -> Result<Self, ShardError> {
        let file = File::open(path).map_err(ArtifactError::at("open", path))?;
        // SAFETY: published shards are never written in place, only replaced by a rename or
        // removed, so the mapped bytes do not change while we read them.
        let map = unsafe { Mmap::map(&file) }.map_err(ArtifactError::at("map", path))?;
        let damaged = |reason: String| ShardError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let footer = footer(&map).map_err(damaged)?;
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
            path: path.to_owned(),
            map,
            codec,
            blocks,
            remarks,
            provenance,
        })
    }

    /// The number of clips.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is no clip.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Where the shard comes from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The clip in `row`, without a copy of its frames.
    ///
    /// # Errors
    /// When there is no such row or its bytes are damaged. The hash is not checked: see
    /// [`StoredClip::intact`].
    pub fn clip(&self, row: i64) -> Result<StoredClip<'_>, ShardError> {
        let block = usize::try_from(row).ok().and_then(|r| self.blocks.get(r));
        let block = block.ok_or_else(|| ShardError::NoSuchRow {
            path: self.path.clone(),
            row,
            rows: self.blocks.len(),
        })?;
        let mut clip =
            read_row(&self.map, block, self.codec).map_err(|reason| ShardError::DamagedRow {
                path: self.path.clone(),
                row,
                reason,
            })?;
        if let Some(remark) = self.remarks.get(&row) {
            remark.restore(&mut clip.head.source);
        }
        Ok(clip)
    }

    /// The row of the index for the clip in `row`, from what the shard itself holds.
    ///
    /// # Errors
    /// When there is no such row or its bytes are damaged.
    pub fn index_row(&self, row: i64, split: Split, shard: &str) -> Result<IndexRow, ShardError> {
        let clip = self.clip(row)?;
        let frames = clip.len();
        Ok(clip
            .head
            .index_row(clip.clip_id, split, (shard, row), frames, clip.blake3))
    }
}

/// The footer's flatbuffer.
fn footer(map: &[u8]) -> Result<&[u8], String> {
    let end = map
        .len()
        .checked_sub(10)
        .filter(|_| map.starts_with(MAGIC) && map.ends_with(MAGIC));
    let end = end.ok_or("it is no complete Arrow file")?;
    let length: [u8; 4] = map[end..end + 4].try_into().map_err(|_| "it is cut off")?;
    usize::try_from(i32::from_le_bytes(length))
        .ok()
        .and_then(|length| map.get(end.checked_sub(length)?..end))
        .ok_or_else(|| "the footer lies outside the file".to_owned())
}

fn read_row<'a>(map: &'a [u8], block: &Block, codec: Codec) -> Result<StoredClip<'a>, String> {
    let part = |start: usize, length: usize| map.get(start..start.checked_add(length)?);
    let number = |n: i64| usize::try_from(n).map_err(|_| "a negative size");
    let (offset, header_len) = (
        number(block.offset())?,
        number(i64::from(block.metaDataLength()))?,
    );
    let header = part(offset, header_len).ok_or("the row lies outside the file")?;
    let body =
        part(offset + header_len, number(block.bodyLength())?).ok_or("the row is cut off")?;
    let mut columns = Columns::new(header, body)?;
    let clip_id = columns.text()?;
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
    let blake3 = columns.text()?;
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
        frames,
    })
}

/// The status of a stored clip; one without frames is in no shard.
fn usable_status(name: &str) -> Result<ClipStatus, String> {
    [ClipStatus::Ok, ClipStatus::Partial]
        .into_iter()
        .find(|status| status.name() == name)
        .ok_or_else(|| format!("a stored clip cannot have the status {name:?}"))
}
