//! Writing video: RGB frames to H.264 in an MP4 file, the same bytes for the same frames.
//!
//! Bit-exact flags keep versions and dates out of the file, one encoder thread keeps the rate
//! control's decisions in one order, and libx264 is asked for the decisions that it takes alike on
//! every processor. Another version of libx264 may give other bytes. Where FFmpeg was built without
//! it, MPEG-4 part 2 takes its place.

use std::path::{Path, PathBuf};

use ffmpeg_next as ffmpeg;

use ffmpeg::codec::threading;
use ffmpeg::format::Pixel;
use ffmpeg::software::scaling;
use ffmpeg::util::error::ENOSPC;
use ffmpeg::{Dictionary, Packet, Rational, codec, encoder, format, frame};

use crate::exit::Exit;
use crate::hint::Hint;

/// libx264's constant rate factor: visually close to the source, which keeps fine textures alive.
const X264_CRF: &str = "20";
/// libx264's preset: B-frames and an edit list as in real clips, at a fraction of the default's
/// time.
const X264_PRESET: &str = "veryfast";
/// libx264's own parameters. Lookahead threads would not follow the context's count; without the
/// last one, loops for AVX round the importance of blocks otherwise than those for SSE2, so that
/// the same clip has other bytes on another processor.
const X264_PARAMS: &str = "threads=1:lookahead-threads=1:cpu-independent=1";
/// MPEG-4's bit rate in bits a second for each pixel of a frame: generous, since the fallback
/// compresses worse.
const MPEG4_BITS_PER_PIXEL_SECOND: usize = 12;

/// The shape of a video to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoSpec {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

/// Why a video could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// FFmpeg refused.
    #[error("encode {path}: {action}: {source}")]
    Ffmpeg {
        /// The video's file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What FFmpeg said.
        source: ffmpeg::Error,
    },
    /// Neither encoder is there.
    #[error("FFmpeg has neither libx264 nor an MPEG-4 encoder")]
    NoEncoder,
    /// 4:2:0 video needs even sides, and time needs frames.
    #[error("{width}x{height} at {fps} fps cannot be encoded: sides must be even and nothing zero")]
    Spec {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Frames per second.
        fps: u32,
    },
    /// A frame has the wrong number of bytes.
    #[error("frame {index}: {found} bytes, expected {expected} (RGB, 8 bits)")]
    FrameBytes {
        /// The frame, from 0.
        index: usize,
        /// Its bytes.
        found: usize,
        /// What the video's size asks for.
        expected: usize,
    },
}

impl Hint for EncodeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoEncoder => Some("install Debian's ffmpeg packages with `make setup`".into()),
            Self::Spec { .. } => Some("choose an even --size and at least 1 fps".into()),
            Self::Ffmpeg { .. } if self.exit() == Exit::TryAgain => {
                Some("free some space on that disk and run the same command again".into())
            }
            Self::Ffmpeg { .. } | Self::FrameBytes { .. } => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Ffmpeg {
                source: ffmpeg::Error::Other { errno: ENOSPC },
                ..
            } => Exit::TryAgain,
            _ => Exit::Failed,
        }
    }
}

/// Writes `frames` (each `height * width * 3` bytes of RGB, row after row) as an MP4 file at
/// `path`.
///
/// The file appears under its name while it grows; callers that publish write to a draft's path.
///
/// # Errors
/// When the spec cannot be encoded, a frame has the wrong size, or FFmpeg refuses.
pub fn write_mp4(
    path: &Path,
    spec: VideoSpec,
    frames: impl Iterator<Item = Vec<u8>>,
) -> Result<(), EncodeError> {
    write_with(path, spec, frames, X264_PARAMS)
}

