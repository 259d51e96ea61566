//! The frames of a video file, in display order, as the `ffmpeg` command line decodes them
//! (`-map 0:v:0`, cover pictures left out): damaged packets are counted and stepped over, the
//! decoder is flushed at the end.
//!
//! A frame that nobody wants and no other frame refers to need not be decoded at all.
//! [`Video::next_frame`] takes a closure that says which spans of time are wanted; with a few
//! packets of lookahead it knows the span that each frame is on display and drops the others packet
//! by packet. What comes out is, frame for frame, what full decoding gives.

use std::collections::BTreeSet;
use std::path::Path;

use ffmpeg_next as ff;
use ffmpeg_next::codec::discard::Discard;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Packet, Rational, Stream, frame};

use super::clock::Clock;
use super::display_order::DisplayOrder;
use super::facts::{self, TimeBase, VideoFacts};
use super::h264_parser::Parser;
use super::high_range::HighRange;
use super::limits::{Deadline, Limits, MAX_PIXELS};
use super::packets::{LOOKAHEAD_PACKETS, Packets, Shown};
use super::{MediaError, input, start};

/// Errors after which a stream that gives no more frames is given up.
const MAX_ERRORS_IN_A_ROW: i64 = 10_000;

/// What came out of a file so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets of the video stream, hidden ones included.
    pub packets: i64,
    /// Packets that complete a picture: its other field lies in the packet before.
    pub second_fields: i64,
    /// Frames that the decoder gave.
    pub frames: i64,
    /// Frames that are there but were passed over undecoded because nobody wants them.
    pub passed_over: i64,
    /// Decoded frames that are marked as damaged or concealed.
    pub concealed: i64,
    /// Errors of reading and decoding.
    pub errors: i64,
    /// Whether the lines of the first picture were taken at two instants.
    pub interlaced: bool,
    /// How the first picture codes the levels of high dynamic range, where it does.
    pub high_range: Option<HighRange>,
}

/// A decoded picture in libav's memory.
pub type Picture = frame::Video;

/// A decoded frame and when it is shown.
pub struct ShownFrame {
    /// The picture.
    pub picture: Picture,
    /// When its display starts, in units of the time base since the first frame's.
    pub elapsed: i64,
    /// How long the container says it is shown, in units of the time base.
    pub duration: i64,
}

/// Which spans `[from, to)` of elapsed time hold an instant that somebody wants.
pub type Wanted<'a> = &'a dyn Fn(i64, i64) -> bool;

/// A video file being decoded, with one thread.
pub struct Video {
    input: Input,
    decoder: ff::decoder::Video,
    facts: VideoFacts,
    time_base: TimeBase,
    frame_duration: i64,
    sample_aspect: Rational,
    deadline: Deadline,
    /// What the machine refused: no damage of the file.
    refused: Option<MediaError>,
    packets: Packets,
    maybe_passed: BTreeSet<i64>,
    draining: bool,
    may_drop: bool,
    start: Option<i64>,
    last: Option<(i64, i64)>,
    errors_in_a_row: i64,
    tally: Tally,
}

