//! Which frames a clip keeps: frame i is the one on display at start + i / fps. Pure, in exact
//! integer arithmetic.
//!
//! Start is the first displayed frame; i runs while start + i / fps lies before the end (the last
//! frame's time plus its duration), up to a limit.
//!
//! These are the frames that `ffmpeg -vf fps=F:round=up` picks where the first frame lies on its
//! grid. The filter counts its instants from timestamp zero, which the command line makes the
//! container's start, and begins with the first that does not lie before the first frame. In most
//! files the first frame is at the container's start and the two agree. They do not in, say, an AVI
//! of MPEG-4 with B-frames: it holds no presentation times, so each frame gets the time of the
//! packet at which the decoder gives it, and the first comes one frame late, at 1/25 s; at 5 per
//! second the filter then begins at 1/5 s with frame 4 and goes on with 9, 14, ..., where these are
//! 0, 5, 10, ... With `setpts=PTS-STARTPTS` before it the filter picks these.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::media::facts::TimeBase;

/// A frame rate in frames per second, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fps {
    numerator: u32,
    denominator: u32,
}

/// A text that names no frame rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no frame rate: a whole number, a decimal with up to 3 digits or a fraction like 30000/1001, above 0"
)]
pub struct UnknownFps(String);

impl Fps {
    /// `fps` frames per second; 0 is taken for 1.
    #[must_use]
    pub fn whole(fps: u32) -> Self {
        Self {
            numerator: fps.max(1),
            denominator: 1,
        }
    }

    /// The rate as a float.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

impl FromStr for Fps {
    type Err = UnknownFps;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownFps(text.to_owned());
        let (numerator, denominator) = if let Some((numerator, denominator)) = text.split_once('/')
        {
            (
                numerator.parse().map_err(|_| unknown())?,
                denominator.parse().map_err(|_| unknown())?,
            )
        } else if let Some((whole, digits)) = text.split_once('.') {
            let places = u32::try_from(digits.len())
                .ok()
                .filter(|n| (1..=3).contains(n))
                .ok_or_else(unknown)?;
            (
                format!("{whole}{digits}").parse().map_err(|_| unknown())?,
                10u32.pow(places),
            )
        } else {
            (text.parse().map_err(|_| unknown())?, 1)
        };
        if numerator == 0 || denominator == 0 {
            return Err(unknown());
        }
        let divisor = gcd(numerator, denominator);
        Ok(Self {
            numerator: numerator / divisor,
            denominator: denominator / divisor,
        })
    }
}

impl fmt::Display for Fps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

impl From<Fps> for String {
    fn from(fps: Fps) -> Self {
        fps.to_string()
    }
}

impl TryFrom<String> for Fps {
    type Error = UnknownFps;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The instants start + i / fps in a clip's own time base.
#[derive(Clone, Copy, Debug)]
pub struct Instants {
    per_unit: i128,
    units: i128,
    count: u32,
}

impl Instants {
    /// At most `count` instants.
    #[must_use]
    pub fn new(fps: Fps, time_base: TimeBase, count: u32) -> Self {
        Self {
            per_unit: i128::from(time_base.num) * i128::from(fps.numerator),
            units: i128::from(time_base.den) * i128::from(fps.denominator),
            count,
        }
    }

    /// The number of the first instant that does not lie before `elapsed`, at most the count.
    #[must_use]
    pub fn from(&self, elapsed: i64) -> u32 {
        let exact = i128::from(elapsed.max(0)) * self.per_unit;
        let first = exact / self.units + i128::from(exact % self.units != 0);
        u32::try_from(first).unwrap_or(u32::MAX).min(self.count)
    }

    /// Whether an instant lies in `[from, to)`.
    #[must_use]
    pub fn any_in(&self, from: i64, to: i64) -> bool {
        self.from(from) < self.from(to)
    }
}

/// Picks frames as they come: each is held until the next one's time tells how many instants it
/// covers.
#[derive(Debug)]
pub struct Sampler<T> {
    instants: Instants,
    held: Option<(T, i64, i64)>,
}

/// A frame and the number of instants at which it is on display, at least one.
pub type Picked<T> = Option<(T, u32)>;

impl<T> Sampler<T> {
    /// A sampler of the given instants.
    #[must_use]
    pub fn new(instants: Instants) -> Self {
        Self {
            instants,
            held: None,
        }
    }

    /// Takes the next frame in display order; gives the one before where it is wanted. A frame that
    /// is not later than the one before takes its place at the same time, and is dropped when it
    /// comes late.
    pub fn push(&mut self, frame: T, elapsed: i64, duration: i64) -> Picked<T> {
        match self.held.take() {
            Some(held) if elapsed < held.1 => {
                self.held = Some(held);
                None
            }
            held => {
                self.held = Some((frame, elapsed, duration));
                held.and_then(|(frame, from, _)| self.pick(frame, from, elapsed))
            }
        }
    }

    /// Gives the last frame where it is wanted: it is shown for its own duration.
    pub fn finish(&mut self) -> Picked<T> {
        let (frame, from, duration) = self.held.take()?;
        self.pick(frame, from, from.saturating_add(duration))
    }

    /// Whether no later frame can be wanted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.held
            .as_ref()
            .is_some_and(|(_, from, _)| self.instants.from(*from) >= self.instants.count)
    }

