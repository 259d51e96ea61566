//! The frames of a video file, in display order, as the `ffmpeg` command line decodes them (`-map 0:v:0`, cover pictures
//! left out): damaged packets are counted and stepped over, the decoder is flushed at the end.
//!
//! A frame that nobody wants and no other frame refers to need not be decoded at all. [`Video::next_frame`] takes a
//! closure that says which spans of time are wanted; with a few packets of lookahead it knows the span that each frame is on
//! display and drops the others packet by packet. What comes out is, frame for frame, what full decoding gives.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use ffmpeg_next as ff;
use ffmpeg_next::codec::discard::Discard;
use ffmpeg_next::codec::packet::side_data::Type as SideData;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::packet::Ref;
use ffmpeg_next::{Dictionary, Packet, ffi, frame};

use serde::{Deserialize, Serialize};

use super::scale::Orientation;
use super::{MediaError, start};

/// Most pixels of a picture; larger ones are refused by the decoder.
pub const MAX_PIXELS: i64 = 1 << 26;
/// Packets that are read ahead of the decoder, so that the neighbours in time of each frame are known. Deeper than any
/// reordering that a codec allows (16).
const LOOKAHEAD_PACKETS: usize = 40;
/// Bytes that are read ahead at most.
const LOOKAHEAD_BYTES: usize = 8 << 20;
/// Errors after which a stream that gives no more frames is given up.
const MAX_ERRORS_IN_A_ROW: i64 = 10_000;
/// Frame rate where neither container nor codec tells one.
const FALLBACK_FPS: i64 = 25;
/// Containers that are opened. Playlists and other formats that open further files by name are left out.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpegts,mpeg,mpegvideo,flv,live_flv,h264,hevc,m4v,h263,\
av1,obu,ivf,asf,ogg,gif,apng,yuv4mpegpipe,rm,mjpeg,nut,mxf,wtv,dv,vc1,swf,rawvideo,mp3,aac,flac,wav,png_pipe,jpeg_pipe";

/// What a file may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time for one file. Default 300 s.
    pub seconds: u64,
    /// Address space of a decoder that runs in a process of its own, in bytes. Default 4 GiB. In threads a picture's size
    /// ([`MAX_PIXELS`]) and each allocation are bounded instead.
    pub memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            seconds: 300,
            memory_bytes: 4 << 30,
        }
    }
}

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

/// What came out of a file so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets of the video stream, hidden ones included.
    pub packets: i64,
    /// Frames that the decoder gave.
    pub frames: i64,
    /// Frames that are there but were passed over undecoded because nobody wants them.
    pub passed_over: i64,
    /// Decoded frames that are marked as damaged or concealed.
    pub concealed: i64,
    /// Errors of reading and decoding.
    pub errors: i64,
}

/// A rational number of seconds per unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBase {
    /// Seconds ...
    pub num: i64,
    /// ... divided by this.
    pub den: i64,
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
// The flags are independent facts about the stream, not one state.
#[allow(clippy::struct_excessive_bools)]
pub struct Video {
    input: ff::format::context::Input,
    decoder: ff::decoder::Video,
    stream: usize,
    facts: VideoFacts,
    time_base: TimeBase,
    frame_duration: i64,
    seconds: u64,
    deadline: Instant,
    queue: VecDeque<Packet>,
    queued_bytes: usize,
    sent: VecDeque<i64>,
    maybe_passed: BTreeSet<i64>,
    input_ended: bool,
    draining: bool,
    may_drop: bool,
    start: Option<i64>,
    last_time: Option<i64>,
    last_duration: i64,
    errors_in_a_row: i64,
    hidden: i64,
    encrypted: bool,
    tally: Tally,
}

