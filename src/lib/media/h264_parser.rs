//! What an H.264 packet says of its picture before it is decoded, by libavcodec's parser.

use std::ptr;

use ffmpeg_next as ff;
use ffmpeg_next::{Packet, Stream, ffi};

/// A packet's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Its picture order count.
    pub(super) number: i32,
    /// Whether decoding can begin here.
    pub(super) is_key: bool,
    /// Which field of a picture the packet holds first; none where it holds a whole frame.
    pub(super) field: Option<Field>,
}

/// Every other line of an interlaced picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The first line and every other after it.
    Top,
    /// The second line and every other after it.
    Bottom,
}

/// libavcodec's parser of H.264.
pub(super) struct Parser {
    parser: ptr::NonNull<ffi::AVCodecParserContext>,
    context: ff::codec::Context,
}

impl Parser {
    /// A parser for a stream whose packets hold whole pictures or fields. None where the stream is
    /// of another codec.
    pub(super) fn new(stream: &Stream<'_>) -> Option<Self> {
        if stream.parameters().id() != ff::codec::Id::H264 {
            return None;
        }
        let context = ff::codec::Context::from_parameters(stream.parameters()).ok()?;
        // SAFETY: libav gives a parser of its own, or null; packets of a container hold whole
        // pictures.
        unsafe {
            let id = ffi::AVCodecID::AV_CODEC_ID_H264 as i32;
            let mut parser = ptr::NonNull::new(ffi::av_parser_init(id))?;
            parser.as_mut().flags |= ffi::PARSER_FLAG_COMPLETE_FRAMES;
            Some(Self { parser, context })
        }
    }

    /// What the packet holds; none where it cannot be parsed.
    pub(super) fn read(&mut self, packet: &Packet) -> Option<Parsed> {
        let data = packet.data()?;
        let size = i32::try_from(data.len()).ok()?;
        // SAFETY: parser and context are alive and ours, the data belongs to the packet, and where
        // the parser leaves its output is not read.
        unsafe {
            let (mut out, mut out_size) = (ptr::null_mut(), 0);
            let parsed = ffi::av_parser_parse2(
                self.parser.as_ptr(),
                self.context.as_mut_ptr(),
                &raw mut out,
                &raw mut out_size,
                data.as_ptr(),
                size,
                ffi::AV_NOPTS_VALUE,
                ffi::AV_NOPTS_VALUE,
                0,
            );
            let parser = self.parser.as_ref();
            let field = match parser.picture_structure {
                ffi::AVPictureStructure::AV_PICTURE_STRUCTURE_TOP_FIELD => Some(Field::Top),
                ffi::AVPictureStructure::AV_PICTURE_STRUCTURE_BOTTOM_FIELD => Some(Field::Bottom),
                _ => None,
            };
            (parsed >= 0).then_some(Parsed {
                number: parser.output_picture_number,
                is_key: parser.key_frame == 1,
                field,
            })
        }
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // SAFETY: the parser is ours and closed once.
        unsafe { ffi::av_parser_close(self.parser.as_ptr()) };
    }
}
