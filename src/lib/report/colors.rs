//! The colours of the charts. Each stands out against the page, light and dark, by at least 3:1,
//! and colour-blind eyes can tell them apart (after Okabe and Ito).

use plotters::style::RGBColor;

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
/// The approaches that keep their colour on every page; others get what the palette has left.
const APPROACHES: [&str; 5] = ["finetune", "feature-extraction", "ewc", "lwf", "fd"];

/// The k-th colour; they repeat when they run out.
pub(super) fn color(k: usize) -> RGBColor {
    PALETTE[k % PALETTE.len()]
}

/// The colour of an approach, the same on every page: `all` are the names on this one.
pub(super) fn of_approach<'a>(approach: &str, all: impl IntoIterator<Item = &'a str>) -> RGBColor {
    if let Some(k) = APPROACHES.iter().position(|name| *name == approach) {
        return color(k);
    }
    let others: std::collections::BTreeSet<&str> = all
        .into_iter()
        .filter(|name| !APPROACHES.contains(name))
        .collect();
    let place = others.iter().position(|name| *name == approach);
    color(APPROACHES.len() + place.unwrap_or(0))
}

/// `#rrggbb`.
pub(super) fn hex(color: RGBColor) -> String {
    format!("#{:02x}{:02x}{:02x}", color.0, color.1, color.2)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn every_colour_stands_out_by_3_to_1_on_the_light_and_on_the_dark_page() {
        // The grounds of the style sheet's sections.
        for ground in [RGBColor(255, 255, 255), RGBColor(19, 28, 43)] {
            for k in 0..PALETTE.len() {
                let (a, b) = (luminance(color(k)), luminance(ground));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(
                    contrast >= 3.0,
                    "{} on {}: {contrast}",
                    hex(color(k)),
                    hex(ground)
                );
            }
        }
    }

    #[test]
    fn an_approach_has_its_colour_whatever_else_is_on_the_page() {
        let all = ["lwf", "scrub", "ssd"];
        assert_eq!(of_approach("lwf", all), of_approach("lwf", ["lwf", "ewc"]));
        assert_ne!(of_approach("scrub", all), of_approach("ssd", all));
        assert_ne!(of_approach("scrub", all), of_approach("lwf", all));
    }
}
