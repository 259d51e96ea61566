//! One clip: from a video file to the frames that are stored.

use std::path::Path;

use serde::{Deserialize, Serialize};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use super::file_hash::hash_in_time;
use super::sample::{Instants, Picked, Sampler};
use super::trouble::Trouble;
use super::{ClipSettings, Resample, Subsampling};
use crate::media::MediaError;
use crate::media::facts::VideoFacts;
use crate::media::filter::{Filter, Treatment};
use crate::media::limits::{Deadline, Limits};
use crate::media::scale::Scaler;
use crate::media::video::{Picture, ShownFrame, Tally, Video};
use crate::panics::caught;
use crate::shard::{Cause, ClipHead, Codec, SourceFacts};
use crate::tables::ClipStatus;

/// What came out of a clip. A clip that cannot be decoded has no frames, the status `Failed` and
/// the reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecodedClip {
    /// The stored frames, each as the settings' codec says.
    #[serde(skip)]
    pub frames: Vec<Vec<u8>>,
    /// What is known of the clip beside the frames.
    pub head: ClipHead,
    /// Whose fault it is that there are no frames.
    pub cause: Option<Cause>,
    /// Whether time or memory did not suffice, so that it may fare better where nothing else is
    /// decoded.
    pub starved: bool,
}

impl DecodedClip {
    /// A clip without frames.
    pub(super) fn failed(settings: &ClipSettings, source: SourceFacts, trouble: Trouble) -> Self {
        let (cause, starved) = match trouble {
            Trouble::Damaged(_) => (Cause::Damaged, false),
            Trouble::Refused(_) => (Cause::NotDecoded, false),
            Trouble::Starved(_) => (Cause::NotDecoded, true),
        };
        let (Trouble::Damaged(reason) | Trouble::Refused(reason) | Trouble::Starved(reason)) =
            trouble;
        Self {
            frames: Vec::new(),
            head: head(settings, (0, 0), source, ClipStatus::Failed, Some(reason)),
            cause: Some(cause),
            starved,
        }
    }

    /// A clip that made the decoder panic.
    pub(super) fn panicked(settings: &ClipSettings, message: &str) -> Self {
        let reason = format!("the decoder panicked: {message}");
        Self::failed(settings, SourceFacts::default(), Trouble::Damaged(reason))
    }

    /// A clip with frames, `Partial` where there is `damage`.
    pub(super) fn with_frames(
        settings: &ClipSettings,
        frames: Vec<Vec<u8>>,
        size: (u32, u32),
        source: SourceFacts,
        damage: Option<String>,
    ) -> Self {
        let status = match damage {
            Some(_) => ClipStatus::Partial,
            None => ClipStatus::Ok,
        };
        Self {
            frames,
            head: head(settings, size, source, status, damage),
            cause: None,
            starved: false,
        }
    }
}

fn head(
    settings: &ClipSettings,
    (width, height): (u32, u32),
    source: SourceFacts,
    status: ClipStatus,
    error: Option<String>,
) -> ClipHead {
    ClipHead {
        codec: settings.codec,
        height,
        width,
        fps: settings.fps.value(),
        source,
        status,
        error,
    }
}

/// Encodes RGB frames as they are stored.
pub(super) struct FrameEncoder {
    jpeg: Option<Compressor>,
}

impl FrameEncoder {
    pub(super) fn new(settings: &ClipSettings) -> Result<Self, String> {
        if settings.codec == Codec::Raw {
            return Ok(Self { jpeg: None });
        }
        let mut jpeg = Compressor::new().map_err(|e| e.to_string())?;
        jpeg.set_quality(i32::from(settings.quality))
            .map_err(|e| e.to_string())?;
        let subsampling = match settings.subsampling {
            Subsampling::Quarter => Subsamp::Sub2x2,
            Subsampling::Half => Subsamp::Sub2x1,
            Subsampling::Full => Subsamp::None,
        };
        jpeg.set_subsamp(subsampling).map_err(|e| e.to_string())?;
        Ok(Self { jpeg: Some(jpeg) })
    }

    pub(super) fn encode(
        &mut self,
        rgb: Vec<u8>,
        width: u32,
        height: u32,
    ) -> Result<Vec<u8>, String> {
        let Some(jpeg) = &mut self.jpeg else {
            return Ok(rgb);
        };
        let (width, height) = (width as usize, height as usize);
        let image = Image {
            pixels: rgb.as_slice(),
            width,
            pitch: width * 3,
            height,
            format: PixelFormat::RGB,
        };
        jpeg.compress_to_vec(image).map_err(|e| e.to_string())
    }
}

