//! Opening a file: the container and its first video stream.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use ffmpeg_next as ff;
use ffmpeg_next::codec::packet::side_data::Type as SideData;
use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::{Dictionary, Packet, Stream};

use super::facts::{is_of_pictures, positive};
use super::limits::Deadline;
use super::{MediaError, content};

/// Containers that are opened: those of people's videos, then those of recorders, cameras and old
/// programs. Playlists and other formats that open further files by name are left out.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpegts,mpeg,mpegvideo,flv,live_flv,h264,hevc,m4v,h263,\
av1,obu,ivf,asf,ogg,gif,apng,yuv4mpegpipe,rm,mjpeg,nut,mxf,wtv,dv,vc1,swf,rawvideo,mp3,aac,flac,wav,png_pipe,jpeg_pipe,\
dhav,mpjpeg,mxg,ifv,lvf,gxf,cine,smjpeg,pva,xmv,vc1test,pmp,4xm,film_cpk,dfa,dxa,mv,cavsvideo,dirac,dnxhd,nuv,nsv,flic";

/// Packets that are read to see whether a stream holds more than one picture.
const MAX_PICTURE_PACKETS: usize = 1000;

/// Opens a container and reads its header.
pub(super) fn open(path: &Path, deadline: Deadline) -> Result<Input, MediaError> {
    // The prefix keeps libav from taking a colon in a name for a protocol. On unix it takes names
    // of any bytes.
    let name = [b"file:", path.as_os_str().as_bytes()].concat();
    let name = CString::new(name).map_err(|_| MediaError::Name)?;
    let mut options = Dictionary::new();
    // Nothing in a file may make us open a network address or, through a playlist, another file.
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", FORMATS);
    let interrupt = ff::util::interrupt::new(Box::new(move || deadline.is_over()));
    // SAFETY: the context is libav's own, which frees it when it cannot open it; the options are
    // owned again before they are freed; the guard that goes with the context keeps the interrupt's
    // closure alive.
    let (result, input) = unsafe {
        let mut context = ffi::avformat_alloc_context();
        if context.is_null() {
            return Err(MediaError::Memory);
        }
        (*context).interrupt_callback = interrupt.interrupt;
        let mut options = options.disown();
        let result = ffi::avformat_open_input(
            &raw mut context,
            name.as_ptr(),
            ptr::null(),
            &raw mut options,
        );
        drop(Dictionary::own(options));
        let opened = (result >= 0).then(|| Input::wrap_with_interrupt(context, interrupt.guard));
        (result, opened)
    };
    input.ok_or_else(|| match refused(result, deadline) {
        MediaError::Open(reason) => {
            MediaError::Open(content::describe(path, FORMATS).unwrap_or(reason))
        }
        error => error,
    })
}

/// Looks into the streams for what the header does not tell, as the `ffmpeg` command line does:
/// packets are read ahead, the first frames decoded.
pub(super) fn look_ahead(input: &mut Input, deadline: Deadline) -> Result<(), MediaError> {
    // SAFETY: the context is open, and libav takes no options for none.
    let result = unsafe { ffi::avformat_find_stream_info(input.as_mut_ptr(), ptr::null_mut()) };
    if result < 0 {
        return Err(refused(result, deadline));
    }
    Ok(())
}

fn refused(result: i32, deadline: Deadline) -> MediaError {
    let error = ff::Error::from(result);
    match deadline.check() {
        Err(e) => e,
        Ok(()) => MediaError::refused(error).unwrap_or_else(|| MediaError::Open(error.to_string())),
    }
}

/// The first video stream that is no cover picture: neither marked as one nor, where there is
/// another stream, one of which the header says that it is a single picture.
pub(super) fn video_stream(input: &Input) -> Result<Stream<'_>, MediaError> {
    let is = |stream: &Stream<'_>, medium| stream.parameters().medium() == medium;
    let audio = input.streams().any(|s| is(&s, ff::media::Type::Audio));
    let is_video = |s: &Stream<'_>| {
        is(s, ff::media::Type::Video) && !s.disposition().contains(Disposition::ATTACHED_PIC)
    };
    let is_cover = |s: &Stream<'_>| is_of_pictures(s) && s.frames() == 1;
    let mut videos = input.streams().filter(is_video);
    let first = videos.next().ok_or(MediaError::NoVideo { audio })?;
    if is_cover(&first) {
        return Ok(videos.find(|s| !is_cover(s)).unwrap_or(first));
    }
    Ok(first)
}

/// Whether a stream that comes before other videos may be a cover picture by its codec, while the
/// header does not say how many pictures it has. Gives the stream to take if it is one.
pub(super) fn instead_of_cover(input: &Input, stream: usize) -> Option<usize> {
    let first = input.stream(stream)?;
    if !is_of_pictures(&first) || first.frames() > 0 {
        return None;
    }
    let is_other = |s: &Stream<'_>| {
        s.parameters().medium() == ff::media::Type::Video
            && !s.disposition().contains(Disposition::ATTACHED_PIC)
            && !is_of_pictures(s)
    };
    input.streams().find(is_other).map(|s| s.index())
}

/// Whether a stream has a second packet, as far as the file's beginning tells. Reads packets, so it
/// is for an input of its own.
pub(super) fn moves(mut input: Input, stream: usize) -> bool {
    let mut packet = Packet::empty();
    let reads = (0..MAX_PICTURE_PACKETS)
        .map_while(|_| packet.read(&mut input).ok().map(|()| packet.stream()));
    reads.filter(|&of| of == stream).take(2).count() == 2
}

/// Whether the header may tell all that [`look_ahead`] would find: MP4 gives H.264's parameter
/// sets, times and rate. Only how many frames the decoder must hold back is then still to be seen.
pub(super) fn header_may_suffice(input: &Input) -> bool {
    let Ok(stream) = video_stream(input) else {
        return false;
    };
    let parameters = stream.parameters();
    // SAFETY: reads a field of a stream that is open.
    let has_parameter_sets = unsafe { (*parameters.as_ptr()).extradata_size > 0 };
    input.format().name().starts_with("mov")
        && parameters.id() == ff::codec::Id::H264
        && has_parameter_sets
        && positive(stream.avg_frame_rate()).is_some()
}

/// Whether the container keeps H.264 without times of display.
pub(super) fn lacks_times(input: &Input, stream: &Stream<'_>) -> bool {
    stream.parameters().id() == ff::codec::Id::H264
        && matches!(input.format().name(), "avi" | "h264")
}

/// Keeps libav from reading the packets of all streams but one.
pub(super) fn discard_others(input: &mut Input, stream: usize) {
    for mut other in input.streams_mut() {
        if other.index() != stream {
            // SAFETY: the stream belongs to the open input, and `discard` is a field that callers
            // may set.
            unsafe { (*other.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL };
        }
    }
}

/// Whether the container says that the stream is encrypted.
pub(super) fn is_encrypted(stream: &Stream<'_>) -> bool {
    // SAFETY: reads the codec tag of a stream that is open.
    let tag = unsafe { (*stream.parameters().as_ptr()).codec_tag };
    tag == u32::from_le_bytes(*b"encv")
        || stream.side_data().any(|s| {
            matches!(
                s.kind(),
                SideData::EncryptionInitInfo | SideData::EncryptionInfo
            )
        })
}
