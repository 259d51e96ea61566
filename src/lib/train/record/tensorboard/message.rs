//! The few protobuf messages of an event file, written and read by hand.

use super::Logged;

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

/// A field of a message: its number and its bytes (little-endian for numbers).
type Field<'a> = (u64, &'a [u8], u64);

/// The values of an `Event`: tag, step, value.
pub(super) fn parse(event: &[u8]) -> Vec<(String, i64, Logged)> {
    let mut step = 0;
    let mut values = Vec::new();
    for (field, body, number) in fields(event) {
        match field {
            2 => step = i64::try_from(number).unwrap_or(0),
            5 => values.extend(
                fields(body)
                    .filter(|f| f.0 == 1)
                    .filter_map(|(_, value, _)| tagged(value)),
            ),
            _ => {}
        }
    }
    values
        .into_iter()
        .map(|(tag, value)| (tag, step, value))
        .collect()
}

fn tagged(value: &[u8]) -> Option<(String, Logged)> {
    let (mut tag, mut logged) = (None, None);
    for (field, body, _) in fields(value) {
        match field {
            1 => tag = String::from_utf8(body.to_vec()).ok(),
            2 => {
                logged = body
                    .try_into()
                    .ok()
                    .map(|b| Logged::Scalar(f32::from_le_bytes(b)));
            }
            4 => {
                logged = fields(body)
                    .find(|f| f.0 == 4)
                    .map(|(_, png, _)| Logged::Png(png.to_vec()));
            }
            _ => {}
        }
    }
    Some((tag?, logged?))
}

/// The fields of a message until its end or the first that makes no sense.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::from_fn(move || {
        let key = read_varint(&mut rest)?;
        let mut number = 0;
        let length = match key & 7 {
            VARINT => {
                number = read_varint(&mut rest)?;
                0
            }
            FIXED64 => 8,
            FIXED32 => 4,
            BYTES => usize::try_from(read_varint(&mut rest)?).ok()?,
            _ => return None,
        };
        let (body, tail) = rest.split_at_checked(length)?;
        rest = tail;
        Some((key >> 3, body, number))
    })
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