/// Hashes a file and decodes it. Never fails: what goes wrong is in the result.
pub(super) fn decode_file(path: &Path, settings: &ClipSettings, deadline: Deadline) -> DecodedClip {
    let hash = match hash_in_time(path, deadline) {
        Ok(hash) => hash,
        Err(trouble) => return DecodedClip::failed(settings, SourceFacts::default(), trouble),
    };
    let decoded = caught(|| decode_until(path, settings, deadline));
    let mut clip = decoded.unwrap_or_else(|message| DecodedClip::panicked(settings, &message));
    clip.head.source.blake3 = Some(hash);
    clip
}

/// Decodes a file without hashing it.
#[must_use]
pub fn decode_video(path: &Path, settings: &ClipSettings, limits: Limits) -> DecodedClip {
    decode_until(path, settings, limits.deadline())
}

fn decode_until(path: &Path, settings: &ClipSettings, deadline: Deadline) -> DecodedClip {
    let video = match Video::open_until(path, deadline) {
        Ok(video) => video,
        Err(e) => return DecodedClip::failed(settings, SourceFacts::default(), e.into()),
    };
    let facts = video.facts().clone();
    let mut keeper = match FrameKeeper::new(&facts, settings) {
        Ok(keeper) => keeper,
        Err(reason) => {
            return DecodedClip::failed(
                settings,
                source_facts(&facts, Tally::default()),
                reason.into(),
            );
        }
    };
    let (tally, ended) = keeper.take_all(video);
    let source = source_facts(&facts, tally);
    let stopped = match ended {
        Ok(()) => None,
        Err(Trouble::Damaged(reason)) => Some(reason),
        // How far it came says something about the machine, not about the clip.
        Err(machine) => return DecodedClip::failed(settings, source, machine),
    };
    if let Err(picture) = must_move(&facts, tally) {
        return DecodedClip::failed(settings, source, picture.into());
    }
    match keeper.scaler.output() {
        Some(size) if !keeper.frames.is_empty() => {
            let damage = stopped.or_else(|| damage(&facts, tally));
            DecodedClip::with_frames(settings, keeper.frames, size, source, damage)
        }
        _ => {
            let nothing = MediaError::NoFrames {
                packets: tally.packets,
                errors: tally.errors,
            };
            let reason = stopped.unwrap_or_else(|| nothing.to_string());
            DecodedClip::failed(settings, source, Trouble::Damaged(reason))
        }
    }
}

/// Collects the wanted frames of one clip, scaled and encoded.
struct FrameKeeper<'a> {
    settings: &'a ClipSettings,
    scaler: Scaler,
    encoder: FrameEncoder,
    frames: Vec<Vec<u8>>,
}

impl<'a> FrameKeeper<'a> {
    fn new(facts: &VideoFacts, settings: &'a ClipSettings) -> Result<Self, String> {
        Ok(Self {
            settings,
            scaler: Scaler::new(
                settings.frame_size,
                settings.sample_aspect,
                facts.orientation,
            ),
            encoder: FrameEncoder::new(settings)?,
            frames: Vec::new(),
        })
    }

    /// Runs the video to its end, or until enough frames are there.
    fn take_all(&mut self, mut video: Video) -> (Tally, Result<(), Trouble>) {
        let taken = match self.settings.resample {
            Resample::Display => self.take_frames(&mut video),
            Resample::Minterpolate => self.take_interpolated(&mut video),
        };
        let result = taken.and_then(|()| Ok(video.count_rest()?));
        (video.tally(), result)
    }

    fn take_frames(&mut self, video: &mut Video) -> Result<(), Trouble> {
        let settings = self.settings;
        let instants = Instants::new(settings.fps, video.time_base(), settings.max_frames);
        let mut sampler = Sampler::new(instants);
        if settings.deinterlace || settings.tone_map {
            self.take_treated(video, &mut sampler)?;
        } else {
            let wanted = |from: i64, to: i64| settings.decode_all || instants.any_in(from, to);
            while let Some(shown) = video.next_frame(Some(&wanted))? {
                self.take(&mut sampler, shown)?;
                if sampler.is_full() {
                    return Ok(());
                }
            }
        }
        let picked = sampler.finish();
        self.keep(picked)
    }

