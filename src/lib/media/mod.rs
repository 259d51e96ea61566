//! Video in and out through FFmpeg: the only user of `ffmpeg_next`.

pub mod encode;
