//! The pictures of a toy clip: a texture in two colours under one motion. Pure arithmetic, no file.
//!
//! The category is the motion: drift up, drift down, zoom, flicker, sway. Each survives mirroring
//! and cropping, and none shows in a single frame, because what a moving clip passes through
//! (place, scale, brightness) is drawn for the others from the same ranges. The subcategory is the
//! appearance: every category divides one scale of textures and hues evenly among its
//! subcategories, so that appearance alone says nothing about the category. Where the appearance is
//! to be a cue, each category has a band of hues instead, and each subcategory a texture and hues of
//! its own within it: what was learned of one subcategory helps with its neighbours, the less the
//! farther they are.
//!
//! Only additions, multiplications and square roots are used: no sine or power, whose last bits
//! differ between systems.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Cue;

/// Cells of the random lattice before it repeats, a power of two.
const LATTICE_CELLS: usize = 16;
const _: () = assert!(LATTICE_CELLS.is_power_of_two());
/// Cells across the picture at scale 1.
const CELLS_PER_PICTURE: f64 = 7.0;
/// Drift, in cells a second: at 5 fps a third of a cell between frames, too little to look like the
/// way back.
const DRIFT_CELLS_PER_SECOND: (f64, f64) = (1.2, 1.8);
/// Growth of the picture by zooming, as a share a second.
const ZOOM_PER_SECOND: f64 = 0.35;
/// After this time the zoom starts again, so that long clips stay within the textures' scales.
const ZOOM_PERIOD_SECONDS: f64 = 2.4;
/// Where the zoom starts.
const ZOOM_START_SCALE: f64 = 0.66;
/// Flicker in full cycles a second.
const FLICKER_HERTZ: (f64, f64) = (0.8, 1.2);
/// The darkest moment of a flicker, and the darkest steady picture.
const DARKEST: f64 = 0.4;
/// Sway in full cycles a second.
const SWAY_HERTZ: (f64, f64) = (0.6, 0.9);
/// Numbers between the first subcategories of two categories.
const SUBCATEGORIES_APART: usize = 17;
/// The share of its category's band in which hues of subcategories begin.
const BAND_IN_USE: f64 = 0.9;
/// The range of hues of a subcategory, in cycles, where it has one of its own.
const HUE_RANGE: f64 = 0.015;
/// How far a sway goes to either side, in cells.
const SWAY_CELLS: f64 = 0.8;

/// What tells the category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Everything moves up.
    DriftUp,
    /// Everything moves down.
    DriftDown,
    /// Everything grows.
    Zoom,
    /// The light goes up and down.
    Flicker,
    /// Everything moves to the left and to the right in turn.
    Sway,
}

impl Motion {
    /// All motions; a category's class index chooses, modulo their number.
    pub const ALL: [Motion; 5] = [
        Motion::DriftUp,
        Motion::DriftDown,
        Motion::Zoom,
        Motion::Flicker,
        Motion::Sway,
    ];

    /// The motion of the category with this class index.
    #[must_use]
    pub fn of_class(class: usize) -> Self {
        Self::ALL[class % Self::ALL.len()]
    }
}

/// What tells the subcategory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Texture {
    Blobs,
    Camouflage,
    Dots,
    Weave,
}

impl Texture {
    const ALL: [Texture; 4] = [
        Texture::Blobs,
        Texture::Camouflage,
        Texture::Dots,
        Texture::Weave,
    ];
}

/// A clip before it is drawn: texture, colours, and how they move.
#[derive(Debug)]
pub struct Scene {
    motion: Motion,
    texture: Texture,
    colours: [[f64; 3]; 2],
    lattice: Vec<f64>,
    place: (f64, f64),
    scale: f64,
    phase: f64,
    hertz: f64,
    cells_per_second: f64,
    steady_light: f64,
}

/// A number drawn evenly from a range.
fn between(rng: &mut ChaCha8Rng, (low, high): (f64, f64)) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

