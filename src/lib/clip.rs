//! What a clip is called and which split it belongs to.
//!
//! A clip's id is `<youtube_id>_<start, 6 digits>_<end, 6 digits>`, as in the official Kinetics archives, or, for data of one's
//! own, the path of its file below the folder of clips, without the ending. Both become paths, so the first has nothing but
//! letters, digits, `-` and `_`, and [`path`] says what the second may have.

pub mod path;

use std::fmt;
use std::str::FromStr;

use crate::choice::choice;
use crate::foreign::printable;
use crate::hint::Hint;
use path::PathFault;

/// Longest YouTube id that is accepted, in bytes. Real ones have 11.
pub const MAX_YOUTUBE_ID_BYTES: usize = 64;

choice! {
    /// The part of the data that a clip belongs to. The *file* of the label table decides it, never its column `split`. The
    /// name is the stem of that table and the prefix of the split's shards; every table is sorted in this order.
    #[derive(PartialOrd, Ord)]
    pub enum Split: "split" {
        /// `train.csv`.
        Train = "train",
        /// `validation.csv`.
        Validation = "validation",
        /// `test.csv`.
        Test = "test",
    }
}

/// A clip's identity: a YouTube id and a time range in whole seconds, or a relative path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClipId(Name);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    /// A piece of a YouTube video.
    Piece {
        youtube_id: String,
        start_s: u32,
        end_s: u32,
    },
    /// Where the clip lies, without its ending.
    Path(String),
}

/// Why a text is no clip id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClipIdError {
    /// The YouTube id is empty, too long or holds a character that ids never have.
    #[error(
        "\"{}\" is no YouTube id: 1 to {MAX_YOUTUBE_ID_BYTES} letters, digits, '-' and '_' are allowed",
        printable(.0)
    )]
    YoutubeId(String),
    /// The text does not end in `_<start>_<end>`.
    #[error(
        "\"{}\" is no clip id: expected <youtube id>_<start, 6 digits>_<end, 6 digits>",
        printable(.0)
    )]
    Form(String),
    /// A time needs more than six digits.
    #[error("clip of {youtube_id}: {seconds} s does not fit into six digits")]
    Time {
        /// The clip's YouTube id.
        youtube_id: String,
        /// The time that is too large, in seconds.
        seconds: u32,
    },
    /// The text is no path of a clip.
    #[error("\"{}\" cannot be a clip's path: {fault}", printable(text))]
    Path {
        /// What stands there.
        text: String,
        /// What is wrong with it.
        fault: PathFault,
    },
}

impl Hint for ClipIdError {}

impl ClipId {
    /// Builds an id from its parts.
    ///
    /// # Errors
    /// When the YouTube id could not be one, or a time needs more than six digits.
    pub fn new(youtube_id: &str, start_s: u32, end_s: u32) -> Result<Self, ClipIdError> {
        let fits = (1..=MAX_YOUTUBE_ID_BYTES).contains(&youtube_id.len());
        let clean = youtube_id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fits || !clean {
            return Err(ClipIdError::YoutubeId(youtube_id.to_owned()));
        }
        for seconds in [start_s, end_s] {
            if seconds > 999_999 {
                return Err(ClipIdError::Time {
                    youtube_id: youtube_id.to_owned(),
                    seconds,
                });
            }
        }
        Ok(Self(Name::Piece {
            youtube_id: youtube_id.to_owned(),
            start_s,
            end_s,
        }))
    }

    /// The id of the clip that lies at a path, given without its ending.
    ///
    /// # Errors
    /// When the path is not relative, leads out of its folder, or has what no name of a clip may have.
    pub fn at_path(text: &str) -> Result<Self, ClipIdError> {
        path::check(text).map_err(|fault| ClipIdError::Path {
            text: text.to_owned(),
            fault,
        })?;
        Ok(Self(Name::Path(text.to_owned())))
    }

    /// The id that a table has as text, of either kind.
    ///
    /// # Errors
    /// When it is neither.
    pub fn of_either_kind(text: &str) -> Result<Self, ClipIdError> {
        text.parse().or_else(|_| Self::at_path(text))
    }

