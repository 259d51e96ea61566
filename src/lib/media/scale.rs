//! A decoded picture as RGB of the wanted size: the planes are resized first (antialiased
//! bilinear), then converted once, and each pixel is put where the display matrix says.
//!
//! Pictures that are not planar YUV of 8 to 16 bits go through swscale to planar RGB at their own
//! size first.

// What is compiled for AVX2 must become part of the function that is.
#![allow(clippy::inline_always)]

use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::software::scaling;
use ffmpeg_next::util::color;

use super::MediaError;
use super::axis::Axis;
use super::colour::{Matrix, Rounding};
use super::convert::{convert, is_narrow_rgb};
use super::frame_size::{FrameSize, SampleAspect, output_side};
use super::orientation::Orientation;
use super::resize::{Buffers, Lines, Plane, resize};

/// Turns pictures into RGB of one size. Keeps its buffers between pictures; the size of the first
/// one counts where the aspect is kept.
pub struct Scaler {
    size: FrameSize,
    aspect: SampleAspect,
    orientation: Orientation,
    output: Option<(u32, u32)>,
    axes: Option<Axes>,
    buffers: Buffers,
    planes: [Vec<u16>; 3],
    sws: Option<scaling::Context>,
    /// Widens pixels of few bits.
    widen: Option<scaling::Context>,
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
            axes: None,
            buffers: Buffers::default(),
            planes: Default::default(),
            sws: None,
            widen: None,
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
        let fail = |reason| MediaError::Scale {
            width: picture.width(),
            height: picture.height(),
            format: format!("{:?}", picture.format()).to_lowercase(),
            reason,
        };
        let (width, height) = match self.output {
            Some(output) => output,
            None => output_size(self.size, self.aspect, self.orientation.transpose, picture),
        };
        self.output = Some((width, height));
        // The picture is resized as it is coded and turned when its pixels are written.
        let coded = if self.orientation.transpose {
            (height as usize, width as usize)
        } else {
            (width as usize, height as usize)
        };
        if let Some(layout) = Layout::of(picture) {
            return self.convert(picture, layout, coded).map_err(fail);
        }
        let planar = self.planar(picture).map_err(fail)?;
        self.convert(&planar, Layout::RGB, coded).map_err(fail)
    }

    fn convert(
        &mut self,
        picture: &frame::Video,
        layout: Layout,
        size: (usize, usize),
    ) -> Result<Vec<u8>, String> {
        let pixels = (picture.width() as usize, picture.height() as usize);
        let fits = |axes: &Axes| (axes.pixels, axes.shares) == (pixels, layout.shares);
        let axes = match self.axes.take().filter(fits) {
            Some(axes) => axes,
            None => Axes::new(pixels, layout.shares, size),
        };
        // What are lines of the displayed picture.
        let lines = if self.orientation.transpose {
            Lines::Columns
        } else {
            Lines::Rows
        };
        for (i, out) in self.planes.iter_mut().enumerate() {
            let (share, along) = if i == 0 {
                ((1, 1), &axes.full)
            } else {
                (layout.shares, &axes.shared)
            };
            let plane = Plane {
                bytes: picture.data(i),
                stride: picture.stride(i),
                width: pixels.0.div_ceil(share.0),
                depth: layout.depth,
            };
            if plane.bytes.len() < plane.stride * pixels.1.div_ceil(share.1) {
                return Err("the picture's memory is smaller than its size".to_owned());
            }
            let axes = (&along.0, &along.1);
            resize(&plane, axes, lines, &mut self.buffers, out);
        }
        self.axes = Some(axes);
        let Orientation {
            flip_columns,
            flip_rows,
            ..
        } = self.orientation;
        let (length, mirrored) = match lines {
            Lines::Rows => (size.0, [flip_rows, flip_columns]),
            Lines::Columns => (size.1, [flip_columns, flip_rows]),
        };
        Ok(paint(&self.planes, layout.matrix, length, mirrored))
    }

    /// The picture as planes of green, blue and red, of the same size. Pixels of 16 bits and fewer
    /// are widened first: on its way to planes swscale would leave the new bits zero, and white
    /// darker than white.
    fn planar(&mut self, picture: &frame::Video) -> Result<frame::Video, String> {
        if is_narrow_rgb(picture) {
            let wide = convert(&mut self.widen, picture, Pixel::RGB24)?;
            return convert(&mut self.sws, &wide, Pixel::GBRP);
        }
        convert(&mut self.sws, picture, Pixel::GBRP)
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

/// The axes, columns and rows, of the planes of pictures of one size: of the first plane and of the
/// other two.
struct Axes {
    pixels: (usize, usize),
    shares: (usize, usize),
    full: (Axis, Axis),
    shared: (Axis, Axis),
}

impl Axes {
    fn new(pixels: (usize, usize), shares: (usize, usize), size: (usize, usize)) -> Self {
        let axes = |shares: (usize, usize)| {
            (
                Axis::new(pixels.0, shares.0, size.0),
                Axis::new(pixels.1, shares.1, size.1),
            )
        };
        Self {
            pixels,
            shares,
            full: axes((1, 1)),
            shared: axes(shares),
        }
    }
}

/// Three planes, each in lines of `length` samples, as interleaved RGB; `mirrored` says whether
/// lines come from last to first, and the pixels of a line.
fn paint(planes: &[Vec<u16>; 3], matrix: Matrix, length: usize, mirrored: [bool; 2]) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { paint_avx2(planes, matrix, length, mirrored) };
    }
    paint_anywhere(planes, matrix, length, mirrored)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn paint_avx2(
    planes: &[Vec<u16>; 3],
    matrix: Matrix,
    length: usize,
    mirrored: [bool; 2],
) -> Vec<u8> {
    paint_anywhere(planes, matrix, length, mirrored)
}