impl Scene {
    /// Draws a clip of the category with class index `class` and of the `index`-th of its `count`
    /// subcategories.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Numbers of subcategories, far below 2^52.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between 0 and the number of textures.
    pub fn draw(class: usize, index: usize, count: usize, cue: Cue, rng: &mut ChaCha8Rng) -> Self {
        let motion = Motion::of_class(class);
        let appearance = (index as f64 + between(rng, (0.05, 0.95))) / count as f64;
        let scaled = appearance * Texture::ALL.len() as f64;
        let (texture, hue) = match cue {
            Cue::Motion => (
                (scaled as usize).min(Texture::ALL.len() - 1),
                scaled.fract(),
            ),
            Cue::Appearance => own_appearance(class, index, count, scaled.fract()),
        };
        let texture = Texture::ALL[texture];
        let hertz = between(
            rng,
            if motion == Motion::Sway {
                SWAY_HERTZ
            } else {
                FLICKER_HERTZ
            },
        );
        Self {
            motion,
            texture,
            colours: [colour(hue, 0.8, 0.35), colour(hue + 0.08, 0.5, 1.0)],
            lattice: (0..LATTICE_CELLS * LATTICE_CELLS * 3)
                .map(|_| rng.random())
                .collect(),
            place: (between(rng, (0.0, 16.0)), between(rng, (0.0, 16.0))),
            // The scales that a zoom passes through, each as often.
            scale: grow(ZOOM_START_SCALE, between(rng, (0.0, ZOOM_PERIOD_SECONDS))),
            phase: rng.random(),
            hertz,
            cells_per_second: between(rng, DRIFT_CELLS_PER_SECOND),
            steady_light: between(rng, (DARKEST, 1.0)),
        }
    }

    /// The picture at `seconds`, `size * size * 3` bytes of RGB, row after row.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // What is outside 0..=255 becomes the nearer end.
    pub fn picture(&self, seconds: f64, size: u32) -> Vec<u8> {
        let (mut u0, mut v0) = self.place;
        let (mut scale, mut light) = (self.scale, self.steady_light);
        match self.motion {
            // The picture moves up where the place it shows moves down.
            Motion::DriftUp => v0 += self.cells_per_second * seconds,
            Motion::DriftDown => v0 -= self.cells_per_second * seconds,
            Motion::Zoom => {
                let since = (seconds + self.phase * 0.2) % ZOOM_PERIOD_SECONDS;
                scale = grow(ZOOM_START_SCALE, since);
            }
            Motion::Flicker => {
                light = DARKEST + (1.0 - DARKEST) * wave(self.phase + self.hertz * seconds);
            }
            Motion::Sway => {
                u0 += SWAY_CELLS * (2.0 * wave(self.phase + self.hertz * seconds) - 1.0);
            }
        }
        let centre = f64::from(size) / 2.0;
        let cells_per_pixel = CELLS_PER_PICTURE / f64::from(size) / scale;
        let [dark, bright] = self.colours;
        let span = [0, 1, 2].map(|channel| bright[channel] - dark[channel]);
        let mut pixels = Vec::with_capacity(size as usize * size as usize * 3);
        for y in 0..size {
            let v = v0 + (f64::from(y) + 0.5 - centre) * cells_per_pixel;
            for x in 0..size {
                let u = u0 + (f64::from(x) + 0.5 - centre) * cells_per_pixel;
                let mix = self.field(u, v);
                let level = |channel: usize| {
                    let value = dark[channel] + span[channel] * mix;
                    (value * light * 255.0 + 0.5) as u8
                };
                pixels.extend_from_slice(&[level(0), level(1), level(2)]);
            }
        }
        pixels
    }

    /// The texture at a place, 0 to 1.
    fn field(&self, u: f64, v: f64) -> f64 {
        match self.texture {
            Texture::Blobs => smooth_step(self.noise(u, v, 0)),
            Texture::Camouflage => {
                smooth_step(((self.noise(u, v, 0) - 0.5) * 8.0 + 0.5).clamp(0.0, 1.0))
            }
            Texture::Dots => self.dots(u * 0.7, v * 0.7),
            Texture::Weave => {
                let threads = wave(u * 0.5) * wave(v * 0.5);
                (0.75 * threads * 2.0 + 0.5 * self.noise(u, v, 0)).clamp(0.0, 1.0)
            }
        }
    }

