//! Why a file gives no frames.

use ffmpeg_next as ff;

use super::limits::{self, Exceeded, MAX_PIXELS};
use crate::exit::Exit;
use crate::hint::Hint;

/// Why a file gives no (more) frames. The texts name no file: they stand in the index, whose bytes
/// depend on no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file's name holds a zero byte, which no file can have.
    #[error("the file's name holds a zero byte")]
    Name,
    /// No container format recognises the file, or its header is damaged.
    #[error("cannot be opened: {0}")]
    Open(String),
    /// There is no video stream other than a cover picture.
    #[error("has no video stream{}", if *.audio { ", only audio" } else { "" })]
    NoVideo {
        /// Whether there is an audio stream.
        audio: bool,
    },
    /// The video stream is encrypted.
    #[error("is encrypted; get it without protection, or decrypt it with its key first")]
    Encrypted,
    /// There is one picture and no more.
    #[error("is a single picture ({codec}), not a video; fetch the video itself")]
    Picture {
        /// The codec's name.
        codec: String,
    },
    /// Its pictures have more pixels than any that are decoded.
    #[error(
        "its pictures have {width} x {height} pixels, and {MAX_PIXELS} are the limit; make it smaller first: ffmpeg -i FILE -vf scale=1280:-2 FILE.mp4"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The codec is unknown to this FFmpeg, or its parameters are unusable.
    #[error("codec {codec}: {reason}")]
    Codec {
        /// The codec's name.
        codec: String,
        /// What libav said.
        reason: String,
    },
    /// No frame came out.
    #[error("no frame could be decoded ({packets} packets, {errors} errors)")]
    NoFrames {
        /// Packets of the video stream.
        packets: i64,
        /// Errors on the way.
        errors: i64,
    },
    /// Decoding took too long, or more memory than it may.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The machine has no memory left.
    #[error("there is not enough memory")]
    Memory,
    /// The system does not give the file: no permission, too many open files.
    #[error("cannot be opened: {0}")]
    Refused(String),
    /// A picture could not be converted.
    #[error("a picture of {width} x {height} ({format}) cannot be scaled: {reason}")]
    Scale {
        /// Width of the picture in pixels.
        width: u32,
        /// Height of the picture in pixels.
        height: u32,
        /// Its pixel format.
        format: String,
        /// Why not.
        reason: String,
    },
}

impl MediaError {
    /// What of libav's errors is the machine's, not the file's.
    pub(super) fn refused(error: ff::Error) -> Option<Self> {
        use ff::error::{EACCES, EMFILE, ENFILE, ENOMEM, EPERM};
        match error {
            ff::Error::Other { errno: ENOMEM } => limits::no_memory(),
            ff::Error::Other {
                errno: EACCES | EMFILE | ENFILE | EPERM,
            } => Some(Self::Refused(error.to_string())),
            _ => None,
        }
    }
}

impl Hint for MediaError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Exceeded(Exceeded::Seconds(_)) => {
                Some("raise --clip-seconds if the file is really that long".into())
            }
            Self::Exceeded(Exceeded::MemoryMib(_)) => {
                Some("raise --clip-memory-mib if the machine has more".into())
            }
            Self::Codec { .. } => Some(
                "install an FFmpeg that knows this codec; `make doctor` shows what is there".into(),
            ),
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Exceeded(_) | Self::Memory => Exit::TryAgain,
            Self::Name | Self::Refused(_) | Self::Codec { .. } => Exit::Failed,
            _ => Exit::Hopeless,
        }
    }
}
