//! Which frames of a video each of its clips has.

use std::ops::Range;

use super::PredictError;
use crate::decode::ClipSettings;
use crate::media::frame_size::FrameSize;
use crate::shard::Codec;

/// Memory for the stored frames of one video, in bytes; of a longer one only the beginning is
/// looked at, and that is said.
const VIDEO_BYTES: u64 = 2 << 30;
/// Bytes of RGB that a byte of a JPEG frame stands for, at the least.
const JPEG_RATIO: u64 = 4;

/// The most frames that are decoded of a video of which a clip is taken at intervals.
pub(super) fn most_frames(settings: &ClipSettings) -> u32 {
    let pixels = match settings.frame_size {
        FrameSize::Exact { width, height } => u64::from(width) * u64::from(height),
        // Few videos are wider than twice their height.
        FrameSize::Short(side) => 2 * u64::from(side) * u64::from(side),
    };
    let bytes = match settings.codec {
        Codec::Raw => 3 * pixels,
        Codec::Jpeg => (3 * pixels).div_ceil(JPEG_RATIO),
    };
    let most = u32::try_from(VIDEO_BYTES / bytes.max(1)).unwrap_or(u32::MAX);
    most.max(settings.max_frames)
}

/// The frames of each clip of a video that has `frames` of them: a clip begins with the first frame
/// that does not lie before each multiple of `every` seconds, and has at most as many frames as a
/// stored clip. Without `every` there is the first clip alone.
pub(super) fn windows(
    frames: usize,
    settings: &ClipSettings,
    every: Option<f64>,
) -> Vec<Range<usize>> {
    let length = settings.max_frames as usize;
    let window = |start: usize| start..frames.min(start.saturating_add(length));
    let Some(every) = every else {
        return vec![window(0)];
    };
    let step = every * settings.fps.value();
    let starts = (0..frames).map(|clip| start(clip, step));
    starts
        .take_while(|start| *start < frames)
        .map(window)
        .collect()
}

/// The number of the frame that clip number `clip` begins with.
// Starts are positive; one that is too large for a number of frames lies behind every video's end.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]
fn start(clip: usize, step: f64) -> usize {
    // A product that ought to be whole may lie a little above that.
    const ROUNDING: f64 = 1e-6;
    (clip as f64 * step - ROUNDING).max(0.0).ceil() as usize
}

/// Refuses intervals that are none, or shorter than from one frame to the next.
pub(super) fn check(every: Option<f64>, settings: &ClipSettings) -> Result<(), PredictError> {
    let Some(every) = every else {
        return Ok(());
    };
    let fps = settings.fps;
    // Also what is no number is refused.
    if every.is_finite() && every * fps.value() >= 1.0 {
        return Ok(());
    }
    Err(PredictError::Setting {
        flag: "--every".to_owned(),
        why: format!("{every} s; there are {fps} frames a second, so at least 1/({fps}) s"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Fps;

    fn settings(fps: Fps, max_frames: u32) -> ClipSettings {
        ClipSettings {
            fps,
            max_frames,
            ..ClipSettings::default()
        }
    }

    #[test]
    fn without_an_interval_there_is_the_first_clip_as_the_shards_have_it() {
        let settings = settings(Fps::whole(5), 50);
        assert_eq!(windows(120, &settings, None), vec![0..50]);
        assert_eq!(windows(3, &settings, None), vec![0..3]);
    }

    #[test]
    fn clips_begin_at_intervals_overlap_or_leave_gaps_and_end_with_the_video() {
        let settings = settings(Fps::whole(5), 10);
        assert_eq!(
            windows(24, &settings, Some(2.0)),
            vec![0..10, 10..20, 20..24]
        );
        assert_eq!(
            windows(12, &settings, Some(1.0)),
            vec![0..10, 5..12, 10..12]
        );
        assert_eq!(windows(32, &settings, Some(4.0)), vec![0..10, 20..30]);
        // 0.5 s are two frames and a half: the first that does not lie before.
        let starts = windows(9, &settings, Some(0.5));
        let starts: Vec<usize> = starts.into_iter().map(|window| window.start).collect();
        assert_eq!(starts, [0, 3, 5, 8]);
        // 0.6 is a little more than three fifths in binary.
        let tenths = windows(10, &settings, Some(0.6));
        assert_eq!(
            tenths.iter().map(|w| w.start).collect::<Vec<_>>(),
            [0, 3, 6, 9]
        );
    }

    #[test]
    fn an_interval_that_is_none_is_refused() {
        let settings = settings(Fps::whole(5), 10);
        for every in [0.0, -1.0, 0.1, f64::NAN, f64::INFINITY] {
            let said = check(Some(every), &settings).unwrap_err().to_string();
            assert!(said.starts_with("--every: "), "{said}");
        }
        check(Some(0.2), &settings).unwrap();
        check(None, &settings).unwrap();
    }

    #[test]
    fn the_memory_of_a_video_is_bounded() {
        let mut settings = settings(Fps::whole(5), 50);
        // Hours of a video at the usual size.
        assert!(most_frames(&settings) > 4 * 3600 * 5 - 1000);
        settings.codec = Codec::Raw;
        assert_eq!(u64::from(most_frames(&settings)), VIDEO_BYTES / 120_000);
        settings.frame_size = FrameSize::Short(4096);
        assert_eq!(most_frames(&settings), 50);
    }
}