impl Video {
    /// Opens a file and its first video stream that is no cover picture.
    ///
    /// # Errors
    /// When the file cannot be opened, has no video, is encrypted or of an unknown codec.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, MediaError> {
        start();
        let deadline = Instant::now() + Duration::from_secs(limits.seconds);
        let input = open_input(path, deadline, limits.seconds)?;
        let audio = input
            .streams()
            .any(|s| s.parameters().medium() == ff::media::Type::Audio);
        let stream = input
            .streams()
            .find(|s| {
                s.parameters().medium() == ff::media::Type::Video
                    && !s.disposition().contains(Disposition::ATTACHED_PIC)
            })
            .ok_or(MediaError::NoVideo { audio })?;
        let index = stream.index();
        let time_base = stream.time_base();
        let time_base = TimeBase {
            num: i64::from(time_base.numerator()).max(1),
            den: i64::from(time_base.denominator()).max(1),
        };
        let facts = read_facts(&input, &stream, time_base);
        let frame_duration = frame_duration(&stream, time_base);
        let encrypted = is_encrypted(&stream);
        let decoder = open_decoder(&stream, &facts.codec)?;
        if encrypted {
            return Err(MediaError::Encrypted);
        }
        let may_drop = facts.codec == "h264";
        let mut video = Self {
            input,
            decoder,
            stream: index,
            facts,
            time_base,
            frame_duration,
            seconds: limits.seconds,
            deadline,
            queue: VecDeque::new(),
            queued_bytes: 0,
            sent: VecDeque::new(),
            maybe_passed: BTreeSet::new(),
            input_ended: false,
            draining: false,
            may_drop,
            start: None,
            last_time: None,
            last_duration: frame_duration,
            errors_in_a_row: 0,
            hidden: 0,
            encrypted: false,
            tally: Tally::default(),
        };
        video.discard_other_streams();
        Ok(video)
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
            passed_over: self.tally.passed_over + waiting,
            ..self.tally
        }
    }

    /// The unit of [`ShownFrame::elapsed`].
    #[must_use]
    pub fn time_base(&self) -> TimeBase {
        self.time_base
    }

    /// The next frame in display order, or `None` after the last. With `wanted`, frames that cover no wanted span may be
    /// missing.
    ///
    /// # Errors
    /// When the time limit is exceeded. Damage is no error: it is counted in the tally.
    pub fn next_frame(
        &mut self,
        wanted: Option<Wanted<'_>>,
    ) -> Result<Option<ShownFrame>, MediaError> {
        loop {
            if Instant::now() > self.deadline {
                return Err(MediaError::TimeLimit {
                    seconds: self.seconds,
                });
            }
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
                    if self.encrypted {
                        return Err(MediaError::Encrypted);
                    }
                }
                Err(_) => self.count_error(),
            }
            if self.errors_in_a_row > MAX_ERRORS_IN_A_ROW {
                return Ok(None);
            }
        }
    }

    /// Counts what is left without decoding it, so that a file that ends early is noticed. For a caller that has all it
    /// wants; does nothing after the last frame.
    pub fn count_rest(&mut self) {
        if self.draining {
            return;
        }
        self.queue.clear();
        while !self.input_ended && Instant::now() <= self.deadline {
            self.read_ahead(1);
            self.queue.clear();
        }
        self.queued_bytes = 0;
        self.maybe_passed.clear();
        let there = self.tally.packets - self.hidden - self.tally.errors;
        self.tally.passed_over = (there - self.tally.frames).max(0);
    }

    fn count_error(&mut self) {
        self.tally.errors += 1;
        self.errors_in_a_row += 1;
    }

    fn shown(&mut self, picture: frame::Video) -> ShownFrame {
        self.errors_in_a_row = 0;
        self.tally.frames += 1;
        if picture.is_corrupt() || picture.has_decode_errors() {
            self.tally.concealed += 1;
        }
        if let Some(pts) = picture.pts() {
            self.maybe_passed.remove(&pts);
        }
        let guess = self
            .last_time
            .map_or(0, |last| last.saturating_add(self.last_duration));
        let time = picture.timestamp().unwrap_or(guess);
        // Dropping relies on packet times being the frames' times, in order; where they are not, everything is decoded.
        if picture.pts() != Some(time) || self.last_time.is_some_and(|last| time <= last) {
            self.may_drop = false;
        }
        let start = *self.start.get_or_insert(time);
        let duration = match picture.packet().duration {
            duration if duration > 0 => duration,
            _ => self.frame_duration,
        };
        self.last_time = Some(time);
        self.last_duration = duration;
        ShownFrame {
            picture,
            elapsed: time.saturating_sub(start),
            duration,
        }
    }

    /// Sends the next packet to the decoder, or tells it that there is none.
    fn feed(&mut self, wanted: Option<Wanted<'_>>) {
        let dropping = wanted.is_some() && self.may_drop;
        self.read_ahead(if dropping { LOOKAHEAD_PACKETS } else { 1 });
        let Some(packet) = self.queue.pop_front() else {
            self.draining = true;
            if self.decoder.send_eof().is_err() {
                self.count_error();
            }
            return;
        };
        self.queued_bytes -= packet.size();
        let hidden = is_hidden(&packet);
        let drop = dropping && !self.is_wanted(&packet, hidden, wanted);
        self.decoder.skip_frame(if drop {
            Discard::NonReference
        } else {
            Discard::Default
        });
        let result = self.decoder.send_packet(&packet);
        if let Some(pts) = packet.pts().filter(|_| !hidden) {
            if drop && result.is_ok() {
                self.maybe_passed.insert(pts);
                if self.maybe_passed.len() > LOOKAHEAD_PACKETS {
                    self.maybe_passed.pop_first();
                    self.tally.passed_over += 1;
                }
            }
            if self.sent.len() == LOOKAHEAD_PACKETS {
                self.sent.pop_front();
            }
            self.sent.push_back(pts);
        }
        match result {
            Ok(()) | Err(ff::Error::Eof) => {}
            Err(_) => self.count_error(),
        }
    }

    /// Whether the packet's frame may cover a wanted instant. Where that cannot be told, it may.
    fn is_wanted(&self, packet: &Packet, hidden: bool, wanted: Option<Wanted<'_>>) -> bool {
        let (Some(wanted), Some(start), Some(pts)) = (wanted, self.start, packet.pts()) else {
            return true;
        };
        if hidden {
            return false;
        }
        let ahead = self.queue.iter().filter_map(Packet::pts);
        // The nearest later time is an upper bound: a time that is still unread can only come sooner, so an empty span
        // is truly empty.
        match ahead
            .chain(self.sent.iter().copied())
            .filter(|&other| other > pts)
            .min()
        {
            None => true,
            Some(next) => wanted(pts.saturating_sub(start), next.saturating_sub(start)),
        }
    }

    /// Reads packets of the video stream until `count` are waiting or the file ends.
    fn read_ahead(&mut self, count: usize) {
        while !self.input_ended
            && self.queue.len() < count
            && (self.queue.is_empty() || self.queued_bytes < LOOKAHEAD_BYTES)
        {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => {
                    // Some containers hold empty packets for repeated frames; to the decoder they would mean the end.
                    if packet.stream() == self.stream && packet.size() > 0 {
                        self.tally.packets += 1;
                        self.encrypted |= packet
                            .side_data()
                            .any(|s| s.kind() == SideData::EncryptionInfo);
                        self.hidden += i64::from(is_hidden(&packet));
                        self.queued_bytes += packet.size();
                        self.queue.push_back(packet);
                    }
                }
                Err(ff::Error::Eof) => self.input_ended = true,
                Err(ff::Error::Other {
                    errno: ff::error::EAGAIN,
                }) if Instant::now() < self.deadline => {}
                Err(_) => {
                    self.tally.errors += 1;
                    self.input_ended = true;
                }
            }
        }
    }

    fn discard_other_streams(&mut self) {
        let stream = self.stream;
        for mut other in self.input.streams_mut() {
            if other.index() != stream {
                // SAFETY: the stream belongs to the open input, and `discard` is a field that callers may set.
                unsafe { (*other.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL };
            }
        }
    }
}

