//! The colours of the charts. Each stands out against the page, light and dark, by at least 3:1,
//! and colour-blind eyes can tell them apart (after Okabe and Ito).

use plotters::style::RGBColor;

/// What references and the letters of a chart are drawn in. The style sheet has a lighter tone for
/// it on a dark page, and for what is withdrawn.
pub(super) const INK: RGBColor = RGBColor(71, 85, 105);
/// The lines behind a chart, which say nothing. The style sheet darkens them.
pub(super) const GRID: RGBColor = RGBColor(226, 232, 240);
/// What chance is drawn in.
pub(super) const MUTED: RGBColor = RGBColor(118, 118, 118);
pub(super) const ARRIVED: RGBColor = RGBColor(0, 158, 115);
pub(super) const KEPT: RGBColor = RGBColor(0, 114, 178);
pub(super) const REMOVED: RGBColor = RGBColor(213, 94, 0);
pub(super) const WITHDRAWN: RGBColor = RGBColor(88, 88, 88);
/// Colours of lines and categories.
const PALETTE: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(192, 97, 154),
    RGBColor(168, 116, 0),
    RGBColor(61, 143, 198),
    RGBColor(154, 106, 63),
    RGBColor(122, 106, 216),
];
/// The k-th colour; they repeat when they run out.
pub(super) fn color(k: usize) -> RGBColor {
    PALETTE[k % PALETTE.len()]
}

/// The number of colours before they repeat.
pub(super) const fn colors() -> usize {
    PALETTE.len()
}

/// `#rrggbb`.
pub(super) fn hex(color: RGBColor) -> String {
    format!("#{:02x}{:02x}{:02x}", color.0, color.1, color.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: &str = include_str!("style.css");

    /// The relative luminance of WCAG 2.
    fn luminance(color: RGBColor) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.039_28 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(color.0) + 0.7152 * linear(color.1) + 0.0722 * linear(color.2)
    }

    fn contrast(a: RGBColor, b: RGBColor) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn parsed(hex: &str) -> RGBColor {
        let channel = |k: usize| u8::from_str_radix(&hex[k..k + 2], 16).unwrap();
        RGBColor(channel(1), channel(3), channel(5))
    }

    /// A variable of the style sheet: of the light page, of the dark one, or of print.
    fn variable(name: &str, page: usize) -> RGBColor {
        let root = STYLE.split(":root {").nth(page + 1).unwrap();
        let root = root.split('}').next().unwrap();
        let (_, value) = root.split_once(&format!("{name}: ")).unwrap();
        parsed(&value[..7])
    }

    /// What `property` (`fill` or `stroke`) of a colour becomes by the style sheet.
    fn shown(color: RGBColor, property: &str, page: usize) -> RGBColor {
        let rule = format!("svg [{property}=\"{}\" i]", hex(color));
        let Some((_, rule)) = STYLE.split_once(&rule) else {
            return color;
        };
        let (_, name) = rule.split_once(&format!("{property}: var(")).unwrap();
        variable(name.split(')').next().unwrap(), page)
    }

    #[test]
    fn every_colour_stands_out_by_3_to_1_on_the_light_page_the_dark_one_and_paper() {
        let named = [INK, MUTED, ARRIVED, KEPT, REMOVED, WITHDRAWN];
        for page in 0..3 {
            let ground = variable("--paper", page);
            for color in PALETTE.into_iter().chain(named) {
                for property in ["fill", "stroke"] {
                    let shown = shown(color, property, page);
                    let contrast = contrast(shown, ground);
                    assert!(
                        contrast >= 3.0,
                        "{property} {} as {} on {}: {contrast}",
                        hex(color),
                        hex(shown),
                        hex(ground)
                    );
                }
            }
        }
    }

    #[test]
    fn the_grid_stays_behind() {
        for page in 0..3 {
            let contrast = contrast(shown(GRID, "stroke", page), variable("--paper", page));
            assert!(contrast < 2.0, "{contrast}");
        }
    }
}