    /// The clip's path without its ending, for one that is called by it.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match &self.0 {
            Name::Path(path) => Some(path),
            Name::Piece { .. } => None,
        }
    }

    /// The YouTube id, where the clip is a piece of such a video.
    #[must_use]
    pub fn youtube_id(&self) -> Option<&str> {
        match &self.0 {
            Name::Piece { youtube_id, .. } => Some(youtube_id),
            Name::Path(_) => None,
        }
    }

    /// Where the clip starts in its YouTube video, in seconds.
    #[must_use]
    pub fn start_s(&self) -> Option<u32> {
        match self.0 {
            Name::Piece { start_s, .. } => Some(start_s),
            Name::Path(_) => None,
        }
    }

    /// Where the clip ends in its YouTube video, in seconds.
    #[must_use]
    pub fn end_s(&self) -> Option<u32> {
        match self.0 {
            Name::Piece { end_s, .. } => Some(end_s),
            Name::Path(_) => None,
        }
    }

    /// The name of the clip's file as the official archives have it.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{self}.mp4")
    }

    /// The name of the folder in which the seed keeps the clip's frames (`Videos/<this>/jpgs/image_00001.jpg`); of a clip that is
    /// called by its path, that path.
    #[must_use]
    pub fn frame_folder(&self) -> String {
        match &self.0 {
            Name::Piece { .. } => format!("id_{self}"),
            Name::Path(path) => path.clone(),
        }
    }
}

impl fmt::Display for ClipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Piece {
                youtube_id,
                start_s,
                end_s,
            } => write!(f, "{youtube_id}_{start_s:06}_{end_s:06}"),
            Name::Path(path) => f.write_str(path),
        }
    }
}

/// Reads the id of a piece of a YouTube video; [`ClipId::of_either_kind`] takes paths, too.
impl FromStr for ClipId {
    type Err = ClipIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || ClipIdError::Form(text.to_owned());
        let six_digits = |part: &str| {
            (part.len() == 6 && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse().ok())
                .flatten()
                .ok_or_else(form)
        };
        let mut parts = text.rsplitn(3, '_');
        let (Some(end), Some(start), Some(youtube_id)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(form());
        };
        Self::new(youtube_id, six_digits(start)?, six_digits(end)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_back_even_with_underscores_and_a_leading_dash() {
        for text in [
            "0smbThmn46c_001361_001371",
            "-2fd5c70927_000070_000080",
            "By8ZlRMX0-c_000239_000249",
            "a_b_c_000001_000002",
        ] {
            assert_eq!(text.parse::<ClipId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_table_may_have_ids_of_both_kinds_and_only_pieces_know_a_video() {
        let piece = ClipId::of_either_kind("abc_000001_000011").unwrap();
        assert_eq!((piece.youtube_id(), piece.path()), (Some("abc"), None));
        let path = ClipId::of_either_kind("walk/v_X_g01_c01").unwrap();
        assert_eq!(path.path(), Some("walk/v_X_g01_c01"));
        assert_eq!(
            (path.youtube_id(), path.start_s(), path.end_s()),
            (None, None, None)
        );
        assert_eq!(path.to_string(), "walk/v_X_g01_c01");
        assert!(ClipId::of_either_kind("/walk").is_err());
        // A path keeps its kind however it is spelt.
        assert_eq!(
            ClipId::at_path("abc_000001_000011").unwrap().youtube_id(),
            None
        );
    }

    #[test]
    fn what_could_leave_its_folder_is_refused() {
        for text in [
            "../etc_000001_000002",
            "a/b_000001_000002",
            "_000001_000002",
            "abc_1_000002",
            "abc_000001",
            "abc_0000001_000002",
            "abc_+00001_000002",
        ] {
            assert!(text.parse::<ClipId>().is_err(), "{text}");
        }
        assert!(ClipId::at_path("../etc/passwd").is_err());
        assert!(ClipId::new("abc", 0, 1_000_000).is_err());
        assert!(ClipId::new(&"a".repeat(65), 0, 1).is_err());
    }
}
