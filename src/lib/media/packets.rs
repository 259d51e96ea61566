//! The packets of one stream, read ahead of the decoder, so that the neighbours in time of each
//! frame are known before it is decoded.

use std::collections::VecDeque;

use ffmpeg_next as ff;
use ffmpeg_next::codec::packet::side_data::Type as SideData;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::packet::Ref;
use ffmpeg_next::{Packet, ffi};

use super::MediaError;
use super::clock::Clock;
use super::display_order::DisplayOrder;
use super::h264_parser::{Field, Parser};
use super::limits::Deadline;

/// Packets that are read ahead at most. Deeper than any reordering that a codec allows (16).
pub(super) const LOOKAHEAD_PACKETS: usize = 40;
/// Bytes that are read ahead at most.
const LOOKAHEAD_BYTES: usize = 8 << 20;
/// Pictures that a codec may show before one that is decoded earlier.
const MAX_REORDER: usize = 16;

/// The packets of a stream in the order of decoding.
#[derive(Default)]
pub(super) struct Packets {
    stream: usize,
    waiting: VecDeque<Packet>,
    waiting_bytes: usize,
    /// The times of packets that were taken, the latest last.
    taken: VecDeque<i64>,
    ended: bool,
    /// Makes the times go on where the container's clock restarts.
    clock: Clock,
    /// Says what the packets hold, where that is not whole pictures in any case.
    parser: Option<Parser>,
    /// Gives the times where the container has none.
    order: Option<DisplayOrder>,
    /// The field whose counterpart the next packet may hold.
    open_field: Option<Field>,
    /// How long a picture lasts, where some are made of fields.
    pub(super) picture_duration: Option<i64>,
    /// What was read so far.
    pub(super) seen: Seen,
    /// What the machine refused: no damage of the file.
    pub(super) refused: Option<MediaError>,
}

/// Counts of what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Packets of the stream, hidden ones included.
    pub(super) packets: i64,
    /// Packets whose frames an edit list hides.
    pub(super) hidden: i64,
    /// Packets that hold the second field of a picture.
    pub(super) second_fields: i64,
    /// Errors of reading.
    pub(super) errors: i64,
    /// Whether a packet is encrypted.
    pub(super) encrypted: bool,
}

impl Packets {
    /// The packets of a stream that was not read yet. Those without times get them by `order`.
    pub(super) fn of(
        stream: usize,
        clock: Clock,
        parser: Option<Parser>,
        order: Option<DisplayOrder>,
    ) -> Self {
        Self {
            stream,
            clock,
            parser,
            order,
            ..Self::default()
        }
    }

    /// Reads ahead until the file ends or the memory for waiting packets is used up; no more than
    /// the next packet where `deep` is not asked for and the order of display is not needed.
    pub(super) fn fill(&mut self, input: &mut Input, deep: bool, deadline: Deadline) {
        let count = if deep || self.order.is_some() {
            LOOKAHEAD_PACKETS
        } else {
            1
        };
        while !self.ended
            && self.waiting.len() < count
            && (self.waiting.is_empty() || self.waiting_bytes < LOOKAHEAD_BYTES)
        {
            let mut packet = Packet::empty();
            match packet.read(input) {
                Ok(()) => self.push(packet),
                Err(ff::Error::Eof) => self.ended = true,
                Err(ff::Error::Other {
                    errno: ff::error::EAGAIN,
                }) if !deadline.is_over() => {}
                Err(e) if is_end(input, e) => self.ended = true,
                Err(e) => {
                    self.refused = MediaError::refused(e);
                    self.seen.errors += 1;
                    self.ended = true;
                }
            }
        }
    }

    /// Whether some pictures were seen to be made of fields, which may lie in packets of their own.
    pub(super) fn has_fields(&self) -> bool {
        self.picture_duration.is_some()
    }