    /// One of three random numbers of a cell, whose coordinates are whole.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Some dozens of cells; of a negative one the last bits.
    fn lattice(&self, u: f64, v: f64, layer: usize) -> f64 {
        // The cells are a power of two, so this is the remainder, never negative.
        let cell = |c: f64| c as i64 as usize & (LATTICE_CELLS - 1);
        self.lattice[(layer * LATTICE_CELLS + cell(v)) * LATTICE_CELLS + cell(u)]
    }

    /// The lattice's numbers with smooth passages between them.
    fn noise(&self, u: f64, v: f64, layer: usize) -> f64 {
        let (u0, v0) = (u.floor(), v.floor());
        let (fu, fv) = (smooth_step(u - u0), smooth_step(v - v0));
        let row = |v: f64| {
            let (a, b) = (self.lattice(u0, v, layer), self.lattice(u0 + 1.0, v, layer));
            a + (b - a) * fu
        };
        let (a, b) = (row(v0), row(v0 + 1.0));
        a + (b - a) * fv
    }

    /// A round spot in each cell, out of its middle and of its own size.
    fn dots(&self, u: f64, v: f64) -> f64 {
        let (u0, v0) = (u.floor(), v.floor());
        let du = u - u0 - 0.35 - 0.3 * self.lattice(u0, v0, 0);
        let dv = v - v0 - 0.35 - 0.3 * self.lattice(u0, v0, 1);
        let radius = 0.2 + 0.15 * self.lattice(u0, v0, 2);
        smooth_step(((radius - (du * du + dv * dv).sqrt()) * 8.0 + 0.5).clamp(0.0, 1.0))
    }
}

/// Growth from `scale` over `seconds`: the power (1 + rate)^seconds, in hundredths of a second by
/// multiplication.
fn grow(scale: f64, seconds: f64) -> f64 {
    let hundredth = 1.0 + ZOOM_PER_SECOND / 100.0;
    let mut grown = scale;
    let mut left = seconds * 100.0;
    while left >= 1.0 {
        grown *= hundredth;
        left -= 1.0;
    }
    grown * (1.0 + ZOOM_PER_SECOND / 100.0 * left)
}

/// The number of the texture and the hue of a subcategory; `share` of 0..1 places the hue within the
/// subcategory's own narrow range.
#[allow(clippy::cast_precision_loss)] // Some dozens of subcategories.
fn own_appearance(class: usize, index: usize, count: usize, share: f64) -> (usize, f64) {
    let number = class * SUBCATEGORIES_APART + index;
    let bands = Motion::ALL.len();
    let band = (class % bands) as f64;
    let within = BAND_IN_USE * index as f64 / count as f64;
    let hue = (band + within) / bands as f64;
    (number % Texture::ALL.len(), hue + share * HUE_RANGE)
}

/// A triangle wave of period 1, 0 to 1.
fn wave(phase: f64) -> f64 {
    1.0 - (2.0 * phase.rem_euclid(1.0) - 1.0).abs()
}

/// 3x^2 - 2x^3 for x in 0..1.
fn smooth_step(x: f64) -> f64 {
    x * x * (3.0 - 2.0 * x)
}

