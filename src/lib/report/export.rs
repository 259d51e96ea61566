//! A table of the page in forms that a paper and a spreadsheet take.

use maud::{Markup, html};

/// A table as text: names of columns, and rows of as many cells.
pub(super) struct Export {
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
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
        let line = |cells: Vec<String>| cells.join(",") + "\n";
        let head = self.columns.iter().map(|column| field(column)).collect();
        let rows = self.rows.iter();
        let rows = rows.map(|row| line(row.iter().map(|cell| field(cell)).collect()));
        line(head) + &rows.collect::<String>()
    }

    fn latex(&self) -> String {
        let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        let head = line(self.columns.iter().map(|column| escaped(column)).collect());
        let rows = self.rows.iter();
        let rows: String = rows
            .map(|row| line(row.iter().map(|cell| escaped(cell)).collect()))
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

    #[test]
    fn what_either_form_reads_as_its_own_is_escaped() {
        let table = Export {
            columns: vec!["approach", "mAP"],
            rows: vec![vec!["a,b \"c\" 50%_\\".into(), "0.5 ± 0.1".into()]],
        };
        assert_eq!(
            table.csv(),
            "approach,mAP\n\"a,b \"\"c\"\" 50%_\\\",0.5 ± 0.1\n"
        );
        let latex = table.latex();
        let row = "a,b \"c\" 50\\%\\_\\textbackslash{} & 0.5 $\\pm$ 0.1 \\\\\n";
        assert!(latex.contains(row), "{latex}");
        assert!(latex.starts_with("\\begin{tabular}{ll}\n\\toprule\napproach & mAP \\\\\n"));
    }
}
