//! What a page says that commands print, beside what they print.

use regex::Regex;

/// Which numbers have to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Whole ones; decimal fractions differ from machine to machine.
    Whole,
    /// None: the data are fewer than the page speaks of.
    None,
}

/// A line that stands for any number of lines.
const ANY_LINES: &str = "...";

/// What differs between two runs of the same command, and what stands for it.
fn replacements(numbers: Numbers) -> Vec<(Regex, &'static str)> {
    let mut patterns = vec![
        (r"[A-Za-z0-9_-]{11}_\d{6}_\d{6}", "<clip>"),
        (r"\b[0-9a-f]{16,}\b", "<hash>"),
        // Lines of tables are as long as their columns are wide.
        (r"[─┬┴┼-]{2,}", "─"),
        (r"-?\b\d[\d,]*\.\d+(e[-+]?\d+)?", "#"),
    ];
    if numbers == Numbers::None {
        patterns.push((r"-?\d[\d,]*", "#"));
    }
    patterns.push((r"# ([KMG]i?)?B\b", "# B"));
    patterns.push((r"\s+", " "));
    let compiled = patterns
        .into_iter()
        .map(|(pattern, by)| (Regex::new(pattern).unwrap(), by));
    compiled.collect()
}

/// The lines of `text` without what differs; empty ones and those of progress are left out.
fn lines(text: &str, numbers: Numbers) -> Vec<String> {
    let replacements = replacements(numbers);
    let progress = Regex::new(r"^[a-z ]+: [\d.]+.*/s\b").unwrap();
    let lines = text.lines().filter(|line| !progress.is_match(line));
    let lines = lines.map(|line| {
        let line = replacements
            .iter()
            .fold(line.to_owned(), |line, (pattern, by)| {
                pattern.replace_all(&line, *by).into_owned()
            });
        line.trim().to_owned()
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// Whether `printed` has the lines of `shown`: in order, next to each other where no `...` stands
/// between them, with anything before and behind. The first lines that are not there, otherwise.
pub(super) fn compare(shown: &str, printed: &str, numbers: Numbers) -> Result<(), String> {
    let printed = lines(printed, numbers);
    let mut from = 0;
    for part in shown.split(&format!("\n{ANY_LINES}\n")) {
        let part: Vec<String> = lines(part, numbers)
            .into_iter()
            .filter(|line| line != ANY_LINES)
            .collect();
        let found = (from..=printed.len().saturating_sub(part.len()))
            .find(|&at| printed[at..].starts_with(&part));
        match found {
            Some(at) => from = at + part.len(),
            None => return Err(part.join("\n")),
        }
    }
    Ok(())
}

#[test]
fn numbers_ids_and_borders_may_differ_and_words_may_not() {
    let shown = "...\ntask 1: mAP 0.41, 12 clips, FOl93UCuOcm_000061_000071\n...\n├───┤ 3.60 KiB";
    let same = "a\ntask 1:  mAP 0.9, 12 clips, Tn1V3SPHCJv_000134_000144\ntraining: 3/9 clips, 2.0/s\n\
        b\n├─────┤ 12.4 MiB\nc";
    assert_eq!(compare(shown, same, Numbers::Whole), Ok(()));
    for (other, numbers) in [
        (same.replace("12 clips", "13 clips"), Numbers::Whole),
        (same.replace("mAP", "accuracy"), Numbers::None),
        (same.replace("├─────┤ 12.4 MiB", ""), Numbers::None),
    ] {
        assert!(compare(shown, &other, numbers).is_err(), "{other}");
    }
    let fewer = same.replace("12 clips", "3 clips");
    assert_eq!(compare(shown, &fewer, Numbers::None), Ok(()));
    // Without dots between them lines stand next to each other.
    assert!(compare("a\nb", "a\nx\nb", Numbers::Whole).is_err());
}
