//! Text that comes from elsewhere (archive headers, index lines, names of tensors, servers' answers), made fit to be shown.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Longest foreign text that a message shows, in bytes; the rest is counted.
const MAX_SHOWN_BYTES: usize = 300;

/// `text` with control characters and those that turn the direction of writing escaped, so that it cannot steer a terminal
/// or forge a line of a log, and cut where it is long.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_SHOWN_BYTES && !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for (at, c) in text.char_indices() {
        if at >= MAX_SHOWN_BYTES {
            shown += &format!("... ({} bytes in all)", text.len());
            break;
        }
        if steers(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The first `most` of the names, made printable: `a, b and 2 more`.
#[must_use]
pub fn first_of(names: &[String], most: usize) -> String {
    let shown: Vec<_> = names
        .iter()
        .take(most)
        .map(|name| printable(name))
        .collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `text` in Unicode's composed form (NFC). Letters with marks may be spelt as one character or as two that look the same; file
/// names of a Mac are spelt the second way.
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// Whether a character does something to the place that shows it, instead of standing there.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_shown_and_the_others_counted() {
        let names = ["a", "b\u{1b}", "c"].map(str::to_owned);
        assert_eq!(first_of(&names, 2), "a, b\\u{1b} and 1 more");
        assert_eq!(first_of(&names[..1], 2), "a");
        assert_eq!(first_of(&[], 2), "");
    }

    #[test]
    fn terminal_escapes_lose_their_power_and_words_stay() {
        assert_eq!(printable("Grüße, 世界"), "Grüße, 世界");
        assert_eq!(
            printable("\u{1b}[2Jgone\r\nerror: forged\u{202e}"),
            "\\u{1b}[2Jgone\\r\\nerror: forged\\u{202e}"
        );
    }

    #[test]
    fn two_spellings_of_a_letter_are_composed_to_one() {
        assert_eq!(composed("cafe\u{301}"), "caf\u{e9}");
        assert!(matches!(composed("caf\u{e9}"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let long = "ä".repeat(100_000);
        let shown = printable(&long);
        assert!(shown.len() < 400, "{}", shown.len());
        assert!(shown.ends_with("... (200000 bytes in all)"), "{shown}");
    }
}
