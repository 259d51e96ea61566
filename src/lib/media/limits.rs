//! What one file may cost: time, memory, pixels.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

use super::MediaError;

/// Most pixels of a picture, of a video or a JPEG file; larger ones are refused before memory is
/// taken for them.
pub const MAX_PIXELS: u32 = 1 << 26;
/// Largest single allocation that libav may make, in bytes. A frame of [`MAX_PIXELS`] fits.
pub(super) const MAX_ALLOCATION_BYTES: usize = 512 << 20;

/// What a file may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time for one file.
    pub seconds: u64,
    /// Address space of a decoder that runs in a process of its own, in bytes. In threads a
    /// picture's size ([`MAX_PIXELS`]) and each allocation are bounded instead.
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

impl Limits {
    /// When the time of a file that is begun now is up.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        Deadline::after(self.seconds)
    }

    /// Whether a file that has exceeded a limit would meet the same one now.
    #[must_use]
    pub fn are_still(&self, exceeded: Exceeded) -> bool {
        match exceeded {
            Exceeded::Seconds(seconds) => seconds == self.seconds,
            Exceeded::MemoryMib(mib) => mib == self.memory_bytes >> 20,
        }
    }
}

/// The instant at which a file's time is up. One that no clock reaches never comes.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Option<Instant>,
    seconds: u64,
}

impl Deadline {
    /// The deadline of what is begun now and may take so many seconds.
    #[must_use]
    pub fn after(seconds: u64) -> Self {
        Self {
            at: Instant::now().checked_add(Duration::from_secs(seconds)),
            seconds,
        }
    }

    /// The time that is left; none where it never comes.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        let at = self.at?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Whether the time is up.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// Says when the time is up.
    ///
    /// # Errors
    /// When it is.
    pub fn check(self) -> Result<(), MediaError> {
        if self.is_over() {
            return Err(Exceeded::Seconds(self.seconds).into());
        }
        Ok(())
    }
}

/// A limit that a file has exceeded. Its text stands in the index and can be read back from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// [`Limits::seconds`].
    Seconds(u64),
    /// The address space of the process, in MiB: [`Limits::memory_bytes`] where it decodes for
    /// another.
    MemoryMib(u64),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "took longer than {seconds} s"),
            Self::MemoryMib(mib) => write!(f, "needs more than {mib} MiB of memory"),
        }
    }
}

impl Exceeded {
    /// The limit that an error's text says was exceeded, where it says so.
    #[must_use]
    pub fn parse(error: &str) -> Option<Self> {
        let number = |before, after| {
            error
                .strip_prefix(before)?
                .strip_suffix(after)?
                .parse()
                .ok()
        };
        let seconds = number("took longer than ", " s").map(Self::Seconds);
        seconds.or_else(|| number("needs more than ", " MiB of memory").map(Self::MemoryMib))
    }
}

/// Whose fault it is that libav got no memory: the machine's, as an error, or the file's, which
/// asked for more than libav may take at once.
pub(super) fn no_memory() -> Option<MediaError> {
    let mut largest = Vec::<u8>::new();
    let is_there = largest.try_reserve_exact(MAX_ALLOCATION_BYTES).is_ok();
    // Else the compiler may leave the allocation out and call it a success.
    black_box(&largest);
    if is_there {
        return None;
    }
    let limit = getrlimit(Resource::As).current;
    Some(limit.map_or(MediaError::Memory, |bytes| {
        Exceeded::MemoryMib(bytes >> 20).into()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_back_from_their_errors() {
        let limits = Limits::default();
        for (exceeded, still) in [
            (Exceeded::Seconds(300), true),
            (Exceeded::Seconds(30), false),
            (Exceeded::MemoryMib(4096), true),
            (Exceeded::MemoryMib(1), false),
        ] {
            assert_eq!(Exceeded::parse(&exceeded.to_string()), Some(exceeded));
            assert_eq!(limits.are_still(exceeded), still);
        }
        assert_eq!(Exceeded::parse("took longer than it should"), None);
    }

    #[test]
    fn no_time_is_over_at_once_and_endless_time_never() {
        let within = |seconds| Limits {
            seconds,
            ..Limits::default()
        };
        assert!(within(0).deadline().is_over());
        assert!(!within(u64::MAX).deadline().is_over());
    }

    #[test]
    fn where_memory_is_to_be_had_the_file_asked_for_too_much() {
        assert_eq!(no_memory(), None);
    }
}
