//! A decoded picture as RGB of the wanted size: the planes are resized first (antialiased bilinear, what PIL's bilinear
//! filter does), then converted once, then turned as the display matrix says.
//!
//! Chroma planes are resized to the full output size, so nothing is upsampled in between. Pictures that are not 8-bit planar
//! YUV go through swscale to RGB at their own size first.

use std::fmt;
use std::str::FromStr;

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling;
use ffmpeg_next::util::color;
use ffmpeg_next::{ffi, frame};
use serde::{Deserialize, Serialize};

use super::MediaError;

/// Largest side of an output frame in pixels.
pub const MAX_SIDE: u32 = 4096;

/// The size that frames are stored at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum FrameSize {
    /// Exactly this size, whatever the aspect, as training resizes to.
    Exact {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The shorter side has this many pixels, the aspect is kept.
    Short(u32),
}

/// A text that names no frame size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no frame size: <width>x<height> or short:<pixels>, each side 1 to {MAX_SIDE}")]
pub struct UnknownFrameSize(String);

impl FromStr for FrameSize {
    type Err = UnknownFrameSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |part: &str| part.parse().ok().filter(|n| (1..=MAX_SIDE).contains(n));
        let size = match text.strip_prefix("short:") {
            Some(short) => side(short).map(Self::Short),
            None => text.split_once('x').and_then(|(w, h)| {
                Some(Self::Exact {
                    width: side(w)?,
                    height: side(h)?,
                })
            }),
        };
        size.ok_or_else(|| UnknownFrameSize(text.to_owned()))
    }
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact { width, height } => write!(f, "{width}x{height}"),
            Self::Short(side) => write!(f, "short:{side}"),
        }
    }
}

impl From<FrameSize> for String {
    fn from(size: FrameSize) -> Self {
        size.to_string()
    }
}

impl TryFrom<String> for FrameSize {
    type Error = UnknownFrameSize;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What to do with pixels that are not square. Only sizes that keep the aspect depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleAspect {
    /// Take them for square, as the seed does.
    #[default]
    Squash,
    /// Keep the aspect of the display.
    Honour,
}

/// How a picture is turned for display: an optional transposition, then flips of the coded picture's columns and rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Rows become columns.
    pub transpose: bool,
    /// The coded picture's columns are read from right to left.
    pub flip_columns: bool,
    /// The coded picture's rows are read from bottom to top.
    pub flip_rows: bool,
    /// The rotation in degrees clockwise: 0, 90, 180 or 270.
    pub degrees: i32,
}

impl Orientation {
    /// The orientation of a display matrix as libav keeps it: nine 32-bit integers in the machine's byte order. Angles that
    /// are no multiple of 90 degrees, and garbage, leave the picture as it is.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut matrix = [0; 9];
        if bytes.len() < 36 {
            return None;
        }
        for (value, bytes) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = i32::from_ne_bytes(bytes.try_into().ok()?);
        }
        Some(Self::from_matrix(&matrix))
    }

    /// The orientation of a display matrix, by the rules of the `ffmpeg` command line.
    #[must_use]
    pub fn from_matrix(matrix: &[i32; 9]) -> Self {
        let entry = |i: usize| f64::from(matrix[i]);
        let (a, b) = (entry(0).hypot(entry(3)), entry(1).hypot(entry(4)));
        if a == 0.0 || b == 0.0 {
            return Self::default();
        }
        let turned = (entry(1) / b).atan2(entry(0) / a).to_degrees().round();
        let theta = turned - 360.0 * (turned / 360.0 + 0.9 / 360.0).floor();
        let near = |degrees: f64| (theta - degrees).abs() < 1.0;
        let none = Self::default();
        if near(90.0) {
            Self {
                transpose: true,
                flip_rows: matrix[3] <= 0,
                degrees: 90,
                ..none
            }
        } else if near(180.0) {
            Self {
                flip_columns: matrix[0] < 0,
                flip_rows: matrix[4] < 0,
                degrees: 180,
                ..none
            }
        } else if near(270.0) {
            Self {
                transpose: true,
                flip_columns: true,
                flip_rows: matrix[3] < 0,
                degrees: 270,
            }
        } else if near(0.0) {
            Self {
                flip_rows: matrix[4] < 0,
                ..none
            }
        } else {
            none
        }
    }

    fn is_identity(self) -> bool {
        !(self.transpose || self.flip_columns || self.flip_rows)
    }

    /// Turns an RGB picture of `width` x `height`.
    fn apply(self, rgb: &[u8], width: usize, height: usize) -> Vec<u8> {
        let (out_width, out_height) = if self.transpose {
            (height, width)
        } else {
            (width, height)
        };
        let mut out = Vec::with_capacity(rgb.len());
        for y in 0..out_height {
            for x in 0..out_width {
                let (row, column) = if self.transpose { (x, y) } else { (y, x) };
                let row = if self.flip_rows {
                    height - 1 - row
                } else {
                    row
                };
                let column = if self.flip_columns {
                    width - 1 - column
                } else {
                    column
                };
                let at = (row * width + column) * 3;
                out.extend_from_slice(&rgb[at..at + 3]);
            }
        }
        out
    }
}