    fn pick(&self, frame: T, from: i64, to: i64) -> Picked<T> {
        let count = self
            .instants
            .from(to)
            .saturating_sub(self.instants.from(from));
        (count > 0).then_some((frame, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MILLISECONDS: TimeBase = TimeBase { num: 1, den: 1000 };

    /// The frame numbers picked from frames at these times; the last lasts `last`.
    fn picks(fps: Fps, time_base: TimeBase, count: u32, times: &[i64], last: i64) -> Vec<usize> {
        let mut sampler = Sampler::new(Instants::new(fps, time_base, count));
        let mut picked = Vec::new();
        let mut take = |p: Picked<usize>| {
            picked.extend(
                p.into_iter()
                    .flat_map(|(f, n)| std::iter::repeat_n(f, n as usize)),
            );
        };
        for (i, &time) in times.iter().enumerate() {
            take(sampler.push(i, time, last));
        }
        take(sampler.finish());
        picked
    }

    fn steady(frames: i64, step: i64) -> Vec<i64> {
        (0..frames).map(|i| i * step).collect()
    }

    #[test]
    fn five_a_second_of_25_and_30_and_10_frames_a_second() {
        let by = |step, frames| {
            picks(
                Fps::whole(5),
                TimeBase { num: 1, den: 150 },
                50,
                &steady(frames, step),
                step,
            )
        };
        assert_eq!(by(6, 25), [0, 5, 10, 15, 20]);
        assert_eq!(by(5, 30), [0, 6, 12, 18, 24]);
        assert_eq!(by(15, 10), [0, 2, 4, 6, 8]);
        // Slower than the wanted rate: frames repeat. 2 per second for two seconds.
        assert_eq!(by(75, 4), [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]);
    }

    #[test]
    fn ntsc_rates_take_the_frame_on_display_and_not_the_nearest() {
        let time_base = TimeBase {
            num: 1001,
            den: 30_000,
        };
        let picked = picks(Fps::whole(5), time_base, 50, &steady(300, 1), 1);
        let expected: Vec<usize> = (0..)
            .map(|i| i * 6000 / 1001)
            .take_while(|&f| f < 300)
            .take(50)
            .collect();
        assert_eq!(picked, expected);
        assert_eq!(picked.len(), 50);
    }

    #[test]
    fn an_instant_exactly_at_the_end_is_not_shown_and_one_just_before_is() {
        assert_eq!(picks(Fps::whole(5), MILLISECONDS, 50, &[0, 100], 100), [0]);
        assert_eq!(
            picks(Fps::whole(5), MILLISECONDS, 50, &[0, 100], 101),
            [0, 1]
        );
        assert_eq!(picks(Fps::whole(5), MILLISECONDS, 50, &[0], 1), [0]);
    }

    #[test]
    fn late_and_equal_times_do_no_harm() {
        assert_eq!(
            picks(Fps::whole(5), MILLISECONDS, 50, &[0, 0, 200], 200),
            [1, 2]
        );
        assert_eq!(
            picks(Fps::whole(5), MILLISECONDS, 50, &[0, 200, 100, 400], 100),
            [0, 1, 3]
        );
    }

    #[test]
    fn the_limit_holds_and_says_when_it_is_reached() {
        let mut sampler = Sampler::new(Instants::new(Fps::whole(5), MILLISECONDS, 2));
        assert_eq!(sampler.push('a', 0, 200), None);
        assert_eq!(sampler.push('b', 200, 200), Some(('a', 1)));
        assert!(!sampler.is_full());
        assert_eq!(sampler.push('c', 400, 200), Some(('b', 1)));
        assert!(sampler.is_full());
        assert_eq!(sampler.finish(), None);
    }

    #[test]
    fn rates_survive_their_text() {
        for (text, shown) in [
            ("5", "5"),
            ("2.5", "5/2"),
            ("30000/1001", "30000/1001"),
            ("10/2", "5"),
        ] {
            assert_eq!(text.parse::<Fps>().unwrap().to_string(), shown);
        }
        for text in ["0", "", "-5", "5/0", "1.2345", "x", ".", "1/2/3"] {
            assert!(text.parse::<Fps>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_instant_gets_the_last_frame_that_is_not_later(
            gaps in prop::collection::vec(0i64..700, 1..40), last in 1i64..500, fps in 1u32..30, count in 1u32..60,
        ) {
            let times: Vec<i64> = gaps.iter().scan(0, |t, gap| { *t += gap; Some(*t) }).map(|t| t - gaps[0]).collect();
            let picked = picks(Fps::whole(fps), MILLISECONDS, count, &times, last);
            let end = times[times.len() - 1] + last;
            let expected: Vec<usize> = (0..i64::from(count))
                .take_while(|i| i * 1000 < end * i64::from(fps))
                .map(|i| times.iter().rposition(|t| t * i64::from(fps) <= i * 1000).unwrap())
                .collect();
            prop_assert_eq!(picked, expected);
        }

        #[test]
        fn huge_times_do_not_overflow(from in any::<i64>(), to in any::<i64>(), num in 1i64.., den in 1i64..) {
            let instants = Instants::new(Fps { numerator: u32::MAX, denominator: 1 }, TimeBase { num: num % 1_000_000 + 1, den }, 50);
            let _ = instants.any_in(from, to);
        }
    }
}
