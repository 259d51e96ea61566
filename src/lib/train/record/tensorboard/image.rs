//! Small pictures for `TensorBoard`: precision-recall curves and confusion matrices.
//!
//! A raster of our own with an 8 x 8 pixel font, because bitmap backends of plotting crates look
//! for fonts on the system, and a training machine may have none.

use font8x8::UnicodeFonts;

use crate::metrics::PrCurve;

/// Side of the plotted area of a curve, in pixels.
const PLOT: u32 = 300;
/// Room around the plotted area for labels, in pixels.
const MARGIN: u32 = 40;
/// Side of a confusion matrix's cell, in pixels.
const CELL: u32 = 64;
/// Width and height of a letter, in pixels.
const LETTER: u32 = 8;

const WHITE: [u8; 3] = [255, 255, 255];
const BLACK: [u8; 3] = [0, 0, 0];
const GREY: [u8; 3] = [200, 200, 200];
/// Colours of the classes, which the colour-blind can distinguish (Okabe and Ito); they repeat after
/// eight.
const COLOURS: [[u8; 3]; 8] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
    [120, 110, 20],
    [90, 90, 90],
];

/// An RGB picture.
#[derive(Clone, Debug)]
pub(in crate::train::record) struct Image {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Image {
    /// A white picture.
    #[must_use]
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            pixels: vec![255; (width * height * 3) as usize],
        }
    }

    /// Width in pixels.
    #[must_use]
    pub(super) fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub(super) fn height(&self) -> u32 {
        self.height
    }

    /// The picture as PNG bytes.
    ///
    /// # Errors
    /// When the encoder refuses; it does not for a picture with pixels.
    pub(super) fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&self.pixels)?;
        Ok(bytes)
    }

    /// Colours a pixel; one outside is left out.
    fn dot(&mut self, x: u32, y: u32, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = ((y * self.width + x) * 3) as usize;
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    fn rectangle(&mut self, x: u32, y: u32, width: u32, height: u32, colour: [u8; 3]) {
        for row in y..y + height {
            for column in x..x + width {
                self.dot(column, row, colour);
            }
        }
    }

    /// A straight line, two pixels thick.
    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: [u8; 3]) {
        let steps = (to.0 - from.0)
            .abs()
            .max((to.1 - from.1).abs())
            .ceil()
            .max(1.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // At most the side of a picture, never negative.
        for i in 0..=steps as u32 {
            let share = f64::from(i) / steps;
            let x = (from.0 + (to.0 - from.0) * share).round() as u32;
            let y = (from.1 + (to.1 - from.1) * share).round() as u32;
            self.dot(x, y, colour);
            self.dot(x + 1, y, colour);
            self.dot(x, y + 1, colour);
        }
    }

    /// A line of text with its upper left corner at x, y. Letters that the font lacks stay empty.
    fn text(&mut self, x: u32, y: u32, text: &str, colour: [u8; 3]) {
        for (place, letter) in (0u32..).zip(text.chars()) {
            let Some(rows) = font8x8::BASIC_FONTS.get(letter) else {
                continue;
            };
            for (row, bits) in (0u32..).zip(rows) {
                for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                    self.dot(x + place * LETTER + column, y + row, colour);
                }
            }
        }
    }
}

/// A precision-recall curve for each class, with a legend of `categories`.
#[must_use]
pub(super) fn precision_recall(curves: &[PrCurve], categories: &[String]) -> Image {
    let legend = width_of(categories.iter().map(String::as_str)) + 2 * LETTER;
    let mut image = Image::new(
        MARGIN + PLOT + MARGIN / 2 + legend + MARGIN,
        PLOT + 2 * MARGIN,
    );
    let point = |recall: f64, precision: f64| {
        let (left, bottom, side) = (f64::from(MARGIN), f64::from(MARGIN + PLOT), f64::from(PLOT));
        (left + recall * side, bottom - precision * side)
    };
    for tick in 0..=4u32 {
        let at = tick * PLOT / 4;
        image.rectangle(MARGIN, MARGIN + at, PLOT, 1, GREY);
        image.rectangle(MARGIN + at, MARGIN, 1, PLOT, GREY);
        let label = format!("{:.2}", f64::from(tick) / 4.0);
        image.text(
            MARGIN + at - 2 * LETTER,
            MARGIN + PLOT + LETTER,
            &label,
            BLACK,
        );
        image.text(2, MARGIN + PLOT - at - LETTER / 2, &label, BLACK);
    }
    image.text(
        MARGIN + PLOT / 2 - 3 * LETTER,
        MARGIN + PLOT + 3 * LETTER,
        "recall",
        BLACK,
    );
    image.text(2, LETTER, "precision", BLACK);
    for (class, curve) in curves.iter().enumerate() {
        let colour = COLOURS[class % COLOURS.len()];
        for i in 1..curve.recall.len() {
            image.line(
                point(curve.recall[i - 1], curve.precision[i - 1]),
                point(curve.recall[i], curve.precision[i]),
                colour,
            );
        }
    }
    for ((row, name), colour) in (0u32..).zip(categories).zip(COLOURS.iter().cycle()) {
        let (x, y) = (MARGIN + PLOT + MARGIN / 2, MARGIN + row * 2 * LETTER);
        image.rectangle(x, y, LETTER, LETTER, *colour);
        image.text(x + 2 * LETTER, y, name, BLACK);
    }
    image
}

