//! Videos without an answer.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::foreign::printable;

/// A video without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedVideo {
    /// The video.
    pub video: PathBuf,
    /// Why.
    pub reason: String,
}

impl fmt::Display for FailedVideo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let video = self.video.to_string_lossy();
        write!(f, "{}: {}", printable(&video), printable(&self.reason))
    }
}
