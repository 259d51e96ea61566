//! Reads `TensorBoard` event files back.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;
/// Added to a rotated CRC so that a CRC of CRCs differs from them (TFRecord).
const CRC_MASK: u32 = 0xa282_ead8;

/// A value read back from an event file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Logged {
    /// A number.
    Scalar(f32),
    /// An image as PNG bytes.
    Png(Vec<u8>),
}

/// Reads the tagged values of an event file: tag, step, value. A record that is cut off or damaged ends the reading.
pub(crate) fn read(bytes: &[u8]) -> Vec<(String, i64, Logged)> {
    let mut values = Vec::new();
    let mut rest = bytes;
    while let Some((length, tail)) = rest.split_at_checked(8) {
        let size = u64::from_le_bytes(length.try_into().unwrap_or_default());
        let Some((crc, tail)) = tail.split_at_checked(4) else {
            break;
        };
        let Ok(size) = usize::try_from(size) else {
            break;
        };
        let Some((body, tail)) = tail.split_at_checked(size) else {
            break;
        };
        let Some((body_crc, tail)) = tail.split_at_checked(4) else {
            break;
        };
        let matches = |bytes: &[u8], crc: &[u8]| masked_crc(bytes).to_le_bytes() == crc;
        if !matches(length, crc) || !matches(body, body_crc) {
            break;
        }
        values.extend(parse(body));
        rest = tail;
    }
    values
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(CRC_MASK)
}

/// A field of a message: its number and its bytes (little-endian for numbers).
type Field<'a> = (u64, &'a [u8], u64);

/// The values of an `Event`: tag, step, value.
fn parse(event: &[u8]) -> Vec<(String, i64, Logged)> {
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
