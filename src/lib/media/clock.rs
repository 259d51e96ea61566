//! Clocks that restart or jump: pieces of a recording that were joined by copying one behind the
//! other, broadcasts whose clock was set anew. The times go on where they were, as in the `ffmpeg`
//! command line, so that no piece is lost and no picture stands still until the clock is reached.

use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Packet, ffi};

use super::facts::TimeBase;

/// Seconds that a stream may pass over before they count as a jump, in containers whose clock may
/// be set anew.
const MAX_JUMP_SECONDS: i64 = 10;
/// Milliseconds that a time may lie before what was expected: in containers whose clock may be set
/// anew, and in all others, where times of decoding should only ever grow.
const MAX_BACK_MS: (i64, i64) = (100, 1000);

/// Makes the times of packets go on where the clock restarts.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// What is added to all times.
    offset: i64,
    /// The time of decoding that the next packet should have.
    expected: Option<i64>,
    /// How long a packet's picture lasts where the packet does not say.
    frame_duration: i64,
    max_back: i64,
    max_ahead: Option<i64>,
}

impl Clock {
    pub(super) fn of(input: &Input, time_base: TimeBase, frame_duration: i64) -> Self {
        // SAFETY: reads a constant of the format of an open context.
        let flags = unsafe { (*(*input.as_ptr()).iformat).flags };
        Self::new(
            flags & ffi::AVFMT_TS_DISCONT != 0,
            time_base,
            frame_duration,
        )
    }

    fn new(may_be_set_anew: bool, time_base: TimeBase, frame_duration: i64) -> Self {
        let units = |ms: i64| ms.saturating_mul(time_base.den) / (1000 * time_base.num);
        Self {
            frame_duration,
            max_back: units(if may_be_set_anew {
                MAX_BACK_MS.0
            } else {
                MAX_BACK_MS.1
            }),
            max_ahead: may_be_set_anew.then(|| units(MAX_JUMP_SECONDS * 1000)),
            ..Self::default()
        }
    }

    /// Sets the packet's times.
    pub(super) fn set(&mut self, packet: &mut Packet) {
        if let Some(dts) = packet.dts() {
            self.offset = self.offset_at(dts);
            let duration = match packet.duration() {
                duration if duration > 0 => duration,
                _ => self.frame_duration,
            };
            let now = dts.saturating_add(self.offset);
            self.expected = Some(now.saturating_add(duration));
        }
        if self.offset != 0 {
            let shift = |time: Option<i64>| time.map(|time| time.saturating_add(self.offset));
            let (pts, dts) = (shift(packet.pts()), shift(packet.dts()));
            packet.set_pts(pts);
            packet.set_dts(dts);
        }
    }

    /// What is to be added to times from here on.
    fn offset_at(&self, dts: i64) -> i64 {
        let Some(expected) = self.expected else {
            return self.offset;
        };
        let ahead = dts.saturating_add(self.offset).saturating_sub(expected);
        let restarts = ahead < -self.max_back || self.max_ahead.is_some_and(|max| ahead > max);
        if restarts {
            self.offset.saturating_sub(ahead)
        } else {
            self.offset
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times that packets of these times get, in milliseconds, each 40 ms long.
    fn times(may_be_set_anew: bool, dts: &[i64]) -> Vec<i64> {
        let mut clock = Clock::new(may_be_set_anew, TimeBase { num: 1, den: 1000 }, 40);
        let set = |&dts: &i64| {
            let mut packet = Packet::empty();
            packet.set_dts(Some(dts));
            packet.set_pts(Some(dts + 80));
            clock.set(&mut packet);
            assert_eq!(packet.pts(), packet.dts().map(|dts| dts + 80));
            packet.dts().unwrap()
        };
        dts.iter().map(set).collect()
    }

    #[test]
    fn a_restart_and_a_jump_go_on_and_a_gap_stays() {
        assert_eq!(
            times(true, &[1400, 1440, 1480, 1400, 1440]),
            [1400, 1440, 1480, 1520, 1560]
        );
        assert_eq!(
            times(true, &[0, 40, 90_000, 90_040, 0]),
            [0, 40, 80, 120, 160]
        );
        assert_eq!(times(true, &[0, 5000, 5040]), [0, 5000, 5040]);
    }

    #[test]
    fn where_no_clock_is_set_anew_a_picture_may_stand_for_minutes() {
        assert_eq!(times(false, &[0, 600_000, 600_040]), [0, 600_000, 600_040]);
        assert_eq!(times(false, &[5000, 5040, 0, 40]), [5000, 5040, 5080, 5120]);
    }
}