/// Turns pictures into RGB of one size. Keeps its buffers between pictures; the size of the first one counts where the
/// aspect is kept.
pub struct Scaler {
    size: FrameSize,
    aspect: SampleAspect,
    orientation: Orientation,
    output: Option<(u32, u32)>,
    resizer: Resizer,
    planes: [Vec<u8>; 3],
    sws: Option<scaling::Context>,
}

impl Scaler {
    /// A scaler for the pictures of one clip.
    #[must_use]
    pub fn new(size: FrameSize, aspect: SampleAspect, orientation: Orientation) -> Self {
        Self {
            size,
            aspect,
            orientation,
            output: None,
            resizer: Resizer::new(),
            planes: Default::default(),
            sws: None,
        }
    }

    /// Width and height of the frames, known after the first.
    #[must_use]
    pub fn output(&self) -> Option<(u32, u32)> {
        self.output
    }

    /// The picture as `height * width * 3` bytes of RGB, row by row.
    ///
    /// # Errors
    /// When the pixel format cannot be converted.
    pub fn rgb(&mut self, picture: &frame::Video) -> Result<Vec<u8>, MediaError> {
        let (width, height) = match self.output {
            Some(output) => output,
            None => output_size(self.size, self.aspect, self.orientation.transpose, picture),
        };
        self.output = Some((width, height));
        // The picture is resized as it is coded and turned when it is small.
        let (width, height) = if self.orientation.transpose {
            (height, width)
        } else {
            (width, height)
        };
        let rgb = match Yuv::of(picture) {
            Some(yuv) => self.convert_planes(picture, &yuv, width, height),
            None => self.convert_any(picture, width, height),
        }
        .map_err(|reason| MediaError::Scale {
            width: picture.width(),
            height: picture.height(),
            format: format!("{:?}", picture.format()).to_lowercase(),
            reason,
        })?;
        if self.orientation.is_identity() {
            return Ok(rgb);
        }
        Ok(self
            .orientation
            .apply(&rgb, width as usize, height as usize))
    }

    fn convert_planes(
        &mut self,
        picture: &frame::Video,
        yuv: &Yuv,
        width: u32,
        height: u32,
    ) -> Result<Vec<u8>, String> {
        for (i, out) in self.planes.iter_mut().enumerate() {
            let shift = |log2: u32| if i == 0 { 1.0 } else { f64::from(1 << log2) };
            let (share_x, share_y) = (shift(yuv.log2_chroma_width), shift(yuv.log2_chroma_height));
            let covered = (
                f64::from(picture.width()) / share_x,
                f64::from(picture.height()) / share_y,
            );
            out.resize(width as usize * height as usize, 0);
            let plane = Plane {
                bytes: picture.data(i),
                stride: picture.stride(i),
                size: covered,
            };
            resize::<U8>(&mut self.resizer, &plane, out, (width, height))?;
        }
        let [y, u, v] = &self.planes;
        Ok(Matrix::of(yuv.space, yuv.full_range).rgb(y, u, v))
    }

    fn convert_any(
        &mut self,
        picture: &frame::Video,
        width: u32,
        height: u32,
    ) -> Result<Vec<u8>, String> {
        let (source_width, source_height) = (picture.width(), picture.height());
        let flags = scaling::Flags::BILINEAR
            | scaling::Flags::ACCURATE_RND
            | scaling::Flags::FULL_CHR_H_INT;
        let same = self.sws.as_ref().is_some_and(|sws| {
            let input = sws.input();
            (input.format, input.width, input.height)
                == (picture.format(), source_width, source_height)
        });
        if !same {
            let sws = scaling::Context::get(
                picture.format(),
                source_width,
                source_height,
                Pixel::RGB24,
                source_width,
                source_height,
                flags,
            );
            self.sws = Some(sws.map_err(|e| e.to_string())?);
        }
        let sws = self.sws.as_mut().ok_or("no converter")?;
        set_matrix(sws, picture);
        let mut full = frame::Video::empty();
        sws.run(picture, &mut full).map_err(|e| e.to_string())?;
        let mut rgb = vec![0; width as usize * height as usize * 3];
        let size = (f64::from(source_width), f64::from(source_height));
        let plane = Plane {
            bytes: full.data(0),
            stride: full.stride(0),
            size,
        };
        resize::<U8x3>(&mut self.resizer, &plane, &mut rgb, (width, height))?;
        Ok(rgb)
    }
}

