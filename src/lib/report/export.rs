//! A table of the page in forms that a paper and a spreadsheet take.

use maud::{Markup, html};

use super::judgement::Spread;
use super::numbers::{number, spread};

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word or one number.
    One,
    /// Means over seeds; a spreadsheet gets a column for each number.
    Figure,
    /// Means over seeds of what has no level of chance.
    Difference,
}

impl Kind {
    /// What the names of a spreadsheet's columns end with.
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::One => &[""],
            Self::Figure => &["", " deviation", " low", " high", " n", " chance"],
            Self::Difference => &["", " deviation", " low", " high", " n"],
        }
    }
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Count(usize),
    Number(Option<f64>),
    Spread(Spread),
}

impl Cell {
    /// As a reader takes it.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(n) => n.to_string(),
            Self::Number(value) => number(*value),
            Self::Spread(of) => spread(of),
        }
    }

    /// As a spreadsheet takes it: a number in each column, all its digits, empty where undefined.
    fn fields(&self, kind: Kind) -> Vec<String> {
        let plain = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        let Self::Spread(of) = self else {
            return vec![match self {
                Self::Number(value) => plain(*value),
                _ => self.text(),
            }];
        };
        let mut fields = vec![
            plain(of.mean),
            plain(of.deviation),
            plain(of.interval.map(|i| i.low)),
            plain(of.interval.map(|i| i.high)),
            of.runs.to_string(),
            plain(of.chance),
        ];
        fields.truncate(kind.endings().len());
        fields
    }
}

/// A table without its looks: columns by name and kind, and rows of as many cells.
pub(super) struct Export {
    pub(super) columns: Vec<(&'static str, Kind)>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Export {
    /// Both forms, folded away; the script adds a button that copies each.
    pub(super) fn render(&self) -> Markup {
        html! {
            details {
                summary { "This table as CSV" }
                pre.copy tabindex="0" { (self.csv()) }
            }
            details {
                summary { "This table as LaTeX (package booktabs)" }
                pre.copy tabindex="0" { (self.latex()) }
            }
        }
    }

    fn csv(&self) -> String {
        let field = |text: &str| {
            if text.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.to_owned()
            }
        };
        let line = |fields: Vec<String>| {
            let fields: Vec<String> = fields.iter().map(|text| field(text)).collect();
            fields.join(",") + "\n"
        };
        let names = self.columns.iter().flat_map(|(name, kind)| {
            let endings = kind.endings().iter();
            endings.map(move |ending| format!("{name}{ending}"))
        });
        let head = line(names.collect());
        let rows = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&self.columns);
            line(
                cells
                    .flat_map(|(cell, (_, kind))| cell.fields(*kind))
                    .collect(),
            )
        });
        head + &rows.collect::<String>()
    }

    fn latex(&self) -> String {
        let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        let head = self.columns.iter().map(|(name, _)| escaped(name));
        let head = line(head.collect());
        let rows = self.rows.iter();
        let rows: String = rows
            .map(|row| line(row.iter().map(|cell| escaped(&cell.text())).collect()))
            .collect();
        format!(
            "\\begin{{tabular}}{{{}}}\n\\toprule\n{head}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n",
            "l".repeat(self.columns.len())
        )
    }
}

/// Text as LaTeX prints it as it stands.
fn escaped(text: &str) -> String {
    let mut latex = String::new();
    for character in text.chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                latex.push('\\');
                latex.push(character);
            }
            '\\' => latex.push_str("\\textbackslash{}"),
            '~' => latex.push_str("\\textasciitilde{}"),
            '^' => latex.push_str("\\textasciicircum{}"),
            '±' => latex.push_str("$\\pm$"),
            '–' | '−' => latex.push_str("--"),
            other => latex.push(other),
        }
    }
    latex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::judgement::Interval;

    #[test]
    fn a_spreadsheet_gets_a_number_a_column_and_what_either_form_reads_as_its_own_is_escaped() {
        let of = Spread {
            runs: 3,
            mean: Some(0.5),
            deviation: Some(0.0125),
            interval: Some(Interval {
                low: 0.25,
                high: 0.75,
            }),
            chance: Some(0.2),
            clips: None,
        };
        let table = Export {
            columns: vec![
                ("approach", Kind::One),
                ("mAP", Kind::Figure),
                ("lost", Kind::Difference),
                ("p", Kind::One),
            ],
            rows: vec![vec![
                Cell::Text("a,b \"c\" 50%_\\".into()),
                Cell::Spread(of),
                Cell::Spread(Spread::default()),
                Cell::Number(Some(0.0625)),
            ]],
        };
        assert_eq!(
            table.csv(),
            "approach,mAP,mAP deviation,mAP low,mAP high,mAP n,mAP chance,\
             lost,lost deviation,lost low,lost high,lost n,p\n\
             \"a,b \"\"c\"\" 50%_\\\",0.5,0.0125,0.25,0.75,3,0.2,,,,,0,0.0625\n"
        );
        let latex = table.latex();
        let row = "a,b \"c\" 50\\%\\_\\textbackslash{} & 0.500 $\\pm$ 0.013 & -- & 0.062 \\\\\n";
        assert!(latex.contains(row), "{latex}");
        assert!(
            latex
                .starts_with("\\begin{tabular}{llll}\n\\toprule\napproach & mAP & lost & p \\\\\n")
        );
    }
}