    fn take(&mut self, sampler: &mut Sampler<Picture>, shown: ShownFrame) -> Result<(), Trouble> {
        let picked = sampler.push(shown.picture, shown.elapsed, shown.duration);
        self.keep(picked)
    }

    /// Sends every frame through the filters that are asked for: one that puts fields together
    /// needs those before and after.
    fn take_treated(
        &mut self,
        video: &mut Video,
        sampler: &mut Sampler<Picture>,
    ) -> Result<(), Trouble> {
        let treatment = Treatment {
            deinterlace: self.settings.deinterlace,
            tone_map: self.settings.tone_map,
        };
        let mut filter = Filter::treatment(treatment, video.time_base());
        let mut duration = 0;
        loop {
            let shown = video.next_frame(None)?;
            let ended = shown.is_none();
            match shown {
                Some(shown) => {
                    duration = shown.duration;
                    filter.push(shown.picture, shown.elapsed)?;
                }
                None => filter.finish()?,
            }
            while let Some(picture) = filter.take() {
                let elapsed = picture.pts().unwrap_or_default();
                let shown = ShownFrame {
                    picture,
                    elapsed,
                    duration,
                };
                self.take(sampler, shown)?;
                if sampler.is_full() {
                    return Ok(());
                }
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn take_interpolated(&mut self, video: &mut Video) -> Result<(), Trouble> {
        let mut between = Filter::interpolation(self.settings.fps.to_string(), video.time_base());
        loop {
            let shown = video.next_frame(None)?;
            let ended = shown.is_none();
            match shown {
                Some(shown) => between.push(shown.picture, shown.elapsed)?,
                None => between.finish()?,
            }
            while let Some(picture) = between.take() {
                if self.frames.len() == self.settings.max_frames as usize {
                    return Ok(());
                }
                self.keep(Some((picture, 1)))?;
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn keep(&mut self, picked: Picked<Picture>) -> Result<(), Trouble> {
        let Some((picture, count)) = picked else {
            return Ok(());
        };
        let rgb = self.scaler.rgb(&picture)?;
        let Some((width, height)) = self.scaler.output() else {
            return Ok(());
        };
        let frame = self.encoder.encode(rgb, width, height)?;
        for _ in 1..count {
            self.frames.push(frame.clone());
        }
        self.frames.push(frame);
        Ok(())
    }
}

fn source_facts(facts: &VideoFacts, tally: Tally) -> SourceFacts {
    SourceFacts {
        fps: facts.fps,
        duration_s: facts.duration_s,
        rotation: facts.orientation.degrees,
        codec: Some(facts.codec.clone()),
        frames_expected: expected(facts, tally),
        frames_decoded: tally.frames + tally.passed_over,
        frames_concealed: tally.concealed,
        bytes: None,
        blake3: None,
        scan: tally.interlaced.then(|| "interlaced".to_owned()),
        transfer: tally.high_range.map(|range| range.name().to_owned()),
    }
}

/// Frames that the header promises: it counts packets, and the second field of a picture is no
/// frame.
fn expected(facts: &VideoFacts, tally: Tally) -> Option<i64> {
    Some(facts.frames_expected? - tally.second_fields)
}

/// Refuses a file that holds one picture of a codec that single pictures have: a thumbnail under
/// the name of a video.
///
/// # Errors
/// When it does.
pub(super) fn must_move(facts: &VideoFacts, tally: Tally) -> Result<(), MediaError> {
    if facts.is_of_pictures && tally.packets == 1 && tally.frames + tally.passed_over == 1 {
        return Err(MediaError::Picture {
            codec: facts.codec.clone(),
        });
    }
    Ok(())
}

/// Why a clip that gave frames is only partial, or `None` where it is whole. Headers may count one
/// frame too many.
pub(super) fn damage(facts: &VideoFacts, tally: Tally) -> Option<String> {
    let short = facts
        .frames_expected
        .is_some_and(|expected| tally.packets + 1 < expected);
    let is_whole = !short && facts.missing_bytes.is_none();
    if tally.errors == 0 && tally.concealed == 0 && is_whole {
        return None;
    }
    let expected =
        expected(facts, tally).map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
    let cut_off = facts.missing_bytes.map_or_else(String::new, |n| {
        format!("; the last {n} bytes of the file are missing")
    });
    Some(format!(
        "{} of {expected} frames are there, {} of them concealed; {} errors{cut_off}",
        tally.frames + tally.passed_over,
        tally.concealed,
        tally.errors
    ))
}