/// The size of the output for a picture, as displayed.
fn output_size(
    size: FrameSize,
    aspect: SampleAspect,
    transpose: bool,
    picture: &frame::Video,
) -> (u32, u32) {
    let ratio = picture.aspect_ratio();
    let ratio = match aspect {
        SampleAspect::Honour if ratio.numerator() > 0 && ratio.denominator() > 0 => {
            f64::from(ratio)
        }
        _ => 1.0,
    };
    let (width, height) = (
        f64::from(picture.width()) * ratio,
        f64::from(picture.height()),
    );
    if transpose {
        output_side(size, height, width)
    } else {
        output_side(size, width, height)
    }
}

/// Width and height in pixels of the output for a picture that is shown at `width` x `height`.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to 1..=MAX_SIDE before.
pub fn output_side(size: FrameSize, width: f64, height: f64) -> (u32, u32) {
    match size {
        FrameSize::Exact { width, height } => (width, height),
        FrameSize::Short(short) => {
            let scale = f64::from(short) / width.min(height);
            let side =
                |length: f64| (length * scale).round().clamp(1.0, f64::from(MAX_SIDE)) as u32;
            (side(width), side(height))
        }
    }
}

/// An RGB picture in another size, with the same filter.
///
/// # Errors
/// When `rgb` is not `width * height * 3` bytes.
pub fn resize_rgb(rgb: &[u8], size: (u32, u32), wanted: (u32, u32)) -> Result<Vec<u8>, String> {
    let mut out = vec![0; wanted.0 as usize * wanted.1 as usize * 3];
    let plane = Plane {
        bytes: rgb,
        stride: size.0 as usize * 3,
        size: (f64::from(size.0), f64::from(size.1)),
    };
    resize::<U8x3>(&mut Resizer::new(), &plane, &mut out, wanted)?;
    Ok(out)
}

/// Bytes of one plane with its stride in bytes and the size, in pixels, that the picture covers (a fraction where a chroma
/// plane has a sample that is only half inside).
struct Plane<'a> {
    bytes: &'a [u8],
    stride: usize,
    size: (f64, f64),
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Sizes of pictures, at most MAX_PIXELS.
fn resize<P: PixelTrait>(
    resizer: &mut Resizer,
    plane: &Plane<'_>,
    out: &mut [u8],
    size: (u32, u32),
) -> Result<(), String> {
    let (width, height) = (plane.size.0.ceil() as u32, plane.size.1.ceil() as u32);
    let row = plane.stride / P::size();
    let rows = plane
        .bytes
        .get(..row * P::size() * height as usize)
        .ok_or("the picture's memory is smaller than its size")?;
    if row * P::size() != plane.stride {
        // Rows that do not start at a pixel (packed RGB with padding) are made contiguous.
        let tight: Vec<u8> = plane
            .bytes
            .chunks(plane.stride)
            .take(height as usize)
            .flat_map(|r| &r[..width as usize * P::size()])
            .copied()
            .collect();
        let plane = Plane {
            bytes: &tight,
            stride: width as usize * P::size(),
            size: plane.size,
        };
        return resize::<P>(resizer, &plane, out, size);
    }
    let row = u32::try_from(row).map_err(|e| e.to_string())?;
    let source = TypedImageRef::<P>::from_buffer(row, height, rows).map_err(|e| e.to_string())?;
    let source = TypedCroppedImage::new(source, 0, 0, width, height).map_err(|e| e.to_string())?;
    let mut target =
        TypedImage::<P>::from_buffer(size.0, size.1, out).map_err(|e| e.to_string())?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(0.0, 0.0, plane.size.0, plane.size.1)
        .use_alpha(false);
    resizer
        .resize_typed(&source, &mut target, &options)
        .map_err(|e| e.to_string())
}

/// What is needed to convert an 8-bit planar YUV picture.
struct Yuv {
    log2_chroma_width: u32,
    log2_chroma_height: u32,
    space: color::Space,
    full_range: bool,
}

