//! One row of a shard as slices of the memory map.
//!
//! A row is an Arrow IPC record batch of one row. The flatbuffer of its header is verified by the
//! Arrow library; the buffers that it names are cut here, each bound checked, so that a damaged
//! file is an error and never a panic, and the frames keep the life of the map.

use super::format::Codec;
use arrow::ipc::{FieldNode, MessageHeader, MetadataVersion, RecordBatch, root_as_message};

/// Why a row cannot be read; the reader adds where.
pub(super) type Malformed = String;

/// Most frames that a row may claim; bounds what a hostile count makes us allocate.
const MAX_FRAMES: usize = 1 << 24;

/// The encapsulated message at the start of a row: marker, length of the header, header.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Walks through the columns of a one-row record batch in schema order.
pub(super) struct Columns<'a> {
    batch: RecordBatch<'a>,
    body: &'a [u8],
    node: usize,
    buffer: usize,
}

impl<'a> Columns<'a> {
    /// The columns of the message whose header is `header` (marker and length included) and whose
    /// buffers lie in `body`.
    pub(super) fn new(header: &'a [u8], body: &'a [u8]) -> Result<Self, Malformed> {
        let header = header.strip_prefix(&CONTINUATION).unwrap_or(header);
        let header = header.get(4..).ok_or("the header is too short")?;
        let message = root_as_message(header).map_err(|e| format!("header: {e}"))?;
        if message.version() != MetadataVersion::V5
            || message.header_type() != MessageHeader::RecordBatch
        {
            return Err("the message is no record batch of version 5".into());
        }
        let batch = message
            .header_as_record_batch()
            .ok_or("the message is no record batch")?;
        if batch.length() != 1 || batch.compression().is_some() {
            return Err("the batch is not one uncompressed row".into());
        }
        Ok(Self {
            batch,
            body,
            node: 0,
            buffer: 0,
        })
    }