/// Counts of clips, rows the true class, columns the predicted one; darker is more of the row.
#[must_use]
pub(super) fn confusion(counts: &[Vec<u64>], categories: &[String]) -> Image {
    let left = width_of(categories.iter().map(String::as_str)) + 2 * LETTER;
    let classes = u32::try_from(counts.len()).unwrap_or(u32::MAX);
    let top = 4 * LETTER;
    let mut image = Image::new(
        left + classes * CELL + LETTER,
        top + classes * CELL + LETTER,
    );
    image.text(LETTER, LETTER, "rows true, columns predicted", BLACK);
    for ((row, counts), name) in (0u32..).zip(counts).zip(categories) {
        let (y, total) = (top + row * CELL, counts.iter().sum::<u64>().max(1));
        image.text(LETTER, y + CELL / 2 - LETTER / 2, name, BLACK);
        for (column, &count) in (0u32..).zip(counts) {
            // 255 is white, 55 as dark as a cell gets.
            let shade = u8::try_from(255 - 200 * count / total).unwrap_or(255);
            let x = left + column * CELL;
            image.rectangle(x, y, CELL - 1, CELL - 1, [shade, shade, 255]);
            let text = count.to_string();
            let inset = (CELL - width_of([text.as_str()])) / 2;
            image.text(
                x + inset,
                y + CELL / 2 - LETTER / 2,
                &text,
                if shade < 128 { WHITE } else { BLACK },
            );
            if row == 0 {
                let initial: String = categories
                    .get(column as usize)
                    .map_or("", |n| n)
                    .chars()
                    .take(7)
                    .collect();
                image.text(x + 2, top - LETTER - 2, &initial, BLACK);
            }
        }
    }
    image
}

/// The width of the longest of some texts, in pixels, at most that of a cell for numbers of eight
/// digits.
fn width_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> u32 {
    let letters = texts
        .into_iter()
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0);
    u32::try_from(letters)
        .unwrap_or(u32::MAX)
        .saturating_mul(LETTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(image: &Image, colour: [u8; 3]) -> usize {
        image.pixels.chunks(3).filter(|p| **p == colour).count()
    }

    #[test]
    fn a_curve_is_drawn_in_its_class_colour_with_its_name() {
        let curve = PrCurve {
            precision: vec![0.5, 1.0, 1.0],
            recall: vec![1.0, 0.5, 0.0],
            score: vec![0.25, 0.75],
        };
        let image = precision_recall(&[curve.clone(), curve], &["food".into(), "phone".into()]);
        // The second class lies over the first, whose colour is left in the legend alone.
        assert_eq!(count(&image, COLOURS[0]), 64);
        assert!(count(&image, COLOURS[1]) > 600);
        assert!(count(&image, BLACK) > 100);
        let decoder = png::Decoder::new(std::io::Cursor::new(image.png().unwrap()));
        let reader = decoder.read_info().unwrap();
        assert_eq!(
            (reader.info().width, reader.info().height),
            (image.width(), image.height())
        );
    }

    #[test]
    fn a_matrix_has_a_cell_for_each_pair_darker_for_more() {
        let image = confusion(&[vec![9, 1], vec![0, 4]], &["a".into(), "b".into()]);
        assert_eq!(image.height(), 4 * LETTER + 2 * CELL + LETTER);
        // Nearly all of row a in its own cell: 255 - 180.
        assert!(count(&image, [75, 75, 255]) > 3000);
        // All of row b in its own cell.
        assert!(count(&image, [55, 55, 255]) > 3000);
    }
}
