//! Why a clip gave no frames, and whose fault that is.

use crate::media::MediaError;

/// Why a clip gave no frames, or no more of them.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Its file is damaged, or not what a clip is.
    Damaged(String),
    /// The system did not give the file.
    Refused(String),
    /// Time or memory did not suffice: it may fare better where nothing else is decoded.
    Starved(String),
}

impl From<MediaError> for Trouble {
    fn from(error: MediaError) -> Self {
        let reason = error.to_string();
        match error {
            MediaError::Exceeded(_) | MediaError::Memory => Self::Starved(reason),
            MediaError::Refused(_) => Self::Refused(reason),
            _ => Self::Damaged(reason),
        }
    }
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}
