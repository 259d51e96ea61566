//! What container and stream tell before anything is decoded.

use std::path::Path;

use ffmpeg_next::codec::Id;
use ffmpeg_next::codec::packet::side_data::Type as SideData;
use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Rational, Stream};

use super::MediaError;
use super::ends_early::{missing_in_matroska, missing_in_riff};
use super::limits::MAX_PIXELS;
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
    /// Whether the codec is one of single pictures.
    pub is_of_pictures: bool,
    /// Frames that the header promises, those that an edit list hides left out and, in AVI, those
    /// that only say that the one before is shown on.
    pub frames_expected: Option<i64>,
    /// Bytes that the file lacks by its own account.
    pub missing_bytes: Option<u64>,
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

/// Refuses pictures that nobody decodes here.
pub(super) fn check_size(stream: &Stream<'_>) -> Result<(), MediaError> {
    // SAFETY: reads fields of a stream that is open.
    let (width, height) = unsafe {
        let parameters = stream.parameters();
        let parameters = parameters.as_ptr();
        ((*parameters).width, (*parameters).height)
    };
    let [width, height] = [width, height].map(|side| u32::try_from(side).unwrap_or(0));
    if u64::from(width) * u64::from(height) > u64::from(MAX_PIXELS) {
        return Err(MediaError::TooLarge { width, height });
    }
    Ok(())
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
pub(super) fn read_facts(
    path: &Path,
    input: &Input,
    stream: &Stream<'_>,
    time_base: TimeBase,
) -> VideoFacts {
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
        is_of_pictures: is_of_pictures(stream),
        frames_expected: expected(path, input, stream),
        missing_bytes: if input.format().name().starts_with("matroska") {
            missing_in_matroska(path)
        } else {
            None
        },
        orientation,
    }
}

/// Whether the codec is one of single pictures, which may also make a video.
pub(super) fn is_of_pictures(stream: &Stream<'_>) -> bool {
    let id = stream.parameters().id();
    [
        Id::MJPEG,
        Id::PNG,
        Id::BMP,
        Id::GIF,
        Id::TIFF,
        Id::WEBP,
        Id::JPEG2000,
        Id::JPEGLS,
    ]
    .contains(&id)
}

/// Frames that the header promises. In MP4 the index knows which of them an edit list hides, in AVI
/// it leaves out those that hold nothing.
fn expected(path: &Path, input: &Input, stream: &Stream<'_>) -> Option<i64> {
    let count = Some(stream.frames()).filter(|&n| n > 0)?;
    match input.format().name() {
        "avi" if missing_in_riff(path).is_none() => return Some(in_index(stream, count)),
        name if !name.starts_with("mov") => return Some(count),
        _ => {}
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

/// The entries of a whole AVI's index, each of a frame that holds something; `count` where there is
/// no index that reaches the end.
fn in_index(stream: &Stream<'_>, count: i64) -> i64 {
    // SAFETY: the stream is open, and the entry is read before the next call into libav.
    let (entries, last) = unsafe {
        let stream = stream.as_ptr().cast_mut();
        let entries = ffi::avformat_index_get_entries_count(stream);
        let last = ffi::avformat_index_get_entry(stream, entries - 1);
        let last = if last.is_null() { 0 } else { (*last).timestamp };
        (i64::from(entries), last)
    };
    if entries < count && last >= count / 2 {
        entries
    } else {
        count
    }
}
