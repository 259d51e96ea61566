//! The few protobuf messages of an event file, written by hand.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;
/// `SummaryImage.colorspace` of RGB.
const RGB: u64 = 3;

/// An encoded `Event`.
pub(super) struct Event(Vec<u8>);

/// What an event carries under its tag.
pub(super) enum Value<'a> {
    Scalar(f64),
    Image {
        height: u32,
        width: u32,
        png: &'a [u8],
    },
}

impl Event {
    /// The event that opens a file.
    pub(super) fn version(wall_time_s: f64, version: &str) -> Self {
        let mut event = Vec::new();
        double(&mut event, 1, wall_time_s);
        bytes(&mut event, 3, version.as_bytes());
        Self(event)
    }

    /// An event with one value of one tag.
    pub(super) fn summary(wall_time_s: f64, step: u32, tag: &str, value: &Value<'_>) -> Self {
        let mut inner = Vec::new();
        bytes(&mut inner, 1, tag.as_bytes());
        match value {
            Value::Scalar(number) => {
                key(&mut inner, 2, FIXED32);
                #[allow(clippy::cast_possible_truncation)] // The format has 32-bit scalars.
                inner.extend((*number as f32).to_le_bytes());
            }
            Value::Image { height, width, png } => {
                let mut image = Vec::new();
                integer(&mut image, 1, u64::from(*height));
                integer(&mut image, 2, u64::from(*width));
                integer(&mut image, 3, RGB);
                bytes(&mut image, 4, png);
                bytes(&mut inner, 4, &image);
            }
        }
        let mut summary = Vec::new();
        bytes(&mut summary, 1, &inner);
        let mut event = Vec::new();
        double(&mut event, 1, wall_time_s);
        integer(&mut event, 2, u64::from(step));
        bytes(&mut event, 5, &summary);
        Self(event)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        // Seven bits at a time; the first byte is the lowest.
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
    varint(out, field << 3 | wire);
}

fn integer(out: &mut Vec<u8>, field: u64, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    key(out, field, FIXED64);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, BYTES);
    varint(out, value.len() as u64);
    out.extend(value);
}
