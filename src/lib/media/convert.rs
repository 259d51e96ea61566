//! Pictures in other pixel formats, by swscale.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling;
use ffmpeg_next::util::color;
use ffmpeg_next::{ffi, frame};

/// The picture in another pixel format, of the same size. Keeps the converter between pictures.
pub(super) fn convert(
    converter: &mut Option<scaling::Context>,
    picture: &frame::Video,
    format: Pixel,
) -> Result<frame::Video, String> {
    let (width, height) = (picture.width(), picture.height());
    let flags =
        scaling::Flags::BILINEAR | scaling::Flags::ACCURATE_RND | scaling::Flags::FULL_CHR_H_INT;
    let fits = |sws: &scaling::Context| {
        let input = sws.input();
        (input.format, input.width, input.height) == (picture.format(), width, height)
    };
    let mut sws = match converter.take().filter(fits) {
        Some(sws) => sws,
        None => scaling::Context::get(
            picture.format(),
            width,
            height,
            format,
            width,
            height,
            flags,
        )
        .map_err(|e| e.to_string())?,
    };
    set_matrix(&mut sws, picture);
    let mut converted = frame::Video::empty();
    sws.run(picture, &mut converted)
        .map_err(|e| e.to_string())?;
    *converter = Some(sws);
    Ok(converted)
}

/// Whether the picture is RGB with fewer than 8 bits for a colour, and no palette.
pub(super) fn is_narrow_rgb(picture: &frame::Video) -> bool {
    picture.format().descriptor().is_some_and(|format| {
        // SAFETY: reads a constant of libav.
        let format = unsafe { &*format.as_ptr() };
        let is = |flag: i32| format.flags & u64::from(flag.unsigned_abs()) != 0;
        is(ffi::AV_PIX_FMT_FLAG_RGB) && format.comp[0].depth < 8
    })
}

/// Whether the picture has nothing but brightness, and perhaps opacity, in levels.
fn is_grey(picture: &frame::Video) -> bool {
    picture.format().descriptor().is_some_and(|format| {
        // SAFETY: reads a constant of libav.
        let format = unsafe { &*format.as_ptr() };
        let is = |flag: i32| format.flags & u64::from(flag.unsigned_abs()) != 0;
        format.nb_components <= 2
            && format.comp[0].depth >= 8
            && !is(ffi::AV_PIX_FMT_FLAG_RGB)
            && !is(ffi::AV_PIX_FMT_FLAG_PAL)
    })
}

/// Tells swscale the picture's matrix and range. Grey without a stated one has the full range, as
/// in the `ffmpeg` command line: cameras for heat and microscopes write such.
fn set_matrix(sws: &mut scaling::Context, picture: &frame::Video) {
    let space = match picture.color_space() {
        color::Space::BT709 => ffi::SWS_CS_ITU709,
        color::Space::BT2020NCL | color::Space::BT2020CL => ffi::SWS_CS_BT2020,
        color::Space::SMPTE240M => ffi::SWS_CS_SMPTE240M,
        color::Space::FCC => ffi::SWS_CS_FCC,
        _ => ffi::SWS_CS_DEFAULT,
    };
    let full = match picture.color_range() {
        color::Range::JPEG => true,
        color::Range::MPEG => false,
        color::Range::Unspecified => is_grey(picture),
    };
    let full = i32::from(full);
    // SAFETY: the context is alive and the tables are libav's own constants. It says -1 for formats
    // that have no matrix.
    unsafe {
        let table = ffi::sws_getCoefficients(space);
        ffi::sws_setColorspaceDetails(sws.as_mut_ptr(), table, full, table, 1, 0, 1 << 16, 1 << 16);
    }
}