impl Yuv {
    /// `None` where the picture is of any other format.
    fn of(picture: &frame::Video) -> Option<Self> {
        let (log2_chroma_width, log2_chroma_height, full) = match picture.format() {
            Pixel::YUV420P => (1, 1, false),
            Pixel::YUVJ420P => (1, 1, true),
            Pixel::YUV422P => (1, 0, false),
            Pixel::YUVJ422P => (1, 0, true),
            Pixel::YUV444P => (0, 0, false),
            Pixel::YUVJ444P => (0, 0, true),
            Pixel::YUV440P => (0, 1, false),
            Pixel::YUVJ440P => (0, 1, true),
            Pixel::YUV411P => (2, 0, false),
            Pixel::YUV410P => (2, 2, false),
            _ => return None,
        };
        // SAFETY: reads the strides of a picture that is alive. Pictures stored upside down have negative ones.
        let strides = unsafe { (*picture.as_ptr()).linesize };
        if strides[..3].iter().any(|&stride| stride <= 0) {
            return None;
        }
        let full_range = full || picture.color_range() == color::Range::JPEG;
        Some(Self {
            log2_chroma_width,
            log2_chroma_height,
            space: picture.color_space(),
            full_range,
        })
    }
}

/// Bits after the point of the fixed-point matrix.
const MATRIX_BITS: u32 = 16;

/// YUV to RGB in fixed point.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    luma_offset: i32,
    luma: i32,
    red_v: i32,
    green_u: i32,
    green_v: i32,
    blue_u: i32,
}

impl Matrix {
    /// The matrix of a colour space (unspecified means BT.601, as in the `ffmpeg` command line) from its luma weights:
    /// ITU-R BT.601, BT.709, BT.2020, SMPTE 240M, FCC.
    #[allow(clippy::cast_possible_truncation)] // Coefficients below 4, times 2^16.
    fn of(space: color::Space, full_range: bool) -> Self {
        let (kr, kb) = match space {
            color::Space::BT709 => (0.2126, 0.0722),
            color::Space::BT2020NCL | color::Space::BT2020CL => (0.2627, 0.0593),
            color::Space::SMPTE240M => (0.212, 0.087),
            color::Space::FCC => (0.30, 0.11),
            _ => (0.299, 0.114),
        };
        let kg = 1.0 - kr - kb;
        let (luma, chroma) = if full_range {
            (1.0, 1.0)
        } else {
            (255.0 / 219.0, 255.0 / 224.0)
        };
        let fixed = |x: f64| (x * f64::from(1 << MATRIX_BITS)).round() as i32;
        Self {
            luma_offset: if full_range { 0 } else { 16 },
            luma: fixed(luma),
            red_v: fixed(chroma * 2.0 * (1.0 - kr)),
            green_u: fixed(-chroma * 2.0 * (1.0 - kb) * kb / kg),
            green_v: fixed(-chroma * 2.0 * (1.0 - kr) * kr / kg),
            blue_u: fixed(chroma * 2.0 * (1.0 - kb)),
        }
    }

    /// Three planes of one size as interleaved RGB.
    ///
    /// libswscale, by which all tools convert full frames, rounds each product of its sum down: half a level on average for
    /// luma, and for chroma where it is not zero. The same half levels are taken off here, so that frames do not differ from
    /// those tools' by a constant.
    fn rgb(self, y: &[u8], u: &[u8], v: &[u8]) -> Vec<u8> {
        let mut rgb = vec![0; y.len() * 3];
        let half = 1 << (MATRIX_BITS - 1);
        let byte = |x: i32| u8::try_from((x >> MATRIX_BITS).clamp(0, 255)).unwrap_or(u8::MAX);
        for (((out, &y), &u), &v) in rgb.chunks_exact_mut(3).zip(y).zip(u).zip(v) {
            // Rounding adds half a level, libswscale's rounding down takes it off again.
            let y = (i32::from(y) - self.luma_offset) * self.luma;
            let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
            let (off_u, off_v) = (half * i32::from(u != 0), half * i32::from(v != 0));
            out[0] = byte(y + v * self.red_v - off_v);
            out[1] = byte(y + u * self.green_u + v * self.green_v - off_u - off_v);
            out[2] = byte(y + u * self.blue_u - off_u);
        }
        rgb
    }
}

