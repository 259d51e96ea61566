//! Progress of long work: a bar with count, rate and time left on a terminal, a plain line now and then in a log; numbers of things.

use std::fmt;
use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Seconds between two plain lines where stderr is no terminal.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(10);

/// Times a second that a bar is drawn anew: more would only flicker.
const DRAWN_HZ: u8 = 5;

/// The bar that is on the terminal now.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether nobody wants to see progress.
static HIDDEN: AtomicBool = AtomicBool::new(false);

/// Shows no progress of what this process begins from now on.
pub fn hide() {
    HIDDEN.store(true, Ordering::Relaxed);
}

/// Writes to the terminal above the bar, where there is one, so that neither is cut.
pub fn above<R>(write: impl FnOnce() -> R) -> R {
    // A poisoned lock means that another thread panicked; what is to be said then matters more than the bar.
    let shown = SHOWN.lock().map(|shown| shown.clone()).unwrap_or_default();
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// What things are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pieces, with their name in the plural (`clips`, `batches`).
    Count(&'static str),
    /// Bytes.
    Bytes,
}

/// The progress of one piece of work. Safe to share between threads.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    plain: Option<Plain>,
}

#[derive(Debug)]
struct Plain {
    what: String,
    unit: Unit,
    started: Instant,
    last: Mutex<Instant>,
}

impl Progress {
    /// Starts the display of `what` ("decoding"), of `total` units where that is known.
    #[must_use]
    pub fn new(what: &str, total: Option<u64>, unit: Unit) -> Self {
        let hidden = HIDDEN.load(Ordering::Relaxed);
        if hidden || !stderr().is_terminal() {
            let bar = ProgressBar::hidden();
            if let Some(total) = total {
                bar.set_length(total);
            }
            if hidden {
                return Self { bar, plain: None };
            }
            let now = Instant::now();
            let plain = Plain {
                what: what.to_owned(),
                unit,
                started: now,
                last: Mutex::new(now),
            };
            return Self {
                bar,
                plain: Some(plain),
            };
        }
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWN_HZ));
        bar.set_style(style(unit));
        bar.set_prefix(what.to_owned());
        if let Ok(mut shown) = SHOWN.lock() {
            *shown = Some(bar.clone());
        }
        Self { bar, plain: None }
    }

    /// Counts `n` more units as done.
    pub fn inc(&self, n: u64) {
        self.bar.inc(n);
        if let Some(plain) = &self.plain {
            plain.tell_if_due(&self.bar);
        }
    }

    /// Shows a short text beside the bar (the current epoch's figures, failures so far).
    pub fn message(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Prints a line above the bar.
    pub fn line(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    /// Ends the display and clears the bar.
    pub fn finish(&self) {
        if let Ok(mut shown) = SHOWN.lock() {
            *shown = None;
        }
        self.bar.finish_and_clear();
    }
}

/// Work that ends by an error leaves no bar either.
impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// How a bar looks. The message, which comes last, is cut at the terminal's width: a line that wraps
/// cannot be drawn over.
fn style(unit: Unit) -> ProgressStyle {
    let (counts, rate) = match unit {
        Unit::Count(name) => (format!("{{pos}}/{{len}} {name}"), "{rate}"),
        Unit::Bytes => ("{bytes}/{total_bytes}".to_owned(), "{bytes_per_sec}"),
    };
    let template = format!("{{prefix}} {{bar:24}} {counts}  {rate}  {{eta}} left  {{wide_msg}}");
    // The template is built from the constants above, so it always parses.
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
            // What cannot be written is not shown.
            let _ = write!(to, "{:.1}/s", state.per_sec());
        })
}

/// Prints a line on stderr; where that is closed, nobody wants to know.
fn say(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

impl Plain {
    fn tell_if_due(&self, bar: &ProgressBar) {
        // A poisoned lock means that another thread panicked; progress lines are then of no use to anyone.
        let Ok(mut last) = self.last.lock() else {
            return;
        };
        if last.elapsed() < PLAIN_LINE_EVERY {
            return;
        }
        *last = Instant::now();
        say(&self.text(
            bar.position(),
            bar.length(),
            self.started.elapsed(),
            &bar.message(),
        ));
    }

    // A rate is positive and far below 2^64; its fraction does not matter to anyone.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn text(&self, done: u64, total: Option<u64>, elapsed: Duration, message: &str) -> String {
        let amount = |n: u64| match self.unit {
            Unit::Count(_) => n.to_string(),
            Unit::Bytes => indicatif::HumanBytes(n).to_string(),
        };
        let rate = done as f64 / elapsed.as_secs_f64().max(1e-9);
        let mut text = format!("{}: {}", self.what, amount(done));
        if let Some(total) = total {
            text += &format!("/{}", amount(total));
        }
        text += &match self.unit {
            Unit::Count(name) => format!(" {name}, {rate:.1}/s"),
            Unit::Bytes => format!(", {}/s", indicatif::HumanBytes(rate as u64)),
        };
        if let Some(total) = total.filter(|_| done > 0) {
            let left = elapsed.as_secs_f64() * total.saturating_sub(done) as f64 / done as f64;
            // Of a total that somebody made up, the time may fit into no duration.
            if let Ok(left) = Duration::try_from_secs_f64(left) {
                text += &format!(", {} left", indicatif::HumanDuration(left));
            }
        }
        if !message.is_empty() {
            text += &format!(", {message}");
        }
        text
    }
}

/// A number of things in words: `1 clip`, `12 clips`. The noun is one that takes an s.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_tells_count_rate_and_time_left() {
        let now = Instant::now();
        let plain = |unit| Plain {
            what: "decoding".into(),
            unit,
            started: now,
            last: Mutex::new(now),
        };
        let ten_s = Duration::from_secs(10);
        assert_eq!(
            plain(Unit::Count("clips")).text(50, Some(200), ten_s, "2 failed"),
            "decoding: 50/200 clips, 5.0/s, 30 seconds left, 2 failed"
        );
        assert_eq!(
            plain(Unit::Bytes).text(1024, None, ten_s, ""),
            "decoding: 1.00 KiB, 102 B/s"
        );
        let absurd = plain(Unit::Bytes).text(1, Some(u64::MAX), ten_s * 9, "");
        assert!(absurd.ends_with("/s"), "{absurd}");
    }
}
