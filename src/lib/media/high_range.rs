//! Pictures of high dynamic range, by what they say of themselves.

use ffmpeg_next::frame;
use ffmpeg_next::util::color::TransferCharacteristic;

/// How levels of high dynamic range are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HighRange {
    /// SMPTE ST 2084.
    Pq,
    /// ARIB STD-B67.
    Hlg,
}

impl HighRange {
    /// How the picture's levels are coded, where that is for high dynamic range.
    #[must_use]
    pub fn of(picture: &frame::Video) -> Option<Self> {
        match picture.color_transfer_characteristic() {
            TransferCharacteristic::SMPTE2084 => Some(Self::Pq),
            TransferCharacteristic::ARIB_STD_B67 => Some(Self::Hlg),
            _ => None,
        }
    }

    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pq => "pq",
            Self::Hlg => "hlg",
        }
    }
}