/// Tells swscale the picture's matrix and range.
fn set_matrix(sws: &mut scaling::Context, picture: &frame::Video) {
    let space = match picture.color_space() {
        color::Space::BT709 => ffi::SWS_CS_ITU709,
        color::Space::BT2020NCL | color::Space::BT2020CL => ffi::SWS_CS_BT2020,
        color::Space::SMPTE240M => ffi::SWS_CS_SMPTE240M,
        color::Space::FCC => ffi::SWS_CS_FCC,
        _ => ffi::SWS_CS_DEFAULT,
    };
    let full = i32::from(picture.color_range() == color::Range::JPEG);
    // SAFETY: the context is alive and the tables are libav's own constants. It says -1 for formats that have no matrix.
    unsafe {
        let table = ffi::sws_getCoefficients(space);
        ffi::sws_setColorspaceDetails(sws.as_mut_ptr(), table, full, table, 1, 0, 1 << 16, 1 << 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_matrices_turn_as_the_command_line_turns() {
        let fixed = |matrix: [i32; 9]| Orientation::from_matrix(&matrix.map(|x| x * 65_536));
        let turned = |o: Orientation| (o.degrees, o.transpose, o.flip_columns, o.flip_rows);
        assert_eq!(
            turned(fixed([1, 0, 0, 0, 1, 0, 0, 0, 16_384])),
            (0, false, false, false)
        );
        assert_eq!(
            turned(fixed([0, 1, 0, -1, 0, 0, 0, 0, 16_384])),
            (90, true, false, true)
        );
        assert_eq!(
            turned(fixed([-1, 0, 0, 0, -1, 0, 0, 0, 16_384])),
            (180, false, true, true)
        );
        assert_eq!(
            turned(fixed([0, -1, 0, 1, 0, 0, 0, 0, 16_384])),
            (270, true, true, false)
        );
        assert_eq!(
            turned(fixed([1, 0, 0, 0, -1, 0, 0, 0, 16_384])),
            (0, false, false, true)
        );
        assert_eq!(Orientation::from_matrix(&[i32::MIN; 9]).degrees % 90, 0);
        assert_eq!(Orientation::from_matrix(&[0; 9]), Orientation::default());
        assert_eq!(Orientation::from_bytes(&[0; 35]), None);
    }

    #[test]
    fn turning_moves_the_first_pixel_where_it_is_shown() {
        // Two columns, one row: red, green.
        let rgb = [255, 0, 0, 0, 255, 0];
        let clockwise = Orientation {
            transpose: true,
            flip_rows: true,
            degrees: 90,
            ..Orientation::default()
        };
        assert_eq!(
            clockwise.apply(&rgb, 2, 1),
            rgb,
            "the left end comes to the top"
        );
        let counter = Orientation {
            transpose: true,
            flip_columns: true,
            degrees: 270,
            ..Orientation::default()
        };
        assert_eq!(counter.apply(&rgb, 2, 1), [0, 255, 0, 255, 0, 0]);
    }

    #[test]
    fn black_white_and_primaries_keep_their_values_to_a_level_in_every_space_and_range() {
        let within_a_level = |found: Vec<u8>, expected: &[u8]| {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 1)
        };
        for space in [
            color::Space::BT709,
            color::Space::BT2020NCL,
            color::Space::Unspecified,
        ] {
            let limited = Matrix::of(space, false);
            assert!(within_a_level(
                limited.rgb(&[16, 235], &[128; 2], &[128; 2]),
                &[0, 0, 0, 255, 255, 255]
            ));
            assert!(within_a_level(
                limited.rgb(&[0, 255], &[128; 2], &[128; 2]),
                &[0, 0, 0, 255, 255, 255]
            ));
            let full = Matrix::of(space, true);
            assert!(within_a_level(
                full.rgb(&[0, 77, 255], &[128; 3], &[128; 3]),
                &[0, 0, 0, 77, 77, 77, 255, 255, 255]
            ));
        }
        // BT.601 red is 81, 90, 240; BT.709's is 63, 102, 240.
        let near = |rgb: Vec<u8>| rgb[0] >= 253 && rgb[1] <= 2 && rgb[2] <= 2;
        assert!(near(Matrix::of(color::Space::SMPTE170M, false).rgb(
            &[81],
            &[90],
            &[240]
        )));
        assert!(near(Matrix::of(color::Space::BT709, false).rgb(
            &[63],
            &[102],
            &[240]
        )));
    }

    #[test]
    fn sizes_survive_their_text_and_keep_the_aspect_where_asked() {
        for text in ["200x200", "short:240", "1x4096"] {
            assert_eq!(text.parse::<FrameSize>().unwrap().to_string(), text);
        }
        for text in ["0x5", "5", "short:0", "4097x1", "x", "short:-1", "2x2x2"] {
            assert!(text.parse::<FrameSize>().is_err(), "{text}");
        }
        assert_eq!(
            output_side(FrameSize::Short(240), 1280.0, 720.0),
            (427, 240)
        );
        assert_eq!(
            output_side(FrameSize::Short(240), 720.0, 1280.0),
            (240, 427)
        );
        assert_eq!(
            output_side(
                FrameSize::Exact {
                    width: 9,
                    height: 7
                },
                720.0,
                1280.0
            ),
            (9, 7)
        );
    }
}