/// [`write_mp4`] with these parameters of libx264.
fn write_with(
    path: &Path,
    spec: VideoSpec,
    frames: impl Iterator<Item = Vec<u8>>,
    x264_params: &str,
) -> Result<(), EncodeError> {
    let at = |action| {
        move |source| EncodeError::Ffmpeg {
            path: path.to_owned(),
            action,
            source,
        }
    };
    let VideoSpec { width, height, fps } = spec;
    if width == 0 || height == 0 || fps == 0 || width % 2 == 1 || height % 2 == 1 {
        return Err(EncodeError::Spec { width, height, fps });
    }
    ffmpeg::init().map_err(at("start FFmpeg"))?;
    // libx264 reports a page of statistics for every file otherwise.
    ffmpeg::log::set_level(ffmpeg::log::Level::Error);
    let mut output = format::output_as(path, "mp4").map_err(at("create"))?;
    let mut encoder = open_encoder(spec, x264_params, &at)?;
    let time_base = Rational(1, i32::try_from(fps).unwrap_or(i32::MAX));
    {
        let mut stream = output
            .add_stream(encoder.codec())
            .map_err(at("add the stream"))?;
        stream.set_parameters(&encoder);
        stream.set_time_base(time_base);
        stream.set_avg_frame_rate(time_base.invert());
    }
    // Bit-exact: no dates, no version of the muxer.
    output
        .write_header_with(Dictionary::from_iter([("fflags", "+bitexact")]))
        .map_err(at("write the header"))?;
    let mut muxer = Muxer {
        stream_time_base: output.stream(0).map_or(time_base, |s| s.time_base()),
        output,
        time_base,
    };

    let mut rgb = frame::Video::new(Pixel::RGB24, width, height);
    let flags = scaling::Flags::BITEXACT
        | scaling::Flags::ACCURATE_RND
        | scaling::Flags::FULL_CHR_H_INP
        | scaling::Flags::BILINEAR;
    let mut converter = scaling::Context::get(
        Pixel::RGB24,
        width,
        height,
        Pixel::YUV420P,
        width,
        height,
        flags,
    )
    .map_err(at("convert colours"))?;
    for (index, pixels) in frames.enumerate() {
        fill(&mut rgb, &pixels, index)?;
        let mut yuv = frame::Video::empty();
        converter
            .run(&rgb, &mut yuv)
            .map_err(at("convert colours"))?;
        yuv.set_pts(Some(i64::try_from(index).unwrap_or(i64::MAX)));
        encoder.send_frame(&yuv).map_err(at("encode a frame"))?;
        muxer.drain(&mut encoder).map_err(at("write a frame"))?;
    }
    encoder.send_eof().map_err(at("end the stream"))?;
    muxer.drain(&mut encoder).map_err(at("write a frame"))?;
    muxer
        .output
        .write_trailer()
        .map_err(at("write the trailer"))
}

