//! Times for H.264 pictures that their container keeps without any, as AVI and raw streams do.
//!
//! The streams say in which order pictures are shown; with that order known before decoding, each
//! packet gets the time that full decoding would give its picture: the n-th in display order is
//! shown n frame durations after the first.

use std::collections::VecDeque;

use ffmpeg_next::{Packet, Stream};

use super::h264_parser::Parsed;

/// Taken pictures that are remembered. Those that are still to come are shown after all that are
/// older, since no codec lets more than 16 pictures be overtaken.
const REMEMBERED: usize = 32;

/// A picture's place in the display order: of pictures between two random access points, then among
/// these.
type Place = (i64, i32);

/// Numbers the packets of a stream in display order, once those that may be shown before them are
/// read.
pub(super) struct DisplayOrder {
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
    pub(super) fn new(stream: &Stream<'_>, step: i64) -> Self {
        // SAFETY: reads a field of a stream that is open.
        let delay = unsafe { (*stream.parameters().as_ptr()).video_delay };
        Self {
            sequence: 0,
            waiting: VecDeque::new(),
            numbered: VecDeque::new(),
            settled: 0,
            step,
            first_time: None,
            next_dts: None,
            delay: i64::from(delay),
        }
    }

    /// Takes note of the next packet. `None` where the order cannot be known: the packet has a time
    /// of its own or a field for a picture, packets are missing or the stream is damaged.
    pub(super) fn read(mut self, packet: &Packet, parsed: Option<Parsed>) -> Option<Self> {
        let parsed = parsed.filter(|picture| picture.field.is_none())?;
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
        let Parsed { number, is_key, .. } = parsed;
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
