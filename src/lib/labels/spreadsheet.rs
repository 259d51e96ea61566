//! Names that a spreadsheet has taken for dates, numbers or formulas.

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Whether a name is what spreadsheets make of names: a date (`2-Mar`, `Mar-02`), a number in powers of ten (`1.23E+10`), or
/// the error of a formula (`#NAME?`).
pub(super) fn looks_altered(name: &str) -> bool {
    is_date(name) || is_power_of_ten(name) || is_formula_error(name)
}

fn is_date(name: &str) -> bool {
    let Some((first, second)) = name.split_once('-') else {
        return false;
    };
    let is_month = |part: &str| MONTHS.contains(&part.to_ascii_lowercase().as_str());
    let is_number =
        |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    (is_number(first) && is_month(second)) || (is_month(first) && is_number(second))
}

fn is_power_of_ten(name: &str) -> bool {
    let Some((mantissa, exponent)) = name.split_once(['E', 'e']) else {
        return false;
    };
    let is_number = mantissa.starts_with(|c: char| c.is_ascii_digit())
        && mantissa.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let digits = exponent.strip_prefix(['+', '-']);
    is_number && digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
}

fn is_formula_error(name: &str) -> bool {
    [
        "#NAME?", "#VALUE!", "#REF!", "#N/A", "#NUM!", "#DIV/0!", "#NULL!",
    ]
    .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_makes_of_names_is_known_and_names_are_not() {
        for altered in [
            "2-Mar", "Mar-02", "12-dec", "1.23E+10", "5E-08", "#NAME?", "#N/A",
        ] {
            assert!(looks_altered(altered), "{altered}");
        }
        for name in [
            "2-Mar-rides",
            "abcdefghijk",
            "-2fd5c70927",
            "cam-02",
            "1E10",
            "mar",
            "v_X_g01_c01",
            "E+10",
        ] {
            assert!(!looks_altered(name), "{name}");
        }
    }
}