    fn node(&mut self) -> Result<&'a FieldNode, Malformed> {
        let nodes = self.batch.nodes().ok_or("the batch has no columns")?;
        if self.node >= nodes.len() {
            return Err("a column is missing".into());
        }
        self.node += 1;
        Ok(nodes.get(self.node - 1))
    }

    fn buffer(&mut self) -> Result<&'a [u8], Malformed> {
        let buffers = self.batch.buffers().ok_or("the batch has no buffers")?;
        if self.buffer >= buffers.len() {
            return Err("a buffer is missing".into());
        }
        let buffer = buffers.get(self.buffer);
        self.buffer += 1;
        let range = usize::try_from(buffer.offset())
            .ok()
            .zip(usize::try_from(buffer.length()).ok());
        range
            .and_then(|(start, length)| self.body.get(start..start.checked_add(length)?))
            .ok_or_else(|| format!("buffer {} lies outside the row", self.buffer - 1))
    }

    /// Whether the next column's one value is there (not null); steps over the validity buffer.
    fn present(&mut self) -> Result<bool, Malformed> {
        let node = self.node()?;
        let (length, nulls) = (node.length(), node.null_count());
        self.buffer()?;
        if length != 1 || !(0..=1).contains(&nulls) {
            return Err(format!(
                "column {} has {length} values, {nulls} nulls",
                self.node - 1
            ));
        }
        Ok(nulls == 0)
    }

    fn fixed<const N: usize>(&mut self) -> Result<Option<[u8; N]>, Malformed> {
        let present = self.present()?;
        let bytes = array::<N>(self.buffer()?, 0)?;
        Ok(present.then_some(bytes))
    }

    pub(super) fn int32(&mut self) -> Result<i32, Malformed> {
        self.fixed()
            .map(|v| v.map(i32::from_le_bytes))?
            .ok_or_else(null)
    }

    pub(super) fn maybe_int64(&mut self) -> Result<Option<i64>, Malformed> {
        self.fixed().map(|v| v.map(i64::from_le_bytes))
    }

    pub(super) fn int64(&mut self) -> Result<i64, Malformed> {
        self.maybe_int64()?.ok_or_else(null)
    }

    pub(super) fn maybe_float64(&mut self) -> Result<Option<f64>, Malformed> {
        self.fixed().map(|v| v.map(f64::from_le_bytes))
    }

    pub(super) fn float64(&mut self) -> Result<f64, Malformed> {
        self.maybe_float64()?.ok_or_else(null)
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<&'a str>, Malformed> {
        let present = self.present()?;
        let offsets = self.buffer()?;
        let values = self.buffer()?;
        if !present {
            return Ok(None);
        }
        let text = values
            .get(offset32(offsets, 0)?..offset32(offsets, 1)?)
            .ok_or("a text lies outside its buffer")?;
        std::str::from_utf8(text)
            .map(Some)
            .map_err(|e| e.to_string())
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        self.maybe_text()?.ok_or_else(null)
    }

    /// The list of frames: a large list of large binaries (raw), or of structs of a binary and a
    /// path (JPEG).
    pub(super) fn frames(&mut self, codec: Codec) -> Result<Vec<&'a [u8]>, Malformed> {
        if !self.present()? {
            return Err(null());
        }
        let list = self.buffer()?;
        let (first, end) = (offset64(list, 0)?, offset64(list, 1)?);
        if first > end || end - first > MAX_FRAMES {
            return Err(format!("frames {first}..{end}"));
        }
        let frames = match codec {
            Codec::Raw => self.binaries(first, end, offset64)?,
            Codec::Jpeg => {
                self.items(end)?;
                let frames = self.binaries(first, end, offset32)?;
                // The paths, which nobody reads.
                self.node()?;
                for _ in 0..3 {
                    self.buffer()?;
                }
                frames
            }
        };
        Ok(frames)
    }

    /// Steps over the node and validity of a child column that must have at least `count` values
    /// and no nulls.
    fn items(&mut self, count: usize) -> Result<(), Malformed> {
        let node = self.node()?;
        let (length, nulls) = (node.length(), node.null_count());
        self.buffer()?;
        match usize::try_from(length) {
            Ok(length) if count <= length && nulls == 0 => Ok(()),
            _ => Err(format!(
                "{length} frames, {nulls} of them null, where {count} are needed"
            )),
        }
    }

    fn binaries(
        &mut self,
        first: usize,
        end: usize,
        offset: Offset,
    ) -> Result<Vec<&'a [u8]>, Malformed> {
        self.items(end)?;
        let offsets = self.buffer()?;
        let values = self.buffer()?;
        // The last offset first: a hostile count must fail before anything of its size is
        // allocated.
        offset(offsets, end)?;
        (first..end)
            .map(|i| {
                values
                    .get(offset(offsets, i)?..offset(offsets, i + 1)?)
                    .ok_or_else(|| format!("frame {} lies outside its buffer", i - first))
            })
            .collect()
    }
}

/// Reads the `i`-th offset of a buffer.
type Offset = fn(&[u8], usize) -> Result<usize, Malformed>;

fn null() -> Malformed {
    "a value that must be there is null".into()
}

/// The `i`-th group of `N` bytes.
fn array<const N: usize>(bytes: &[u8], i: usize) -> Result<[u8; N], Malformed> {
    i.checked_mul(N)
        .and_then(|start| bytes.get(start..start.checked_add(N)?))
        .and_then(|b| b.try_into().ok())
        .ok_or_else(|| "a buffer is too short".into())
}

fn offset64(offsets: &[u8], i: usize) -> Result<usize, Malformed> {
    usize::try_from(i64::from_le_bytes(array::<8>(offsets, i)?))
        .map_err(|_| "a negative offset".into())
}

fn offset32(offsets: &[u8], i: usize) -> Result<usize, Malformed> {
    usize::try_from(i32::from_le_bytes(array::<4>(offsets, i)?))
        .map_err(|_| "a negative offset".into())
}