/// Whether an edit list hides the packet's frame.
fn is_hidden(packet: &Packet) -> bool {
    // SAFETY: reads a field of a packet that is alive.
    unsafe { (*packet.as_ptr()).flags & ffi::AV_PKT_FLAG_DISCARD != 0 }
}

fn open_input(
    path: &Path,
    deadline: Instant,
    seconds: u64,
) -> Result<ff::format::context::Input, MediaError> {
    let path = path.to_str().ok_or(MediaError::Name)?;
    let mut options = Dictionary::new();
    // Nothing in a file may make us open a network address or, through a playlist, another file.
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", FORMATS);
    let overdue = move || Instant::now() > deadline;
    // The prefix keeps libav from taking a colon in a name for a protocol.
    ff::format::input_with_interrupt_and_dictionary(&format!("file:{path}"), overdue, options)
        .map_err(|e| {
            if Instant::now() > deadline {
                MediaError::TimeLimit { seconds }
            } else {
                MediaError::Open(e.to_string())
            }
        })
}

fn open_decoder(stream: &ff::Stream<'_>, name: &str) -> Result<ff::decoder::Video, MediaError> {
    let refuse = |e: ff::Error| MediaError::Codec {
        codec: name.to_owned(),
        reason: e.to_string(),
    };
    let mut context = ff::codec::Context::from_parameters(stream.parameters()).map_err(refuse)?;
    // SAFETY: the context is ours and not yet open; `max_pixels` and `thread_count` are fields that callers may set.
    unsafe {
        (*context.as_mut_ptr()).max_pixels = MAX_PIXELS;
        (*context.as_mut_ptr()).thread_count = 1;
    }
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    decoder.video().map_err(refuse)
}

fn is_encrypted(stream: &ff::Stream<'_>) -> bool {
    // SAFETY: reads the codec tag of a stream that is open.
    let tag = unsafe { (*stream.parameters().as_ptr()).codec_tag };
    tag == u32::from_le_bytes(*b"encv")
        || stream.side_data().any(|s| {
            matches!(
                s.kind(),
                SideData::EncryptionInitInfo | SideData::EncryptionInfo
            )
        })
}

fn positive(rate: ff::Rational) -> Option<(i64, i64)> {
    let (num, den) = (i64::from(rate.numerator()), i64::from(rate.denominator()));
    (num > 0 && den > 0).then_some((num, den))
}

/// How long a frame is shown where the container does not say, in units of the time base.
fn frame_duration(stream: &ff::Stream<'_>, time_base: TimeBase) -> i64 {
    let (num, den) = positive(stream.avg_frame_rate())
        .or_else(|| positive(stream.rate()))
        .unwrap_or((FALLBACK_FPS, 1));
    (i128::from(time_base.den) * i128::from(den) / (i128::from(time_base.num) * i128::from(num)))
        .clamp(1, i128::from(i64::MAX))
        .try_into()
        .unwrap_or(1)
}

#[allow(clippy::cast_precision_loss)] // Durations and rates for people, far below 2^52.
fn read_facts(
    input: &ff::format::context::Input,
    stream: &ff::Stream<'_>,
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
        frames_expected: expected(input, stream),
        orientation,
    }
}

/// Frames that the header promises. In MP4 the index knows which of them an edit list hides.
fn expected(input: &ff::format::context::Input, stream: &ff::Stream<'_>) -> Option<i64> {
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