/// Opens libx264, or MPEG-4 where it is missing, with one thread.
fn open_encoder<F>(
    spec: VideoSpec,
    x264_params: &str,
    at: &impl Fn(&'static str) -> F,
) -> Result<encoder::Video, EncodeError>
where
    F: FnOnce(ffmpeg::Error) -> EncodeError,
{
    let x264 = encoder::find_by_name("libx264");
    let codec = x264
        .or_else(|| encoder::find(codec::Id::MPEG4))
        .ok_or(EncodeError::NoEncoder)?;
    let mut context = codec::Context::new_with_codec(codec);
    context.set_threading(threading::Config::count(1));
    context.set_flags(codec::Flags::GLOBAL_HEADER | codec::Flags::BITEXACT);
    let fps = i32::try_from(spec.fps).unwrap_or(i32::MAX);
    let mut video = context.encoder().video().map_err(at("open the encoder"))?;
    video.set_width(spec.width);
    video.set_height(spec.height);
    video.set_format(Pixel::YUV420P);
    video.set_time_base(Rational(1, fps));
    video.set_frame_rate(Some(Rational(fps, 1)));
    let options = if x264.is_some() {
        Dictionary::from_iter([
            ("preset", X264_PRESET),
            ("crf", X264_CRF),
            ("x264-params", x264_params),
        ])
    } else {
        video
            .set_bit_rate(spec.width as usize * spec.height as usize * MPEG4_BITS_PER_PIXEL_SECOND);
        Dictionary::new()
    };
    video.open_with(options).map_err(at("open the encoder"))
}

/// Copies tightly packed pixels into a frame whose rows are padded.
fn fill(rgb: &mut frame::Video, pixels: &[u8], index: usize) -> Result<(), EncodeError> {
    let row_bytes = rgb.width() as usize * 3;
    let expected = row_bytes * rgb.height() as usize;
    if pixels.len() != expected {
        return Err(EncodeError::FrameBytes {
            index,
            found: pixels.len(),
            expected,
        });
    }
    let stride = rgb.stride(0);
    for (to, from) in rgb
        .data_mut(0)
        .chunks_mut(stride)
        .zip(pixels.chunks(row_bytes))
    {
        to[..row_bytes].copy_from_slice(from);
    }
    Ok(())
}

/// The file under construction.
struct Muxer {
    output: format::context::Output,
    time_base: Rational,
    stream_time_base: Rational,
}

impl Muxer {
    /// Writes every packet that the encoder has ready.
    fn drain(&mut self, encoder: &mut encoder::Video) -> Result<(), ffmpeg::Error> {
        let mut packet = Packet::empty();
        loop {
            match encoder.receive_packet(&mut packet) {
                Ok(()) => {
                    packet.set_stream(0);
                    packet.set_duration(1);
                    packet.rescale_ts(self.time_base, self.stream_time_base);
                    packet.write_interleaved(&mut self.output)?;
                }
                // Both only say that there is nothing now.
                Err(
                    ffmpeg::Error::Eof
                    | ffmpeg::Error::Other {
                        errno: ffmpeg::util::error::EAGAIN,
                    },
                ) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: VideoSpec = VideoSpec {
        width: 32,
        height: 16,
        fps: 10,
    };

    fn frames(count: usize) -> impl Iterator<Item = Vec<u8>> {
        (0..count).map(|t| {
            (0..32 * 16 * 3)
                .map(|i| u8::try_from((i * 7 + t * 13) % 251).unwrap())
                .collect()
        })
    }

    fn encode(count: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.tmp");
        write_mp4(&path, SPEC, frames(count)).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn the_same_frames_give_the_same_bytes_and_every_frame_is_there() {
        let bytes = encode(25);
        assert_eq!(bytes, encode(25));
        assert_eq!(&bytes[4..8], b"ftyp");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        std::fs::write(&path, bytes).unwrap();
        let mut input = format::input(&path).unwrap();
        let stream = input.streams().best(ffmpeg::media::Type::Video).unwrap();
        assert_eq!(stream.avg_frame_rate(), Rational(10, 1));
        assert_eq!(input.packets().count(), 25);
    }

    #[test]
    fn every_processor_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.tmp");
        let expected = encode(25);
        // What a processor without these instructions would choose.
        for instructions in ["0", "sse2", "ssse3", "avx"] {
            let params = format!("{X264_PARAMS}:asm={instructions}");
            write_with(&path, SPEC, frames(25), &params).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), expected, "{instructions}");
        }
    }

    #[test]
    fn frames_of_another_size_and_odd_sides_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        let wrong = write_mp4(&path, SPEC, [vec![0; 5]].into_iter()).unwrap_err();
        assert!(matches!(wrong, EncodeError::FrameBytes { found: 5, .. }));
        let uneven = VideoSpec { width: 31, ..SPEC };
        let error = write_mp4(&path, uneven, frames(1)).unwrap_err();
        assert!(matches!(error, EncodeError::Spec { width: 31, .. }));
        assert!(error.hint().is_some());
        let absent = folder.path().join("absent/clip.mp4");
        let refused = write_mp4(&absent, SPEC, frames(1)).unwrap_err();
        assert!(matches!(
            refused,
            EncodeError::Ffmpeg {
                action: "create",
                ..
            }
        ));
    }
}
