//! Times for H.264 pictures that their container keeps without any, as AVI and raw streams do.
//!
//! The streams say in which order pictures are shown; with that order known before decoding, each
//! packet gets the time that full decoding would give its picture: the n-th in display order is
//! shown n frame durations after the first.

use std::collections::VecDeque;
use std::ptr;

use ffmpeg_next as ff;
use ffmpeg_next::{Packet, Stream, ffi};

/// Taken pictures that are remembered. Those that are still to come are shown after all that are
/// older, since no codec lets more than 16 pictures be overtaken.
const REMEMBERED: usize = 32;

/// A picture's place in the display order: of pictures between two random access points, then among
/// these.
type Place = (i64, i32);

/// Numbers the packets of a stream in display order, once those that may be shown before them are
/// read.
pub(super) struct DisplayOrder {
    parser: Parser,
    sequence: i64,
    /// Places of packets that were read and not yet numbered, in the order of decoding.
    waiting: VecDeque<Place>,
    /// Places of packets that were numbered, of those that may still matter.
    numbered: VecDeque<Place>,
    /// Pictures that are shown before all that are remembered.
    settled: i64,
    /// Units of time from one picture to the next.
    step: i64,
    /// The first picture's time and the time at which the next packet is to be decoded.
    first_time: Option<i64>,
    next_dts: Option<i64>,
    /// Pictures that the decoder holds back before it gives the first.
    delay: i64,
}

impl DisplayOrder {
    /// For an H.264 stream whose packets have no times; `step` is the duration of a frame.
    pub(super) fn new(stream: &Stream<'_>, step: i64) -> Option<Self> {
        // SAFETY: reads a field of a stream that is open.
        let delay = unsafe { (*stream.parameters().as_ptr()).video_delay };
        Some(Self {
            parser: Parser::new(stream)?,
            sequence: 0,
            waiting: VecDeque::new(),
            numbered: VecDeque::new(),
            settled: 0,
            step,
            first_time: None,
            next_dts: None,
            delay: i64::from(delay),
        })
    }

    /// Takes note of the next packet. `None` where the order cannot be known: the packet has a time
    /// of its own, packets are missing or the stream is damaged.
    pub(super) fn read(mut self, packet: &Packet) -> Option<Self> {
        let on_time = self.next_dts.is_none() || packet.dts() == self.next_dts;
        let step = match packet.duration() {
            duration if duration > 0 => duration,
            _ => self.step,
        };
        if packet.pts().is_some() || !on_time || self.first_time.is_some() && step != self.step {
            return None;
        }
        self.step = step;
        self.next_dts = packet.dts().map(|dts| dts.saturating_add(step));
        self.first_time.get_or_insert(
            packet
                .dts()
                .unwrap_or(0)
                .saturating_add(self.delay.saturating_mul(step)),
        );
        let (number, is_key) = self.parser.picture_number(packet)?;
        // Numbers start anew only where nothing refers back.
        if is_key && number <= 0 {
            self.sequence += 1;
        }
        let place = (self.sequence, number);
        let known = self.waiting.iter().chain(&self.numbered);
        let overtaken = known.clone().filter(|&&other| other > place).count();
        if overtaken > REMEMBERED / 2 || known.clone().any(|&other| other == place) {
            return None;
        }
        self.waiting.push_back(place);
        Some(self)
    }

    /// The time of the packet that was read first of those without one, and that of the picture
    /// after it.
    pub(super) fn next_times(&mut self) -> Option<(i64, i64)> {
        let place = self.waiting.pop_front()?;
        let earlier = self.waiting.iter().chain(&self.numbered);
        let rank = self.settled + earlier.map(|&other| i64::from(other < place)).sum::<i64>();
        self.numbered.push_back(place);
        if self.numbered.len() > REMEMBERED {
            let first = (0..self.numbered.len()).min_by_key(|&i| self.numbered[i])?;
            self.numbered.remove(first);
            self.settled += 1;
        }
        let time = self
            .first_time?
            .saturating_add(rank.saturating_mul(self.step));
        Some((time, time.saturating_add(self.step)))
    }
}

/// libavcodec's parser of H.264.
struct Parser {
    parser: ptr::NonNull<ffi::AVCodecParserContext>,
    context: ff::codec::Context,
}

impl Parser {
    fn new(stream: &Stream<'_>) -> Option<Self> {
        let context = ff::codec::Context::from_parameters(stream.parameters()).ok()?;
        // SAFETY: libav gives a parser of its own, or null; packets of a container hold whole
        // pictures.
        unsafe {
            let id = ffi::AVCodecID::AV_CODEC_ID_H264 as i32;
            let mut parser = ptr::NonNull::new(ffi::av_parser_init(id))?;
            parser.as_mut().flags |= ffi::PARSER_FLAG_COMPLETE_FRAMES;
            Some(Self { parser, context })
        }
    }

    /// The packet's picture order count, and whether it is a random access point.
    fn picture_number(&mut self, packet: &Packet) -> Option<(i32, bool)> {
        let data = packet.data()?;
        let size = i32::try_from(data.len()).ok()?;
        // SAFETY: parser and context are alive and ours, the data belongs to the packet, and where
        // the parser leaves its output is not read.
        unsafe {
            let (mut out, mut out_size) = (ptr::null_mut(), 0);
            let parsed = ffi::av_parser_parse2(
                self.parser.as_ptr(),
                self.context.as_mut_ptr(),
                &raw mut out,
                &raw mut out_size,
                data.as_ptr(),
                size,
                ffi::AV_NOPTS_VALUE,
                ffi::AV_NOPTS_VALUE,
                0,
            );
            let parser = self.parser.as_ref();
            (parsed >= 0).then_some((parser.output_picture_number, parser.key_frame == 1))
        }
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // SAFETY: the parser is ours and closed once.
        unsafe { ffi::av_parser_close(self.parser.as_ptr()) };
    }
}