    fn push(&mut self, mut packet: Packet) {
        // Some containers hold empty packets for repeated frames; to the decoder they would mean
        // the end.
        if packet.stream() != self.stream || packet.size() == 0 {
            return;
        }
        self.seen.packets += 1;
        self.seen.hidden += i64::from(is_hidden(&packet));
        self.seen.encrypted |= packet
            .side_data()
            .any(|s| s.kind() == SideData::EncryptionInfo);
        self.waiting_bytes += packet.size();
        self.clock.set(&mut packet);
        let parsed = self.parser.as_mut().and_then(|parser| parser.read(&packet));
        self.order = (self.order.take()).and_then(|order| order.read(&packet, parsed));
        self.count_field(parsed.and_then(|picture| picture.field), packet.duration());
        self.waiting.push_back(packet);
    }

    /// Puts the fields of a picture together: one of the other kind completes that before it.
    fn count_field(&mut self, field: Option<Field>, duration: i64) {
        let completes = field.is_some() && self.open_field.is_some_and(|open| field != Some(open));
        self.seen.second_fields += i64::from(completes);
        if completes {
            self.picture_duration
                .get_or_insert(duration.saturating_mul(2));
        }
        self.open_field = field.filter(|_| !completes);
    }

    /// The next packet and, for a frame that is shown and has a time, the time and that of the
    /// frame after it, as far as known.
    pub(super) fn take(&mut self) -> Option<(Packet, Shown)> {
        let mut packet = self.waiting.pop_front()?;
        self.waiting_bytes -= packet.size();
        let next = self.number(&mut packet);
        let shown = match packet.pts() {
            _ if is_hidden(&packet) => Shown::Never,
            None => Shown::Unknown,
            Some(from) => Shown::From(from, next.or_else(|| self.next_time(from))),
        };
        if let Shown::From(from, _) = shown {
            if self.taken.len() == LOOKAHEAD_PACKETS {
                self.taken.pop_front();
            }
            self.taken.push_back(from);
        }
        Some((packet, shown))
    }

    /// Gives a packet without a time the one that its place in the display order says; gives that
    /// of the next picture.
    fn number(&mut self, packet: &mut Packet) -> Option<i64> {
        if !self.ended && self.waiting.len() < MAX_REORDER {
            // One that is shown before it may still be unread.
            self.order = None;
        }
        let (time, next) = self.order.as_mut()?.next_times()?;
        packet.set_pts(Some(time));
        Some(next)
    }

    /// The nearest known time after `time`. An upper bound: a time that is still unread can only
    /// come sooner, so a span that holds no wanted instant up to here holds none.
    fn next_time(&self, time: i64) -> Option<i64> {
        let ahead = self.waiting.iter().filter_map(Packet::pts);
        ahead
            .chain(self.taken.iter().copied())
            .filter(|&other| other > time)
            .min()
    }

    /// Counts what is left of the file and forgets it.
    pub(super) fn count_rest(&mut self, input: &mut Input, deadline: Deadline) {
        self.waiting.clear();
        self.order = None;
        while !self.ended && !deadline.is_over() {
            self.fill(input, false, deadline);
            self.waiting.clear();
        }
        self.waiting_bytes = 0;
    }
}

/// When a packet's frame is on display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// An edit list hides it.
    Never,
    /// From a time to that of the frame after it, where that is known.
    From(i64, Option<i64>),
    /// The container gives no time.
    Unknown,
}

/// Whether an edit list hides the packet's frame.
fn is_hidden(packet: &Packet) -> bool {
    // SAFETY: reads a field of a packet that is alive.
    unsafe { (*packet.as_ptr()).flags & ffi::AV_PKT_FLAG_DISCARD != 0 }
}

/// Whether an error is a demuxer's way to say that the file has ended. That of JPEG files behind
/// each other, as IP cameras send them, misses a header after the last boundary; some old ones,
/// such as GXF's, answer with -1, which is also what a lack of permission is, but of an open file.
fn is_end(input: &Input, error: ff::Error) -> bool {
    let may_be = match error {
        ff::Error::InvalidData => input.format().name() == "mpjpeg",
        ff::Error::Other { errno } => errno == ff::error::EPERM,
        _ => false,
    };
    // SAFETY: reads fields of an input that is open; one that was opened by name has a context of
    // bytes.
    may_be && unsafe { (*(*input.as_ptr()).pb).eof_reached != 0 }
}
