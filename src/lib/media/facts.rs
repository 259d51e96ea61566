//! What container and stream tell before anything is decoded.

use ffmpeg_next::codec::packet::side_data::Type as SideData;
use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Rational, Stream};

use super::orientation::Orientation;

/// Frame rate where neither container nor codec tells one.
const FALLBACK_FPS: i64 = 25;

/// What the container tells about the video stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoFacts {
    /// Average frame rate in frames per second.
    pub fps: Option<f64>,
    /// Length in seconds.
    pub duration_s: Option<f64>,
    /// The codec's name.
    pub codec: String,
    /// Frames that the header promises, those that an edit list hides left out.
    pub frames_expected: Option<i64>,
    /// How the picture is turned for display.
    pub orientation: Orientation,
}

/// A rational number of seconds per unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBase {
    /// Seconds ...
    pub num: i64,
    /// ... divided by this.
    pub den: i64,
}

/// Seconds in a unit of the stream's times.
pub(super) fn time_base(stream: &Stream<'_>) -> TimeBase {
    let time_base = stream.time_base();
    TimeBase {
        num: i64::from(time_base.numerator()).max(1),
        den: i64::from(time_base.denominator()).max(1),
    }
}

/// The shape of a pixel that the container states, width over height; 0/1 where it states none.
pub(super) fn sample_aspect(stream: &Stream<'_>) -> Rational {
    // SAFETY: reads a field of a stream that is open.
    unsafe { (*stream.as_ptr()).sample_aspect_ratio }.into()
}

/// A rate as numerator and denominator, where it is one.
pub(super) fn positive(rate: Rational) -> Option<(i64, i64)> {
    let (num, den) = (i64::from(rate.numerator()), i64::from(rate.denominator()));
    (num > 0 && den > 0).then_some((num, den))
}

/// How long a frame is shown where the container does not say, in units of the time base.
pub(super) fn frame_duration(stream: &Stream<'_>, time_base: TimeBase) -> i64 {
    let (num, den) = positive(stream.avg_frame_rate())
        .or_else(|| positive(stream.rate()))
        .unwrap_or((FALLBACK_FPS, 1));
    (i128::from(time_base.den) * i128::from(den) / (i128::from(time_base.num) * i128::from(num)))
        .clamp(1, i128::from(i64::MAX))
        .try_into()
        .unwrap_or(1)
}

/// What the container tells.
#[allow(clippy::cast_precision_loss)] // Durations and rates for people, far below 2^52.
pub(super) fn read_facts(input: &Input, stream: &Stream<'_>, time_base: TimeBase) -> VideoFacts {
    let fps = positive(stream.avg_frame_rate()).map(|(num, den)| num as f64 / den as f64);
    let duration_s = match stream.duration() {
        duration if duration > 0 => {
            Some(duration as f64 * time_base.num as f64 / time_base.den as f64)
        }
        _ => Some(input.duration())
            .filter(|&d| d > 0)
            .map(|d| d as f64 / f64::from(ffi::AV_TIME_BASE)),
    };
    let orientation = stream
        .side_data()
        .find(|s| s.kind() == SideData::DisplayMatrix)
        .and_then(|s| Orientation::from_bytes(s.data()))
        .unwrap_or_default();
    VideoFacts {
        fps,
        duration_s,
        codec: stream.parameters().id().name().to_owned(),
        frames_expected: expected(input, stream),
        orientation,
    }
}

/// Frames that the header promises. In MP4 the index knows which of them an edit list hides.
fn expected(input: &Input, stream: &Stream<'_>) -> Option<i64> {
    let count = Some(stream.frames()).filter(|&n| n > 0)?;
    if !input.format().name().starts_with("mov") {
        return Some(count);
    }
    // SAFETY: the stream is open, and an entry is read before the next call into libav.
    let shown = unsafe {
        let stream = stream.as_ptr().cast_mut();
        (0..ffi::avformat_index_get_entries_count(stream))
            .filter(|&i| {
                let entry = ffi::avformat_index_get_entry(stream, i);
                !entry.is_null() && (*entry).flags() & ffi::AVINDEX_DISCARD_FRAME == 0
            })
            .count()
    };
    Some(
        i64::try_from(shown)
            .ok()
            .filter(|&n| n > 0)
            .unwrap_or(count),
    )
}