#[inline(always)]
fn paint_anywhere(
    planes: &[Vec<u16>; 3],
    matrix: Matrix,
    length: usize,
    [last_line_first, last_pixel_first]: [bool; 2],
) -> Vec<u8> {
    let count = planes[0].len() / length;
    let mut rgb = vec![0; count * length * 3];
    let mut levels = [vec![0; length], vec![0; length], vec![0; length]];
    for (i, line) in rgb.chunks_exact_mut(length * 3).enumerate() {
        let number = if last_line_first { count - 1 - i } else { i };
        let from = number * length;
        let samples = planes.each_ref().map(|plane| &plane[from..from + length]);
        for (channel, levels) in levels.iter_mut().enumerate() {
            matrix.levels(channel, samples, levels);
            if last_pixel_first {
                levels.reverse();
            }
        }
        let [red, green, blue] = &levels;
        for (pixel, ((&red, &green), &blue)) in line
            .chunks_exact_mut(3)
            .zip(red.iter().zip(green).zip(blue))
        {
            pixel.copy_from_slice(&[red, green, blue]);
        }
    }
    rgb
}

/// What is needed to convert a planar picture.
#[derive(Clone, Copy)]
struct Layout {
    /// Columns and rows of pixels that a sample of the second and third plane covers.
    shares: (usize, usize),
    depth: u32,
    matrix: Matrix,
}

impl Layout {
    /// Planes of green, blue and red.
    const RGB: Self = Self {
        shares: (1, 1),
        depth: 8,
        matrix: Matrix::GREEN_BLUE_RED,
    };

    /// `None` where the picture is of any other format. Samples of two bytes are read in the
    /// machine's order, so on a big-endian one those of little-endian formats go the other way.
    fn of(picture: &frame::Video) -> Option<Self> {
        let (shares, depth, full) = match picture.format() {
            Pixel::YUV420P => ((2, 2), 8, false),
            Pixel::YUVJ420P => ((2, 2), 8, true),
            Pixel::YUV422P => ((2, 1), 8, false),
            Pixel::YUVJ422P => ((2, 1), 8, true),
            Pixel::YUV444P => ((1, 1), 8, false),
            Pixel::YUVJ444P => ((1, 1), 8, true),
            Pixel::YUV440P => ((1, 2), 8, false),
            Pixel::YUVJ440P => ((1, 2), 8, true),
            Pixel::YUV411P => ((4, 1), 8, false),
            Pixel::YUV410P => ((4, 4), 8, false),
            Pixel::YUV420P10LE => ((2, 2), 10, false),
            Pixel::YUV422P10LE => ((2, 1), 10, false),
            Pixel::YUV444P10LE => ((1, 1), 10, false),
            Pixel::YUV420P12LE => ((2, 2), 12, false),
            Pixel::YUV422P12LE => ((2, 1), 12, false),
            Pixel::YUV444P12LE => ((1, 1), 12, false),
            _ => return None,
        };
        if depth > 8 && cfg!(target_endian = "big") {
            return None;
        }
        // SAFETY: reads the strides of a picture that is alive. Pictures stored upside down have
        // negative ones.
        let strides = unsafe { (*picture.as_ptr()).linesize };
        if strides[..3].iter().any(|&stride| stride <= 0) {
            return None;
        }
        let full_range = full || picture.color_range() == color::Range::JPEG;
        // The pictures that libswscale has a short way for, which nearly all are.
        let short = depth == 8 && shares == (2, 2) && picture.height().is_multiple_of(2);
        let rounding = if short {
            Rounding::Down
        } else {
            Rounding::Nearest
        };
        Some(Self {
            shares,
            depth,
            matrix: Matrix::of(picture.color_space(), full_range, rounding),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pixels of three columns and two rows as they are shown, by the numbers of the coded
    /// ones.
    fn shown(lines: Lines, mirrored: [bool; 2]) -> Vec<u8> {
        // Coded as 0, 1, 2 / 3, 4, 5.
        let (samples, length) = match lines {
            Lines::Rows => ([0u16, 1, 2, 3, 4, 5], 3),
            Lines::Columns => ([0, 3, 1, 4, 2, 5], 2),
        };
        let plane = samples.map(|s| s << 8).to_vec();
        let planes = [plane.clone(), plane.clone(), plane];
        let rgb = paint(&planes, Matrix::GREEN_BLUE_RED, length, mirrored);
        assert!(rgb.chunks(3).all(|p| p == [p[0]; 3]));
        rgb.into_iter().step_by(3).collect()
    }

    #[test]
    fn pixels_move_where_they_are_shown() {
        assert_eq!(shown(Lines::Rows, [false, false]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(shown(Lines::Rows, [true, false]), [3, 4, 5, 0, 1, 2]);
        assert_eq!(shown(Lines::Rows, [true, true]), [5, 4, 3, 2, 1, 0]);
        // A quarter turn clockwise reads each column from below, one counter-clockwise begins with
        // the last column.
        assert_eq!(shown(Lines::Columns, [false, true]), [3, 0, 4, 1, 5, 2]);
        assert_eq!(shown(Lines::Columns, [true, false]), [2, 5, 1, 4, 0, 3]);
    }
}