/// A colour of the given hue (cycles), saturation and value, as RGB in 0..1.
fn colour(hue: f64, saturation: f64, value: f64) -> [f64; 3] {
    [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|offset: f64| {
        let distance = (2.0 * (hue - offset).rem_euclid(1.0) - 1.0).abs();
        let full = (3.0 * distance - 1.0).clamp(0.0, 1.0);
        value * (1.0 - saturation + saturation * full)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    const SIZE: u32 = 32;

    fn scene(motion: Motion, key: u64) -> Scene {
        let class = Motion::ALL.iter().position(|&m| m == motion).unwrap();
        Scene::draw(class, 0, 3, Cue::Motion, &mut stream(1, "scene", &[key]))
    }

    /// The mean absolute difference of two pictures, the second moved down by `rows`.
    fn difference(a: &[u8], b: &[u8], rows: i64) -> f64 {
        let row_bytes = SIZE as usize * 3;
        let (mut sum, mut count) = (0.0, 0.0);
        for y in 0..i64::from(SIZE) {
            let other = y + rows;
            if !(0..i64::from(SIZE)).contains(&other) {
                continue;
            }
            let at = |y: i64| usize::try_from(y).unwrap() * row_bytes;
            for i in 0..row_bytes {
                sum += f64::from(a[at(y) + i].abs_diff(b[at(other) + i]));
                count += 1.0;
            }
        }
        sum / count
    }

    #[test]
    fn drifts_go_their_way_and_the_others_do_not() {
        for key in 0..6 {
            for (motion, sign) in [(Motion::DriftUp, -1), (Motion::DriftDown, 1)] {
                let scene = scene(motion, key);
                let (a, b) = (scene.picture(0.0, SIZE), scene.picture(0.4, SIZE));
                let best = (-6..=6)
                    .min_by(|&p, &q| difference(&a, &b, p).total_cmp(&difference(&a, &b, q)))
                    .unwrap();
                assert_eq!(best.signum(), sign, "{motion:?} {key}: {best}");
            }
        }
    }

    #[test]
    fn flicker_changes_light_alone_and_a_mirrored_sway_is_a_sway() {
        let mean = |p: &[u8]| p.iter().map(|&v| f64::from(v)).sum::<f64>() / p.len() as f64;
        let flicker = scene(Motion::Flicker, 1);
        let means: Vec<f64> = (0..20)
            .map(|t| mean(&flicker.picture(f64::from(t) * 0.1, SIZE)))
            .collect();
        let (low, high) = (
            means.iter().copied().fold(f64::MAX, f64::min),
            means.iter().copied().fold(0.0, f64::max),
        );
        assert!(high > 1.8 * low, "{low} {high}");
        let sway = scene(Motion::Sway, 1);
        // Back where it was after a cycle: no net movement either way.
        let (a, b) = (
            sway.picture(0.0, SIZE),
            sway.picture(1.0 / sway.hertz, SIZE),
        );
        assert!(difference(&a, &b, 0) < 1.0);
    }

    #[test]
    fn with_the_appearance_as_a_cue_no_two_subcategories_share_one() {
        // As many as the published taxonomy has.
        let subcategories = [14, 3, 3, 5, 12].into_iter().enumerate();
        let own: Vec<(usize, f64)> = subcategories
            .flat_map(|(class, count)| {
                (0..count).map(move |index| own_appearance(class, index, count, 0.0))
            })
            .collect();
        for (k, a) in own.iter().enumerate() {
            for b in &own[k + 1..] {
                let apart = (a.1 - b.1).abs();
                let apart = apart.min(1.0 - apart);
                assert!(a.0 != b.0 || apart > HUE_RANGE, "{a:?} {b:?}");
            }
        }
        let scene = |cue| Scene::draw(2, 1, 3, cue, &mut stream(1, "scene", &[7]));
        let (plain, cued) = (scene(Cue::Motion), scene(Cue::Appearance));
        assert_ne!(plain.colours, cued.colours);
        assert_eq!((plain.place, plain.hertz), (cued.place, cued.hertz));
    }

    #[test]
    fn every_category_uses_the_same_scale_of_appearances() {
        let textures = |class: usize, count: usize| {
            let mut seen = [0_u32; 4];
            for index in 0..count {
                for key in 0..200 {
                    let mut rng = stream(2, "scene", &[index as u64, key]);
                    let scene = Scene::draw(class, index, count, Cue::Motion, &mut rng);
                    seen[scene.texture as usize] += 1;
                }
            }
            seen.map(|n| f64::from(n) / (count as f64 * 200.0))
        };
        for (class, count) in [(0, 14), (1, 3), (3, 5)] {
            for share in textures(class, count) {
                assert!((share - 0.25).abs() < 0.06, "{class}: {share}");
            }
        }
    }
}