impl Video {
    /// Opens a file and its first video stream that is no cover picture.
    ///
    /// # Errors
    /// When the file cannot be opened, has no video, is encrypted or of an unknown codec.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, MediaError> {
        Self::open_until(path, limits.deadline())
    }

    /// Opens a file some of whose time has passed already.
    ///
    /// # Errors
    /// As [`Video::open`].
    pub fn open_until(path: &Path, deadline: Deadline) -> Result<Self, MediaError> {
        start();
        let mut input = input::open(path, deadline)?;
        if input::header_may_suffice(&input) {
            let stream = input::video_stream(&input)?.index();
            let mut video = Self::of(path, input, stream, deadline)?;
            // A delay is there after the first packet only where the stream states it. A guessed
            // one, as looking ahead makes it, could be another: then the file is read once more
            // from its beginning.
            video.feed(None);
            if video.decoder.has_b_frames() {
                return Ok(video);
            }
            input = input::open(path, deadline)?;
        }
        input::look_ahead(&mut input, deadline)?;
        let first = input::video_stream(&input)?.index();
        let stream = match input::instead_of_cover(&input, first) {
            Some(other) if !input::moves(input::open(path, deadline)?, first) => other,
            _ => first,
        };
        Self::of(path, input, stream, deadline)
    }

    fn of(
        path: &Path,
        mut input: Input,
        index: usize,
        deadline: Deadline,
    ) -> Result<Self, MediaError> {
        let no_video = MediaError::NoVideo { audio: false };
        let stream = input.stream(index).ok_or(no_video)?;
        facts::check_size(&stream)?;
        let time_base = facts::time_base(&stream);
        let about = facts::read_facts(path, &input, &stream, time_base);
        let frame_duration = facts::frame_duration(&stream, time_base);
        let sample_aspect = facts::sample_aspect(&stream);
        let encrypted = input::is_encrypted(&stream);
        let order =
            input::lacks_times(&input, &stream).then(|| DisplayOrder::new(&stream, frame_duration));
        let clock = Clock::of(&input, time_base, frame_duration);
        let parser = Parser::new(&stream);
        let decoder = open_decoder(&stream, &about.codec)?;
        if encrypted {
            return Err(MediaError::Encrypted);
        }
        input::discard_others(&mut input, index);
        Ok(Self {
            input,
            decoder,
            may_drop: about.codec == "h264",
            facts: about,
            time_base,
            frame_duration,
            sample_aspect,
            deadline,
            refused: None,
            packets: Packets::of(index, clock, parser, order),
            maybe_passed: BTreeSet::new(),
            draining: false,
            start: None,
            last: None,
            errors_in_a_row: 0,
            tally: Tally::default(),
        })
    }

    /// What the container tells.
    #[must_use]
    pub fn facts(&self) -> &VideoFacts {
        &self.facts
    }

    /// What came out so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let waiting = i64::try_from(self.maybe_passed.len()).unwrap_or(i64::MAX);
        Tally {
            packets: self.packets.seen.packets,
            second_fields: self.packets.seen.second_fields,
            passed_over: self.tally.passed_over + waiting,
            errors: self.tally.errors + self.packets.seen.errors,
            ..self.tally
        }
    }

    /// The unit of [`ShownFrame::elapsed`].
    #[must_use]
    pub fn time_base(&self) -> TimeBase {
        self.time_base
    }

    /// The next frame in display order, or `None` after the last. With `wanted`, frames that cover
    /// no wanted span may be missing.
    ///
    /// # Errors
    /// When the time is up or the machine has no memory. Damage is no error: it is counted in the
    /// tally.
    pub fn next_frame(
        &mut self,
        wanted: Option<Wanted<'_>>,
    ) -> Result<Option<ShownFrame>, MediaError> {
        while self.errors_in_a_row <= MAX_ERRORS_IN_A_ROW {
            self.deadline.check()?;
            self.check_refused()?;
            let mut picture = frame::Video::empty();
            match self.decoder.receive_frame(&mut picture) {
                Ok(()) => return Ok(Some(self.shown(picture))),
                Err(ff::Error::Eof) => return Ok(None),
                Err(ff::Error::Other {
                    errno: ff::error::EAGAIN,
                }) => {
                    if self.draining {
                        return Ok(None);
                    }
                    self.feed(wanted);
                    if self.packets.seen.encrypted {
                        return Err(MediaError::Encrypted);
                    }
                }
                Err(e) => self.count_error(e),
            }
        }
        Ok(None)
    }

    /// What the machine refused while packets were read or decoded.
    fn check_refused(&mut self) -> Result<(), MediaError> {
        let refused = self.refused.take().or_else(|| self.packets.refused.take());
        refused.map_or(Ok(()), Err)
    }

    /// Counts what is left without decoding it, so that a file that ends early is noticed. For a
    /// caller that has all it wants; does nothing after the last frame.
    ///
    /// # Errors
    /// As [`Video::next_frame`].
    pub fn count_rest(&mut self) -> Result<(), MediaError> {
        if self.draining {
            return Ok(());
        }
        self.packets.count_rest(&mut self.input, self.deadline);
        self.deadline.check()?;
        self.check_refused()?;
        self.maybe_passed.clear();
        let seen = self.packets.seen;
        let there = seen.packets - seen.hidden - seen.second_fields - self.tally().errors;
        self.tally.passed_over = (there - self.tally.frames).max(0);
        Ok(())
    }

    fn count_error(&mut self, error: ff::Error) {
        self.refused = self.refused.take().or_else(|| MediaError::refused(error));
        self.tally.errors += 1;
        self.errors_in_a_row += 1;
    }

    fn shown(&mut self, mut picture: frame::Video) -> ShownFrame {
        self.errors_in_a_row = 0;
        if self.tally.frames == 0 {
            self.tally.interlaced = picture.is_interlaced();
            self.tally.high_range = HighRange::of(&picture);
        }
        self.tally.frames += 1;
        if picture.is_corrupt() || picture.has_decode_errors() {
            self.tally.concealed += 1;
        }
        if let Some(pts) = picture.pts() {
            self.maybe_passed.remove(&pts);
        }
        let guess = self
            .last
            .map_or(0, |(time, duration)| time.saturating_add(duration));
        let time = picture.timestamp().unwrap_or(guess);
        // Dropping relies on packet times being the frames' times, in order; where they are not,
        // everything is decoded.
        if picture.pts() != Some(time) || self.last.is_some_and(|(last, _)| time <= last) {
            self.may_drop = false;
        }
        let start = *self.start.get_or_insert(time);
        // A packet's duration is that of its field.
        let duration = match picture.packet().duration {
            _ if self.packets.has_fields() => self.packets.picture_duration.unwrap_or(0),
            duration => duration,
        };
        let duration = if duration > 0 {
            duration
        } else {
            self.frame_duration
        };
        self.last = Some((time, duration));
        // What the container says about the shape of pixels goes before what the codec says.
        if self.sample_aspect.numerator() > 0 {
            // SAFETY: sets a field of a frame that is ours.
            unsafe { (*picture.as_mut_ptr()).sample_aspect_ratio = self.sample_aspect.into() };
        }
        ShownFrame {
            picture,
            elapsed: time.saturating_sub(start),
            duration,
        }
    }

    /// Sends the next packet to the decoder, or tells it that there is none.
    fn feed(&mut self, wanted: Option<Wanted<'_>>) {
        let mut wanted = wanted.filter(|_| self.may_drop);
        self.packets
            .fill(&mut self.input, wanted.is_some(), self.deadline);
        // A field is nothing to drop: its picture is made of two packets.
        if self.packets.has_fields() {
            (self.may_drop, wanted) = (false, None);
        }
        let Some((packet, shown)) = self.packets.take() else {
            self.draining = true;
            if let Err(e) = self.decoder.send_eof() {
                self.count_error(e);
            }
            return;
        };
        let drop = wanted.is_some_and(|wanted| !self.is_wanted(shown, wanted));
        if self.send(&packet, drop) && drop {
            self.maybe_pass(shown);
        }
    }

    /// Whether a frame may cover a wanted instant. Where nobody can know, it may.
    fn is_wanted(&self, shown: Shown, wanted: Wanted<'_>) -> bool {
        match (shown, self.start) {
            (Shown::From(from, Some(to)), Some(start)) => {
                wanted(from.saturating_sub(start), to.saturating_sub(start))
            }
            (Shown::Never, Some(_)) => false,
            _ => true,
        }
    }

    /// Sends a packet to the decoder, which may leave it undecoded where `drop` is set and no other
    /// frame refers to it. Tells whether it was taken.
    fn send(&mut self, packet: &Packet, drop: bool) -> bool {
        self.decoder.skip_frame(if drop {
            Discard::NonReference
        } else {
            Discard::Default
        });
        match self.decoder.send_packet(packet) {
            Ok(()) => true,
            Err(ff::Error::Eof) => false,
            Err(e) => {
                self.count_error(e);
                false
            }
        }
    }

    /// Remembers a frame that may have been left out. If it comes out after all it is not counted
    /// as passed over.
    fn maybe_pass(&mut self, shown: Shown) {
        let Shown::From(time, _) = shown else {
            return;
        };
        self.maybe_passed.insert(time);
        if self.maybe_passed.len() > LOOKAHEAD_PACKETS {
            self.maybe_passed.pop_first();
            self.tally.passed_over += 1;
        }
    }
}

fn open_decoder(stream: &Stream<'_>, name: &str) -> Result<ff::decoder::Video, MediaError> {
    let refuse = |e: ff::Error| {
        MediaError::refused(e).unwrap_or_else(|| MediaError::Codec {
            codec: name.to_owned(),
            reason: e.to_string(),
        })
    };
    let mut context = ff::codec::Context::from_parameters(stream.parameters()).map_err(refuse)?;
    // SAFETY: the context is ours and not yet open; `max_pixels` and `thread_count` are fields that
    // callers may set.
    unsafe {
        (*context.as_mut_ptr()).max_pixels = i64::from(MAX_PIXELS);
        (*context.as_mut_ptr()).thread_count = 1;
    }
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    decoder.video().map_err(refuse)
}
