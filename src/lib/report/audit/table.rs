//! The table of methods: for the page, for LaTeX and as CSV.

use super::figures::{Figures, PATH, SCRATCH, Wanted};
use crate::tables::AuditRow;

/// What a cell holds: a mean over seeds and its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cell {
    pub(super) value: Option<f64>,
    /// The bootstrap interval, or Student's where there is none.
    pub(super) ends: Option<[f64; 2]>,
    /// Whether it is a difference, for which 0 is no difference.
    is_difference: bool,
}

impl Cell {
    fn of(row: Option<&AuditRow>) -> Self {
        let Some(row) = row else {
            return Self::default();
        };
        let pair = |low: Option<f64>, high: Option<f64>| Some([low?, high?]);
        Self {
            value: row.value,
            ends: pair(row.low, row.high).or_else(|| pair(row.t_low, row.t_high)),
            is_difference: true,
        }
    }

    /// The value; a dash where it is undefined.
    pub(super) fn value_text(&self) -> String {
        self.value.map_or_else(|| "–".to_owned(), shown)
    }

    /// The interval of a value that has one.
    pub(super) fn ends_text(&self) -> Option<String> {
        let [low, high] = self.value.and(self.ends)?;
        Some(format!("[{}, {}]", shown(low), shown(high)))
    }

    /// The value, with its interval where there is one.
    pub(super) fn text(&self) -> String {
        let ends = self.ends_text();
        let ends = ends.map_or_else(String::new, |ends| format!(" {ends}"));
        self.value_text() + &ends
    }

    /// Whether 0 lies outside the interval of a difference.
    pub(super) fn is_apart(&self) -> bool {
        let is_beyond = |[low, high]: [f64; 2]| low > 0.0 || high < 0.0;
        self.is_difference && self.ends.is_some_and(is_beyond)
    }
}

/// A number with three decimals, small ones with their power of ten.
fn shown(value: f64) -> String {
    if value != 0.0 && value.abs() < 5e-4 {
        format!("{value:.1e}")
    } else {
        format!("{value:.3}")
    }
}

/// A column of the table: its heading, and where its figure stands.
pub(super) struct Column {
    pub(super) heading: &'static str,
    population: &'static str,
    group: Option<&'static str>,
    measure: &'static str,
    /// None for the method's own figure.
    reference: Option<&'static str>,
}

/// The columns: gaps to both references, attacks, distances, and what unlearning cost.
pub(super) const COLUMNS: [Column; 16] = {
    const fn column(
        heading: &'static str,
        population: &'static str,
        measure: &'static str,
        reference: &'static str,
    ) -> Column {
        Column {
            heading,
            population,
            group: None,
            measure,
            reference: Some(reference),
        }
    }
    const fn own(heading: &'static str, population: &'static str, measure: &'static str) -> Column {
        Column {
            heading,
            population,
            group: None,
            measure,
            reference: None,
        }
    }
    [
        column("accuracy F - path", "forget", "accuracy", PATH),
        column("accuracy F - scratch", "forget", "accuracy", SCRATCH),
        column("accuracy R - path", "retain", "accuracy", PATH),
        column("accuracy R - scratch", "retain", "accuracy", SCRATCH),
        column("accuracy T - path", "test", "accuracy", PATH),
        column("accuracy T - scratch", "test", "accuracy", SCRATCH),
        column("phi F - path", "forget", "phi", PATH),
        column("AUC - path", "forget", "phi_auc", PATH),
        column("RMIA AUC - path", "forget", "rmia_auc", PATH),
        column(
            "outputs on F from path",
            "forget",
            "activation_distance",
            PATH,
        ),
        column("ToW path", "all", "tow", PATH),
        column("ToW scratch", "all", "tow", SCRATCH),
        Column {
            group: Some("exact"),
            ..column(
                "relearning, ln of steps to path's",
                "forget",
                "relearn_log_ratio",
                PATH,
            )
        },
        own("U-LiRA AUC", "forget", "lira_auc"),
        own("passes over F", "all", "unlearning_passes_forget"),
        own("passes over R", "all", "unlearning_passes_retain"),
    ]
};

/// The place of the figure among [`COLUMNS`] that orders the rows: ToW to the path reference.
const ORDER: usize = 10;

/// Exact methods: what they retrain knows nothing of what left.
const EXACT: [&str; 5] = ["retrain", "rollback", "sisa", "ridge", "ranpac"];

/// A method at a task.
pub(super) struct MethodRow {
    pub(super) method: String,
    pub(super) task: i32,
    pub(super) seeds: i64,
    pub(super) verdict: String,
    pub(super) cells: Vec<Cell>,
    /// The relative distance of all weights from the path reference's.
    pub(super) weights: Cell,
    /// Mean seconds of unlearning and of training the task.
    pub(super) seconds: [Option<f64>; 2],
}

impl MethodRow {
    /// Every method, best first: by how near its accuracies on F, R and T are to the path
    /// reference's (ToW), the largest first; undefined ones last, equal ones by name.
    pub(super) fn all(figures: &Figures) -> Vec<Self> {
        let mut rows: Vec<Self> = figures
            .judged()
            .into_iter()
            .map(|judged| Self::of(figures, judged))
            .collect();
        let rank = |row: &Self| row.cells[ORDER].value.unwrap_or(f64::NEG_INFINITY);
        rows.sort_by(|a, b| {
            let by_rank = rank(b).total_cmp(&rank(a));
            by_rank.then_with(|| (&a.method, a.task).cmp(&(&b.method, b.task)))
        });
        rows
    }

    fn of(figures: &Figures, judged: &AuditRow) -> Self {
        let method = &judged.method;
        let own = |population, measure| Wanted::own(method, judged.task, population, measure);
        let cell = |column: &Column| {
            let found = figures.over_seeds(Wanted {
                group: column.group,
                reference: column.reference,
                ..own(column.population, column.measure)
            });
            Cell {
                is_difference: column.reference.is_some(),
                ..Cell::of(found)
            }
        };
        let of_weights = ["all", "heads"].map(|group| {
            figures.over_seeds(Wanted {
                group: Some(group),
                reference: Some(PATH),
                ..own("all", "weight_distance_relative")
            })
        });
        Self {
            task: judged.task,
            seeds: judged.n,
            verdict: judged.group.clone().unwrap_or_default(),
            cells: COLUMNS.iter().map(cell).collect(),
            weights: Cell::of(of_weights.into_iter().flatten().next()),
            seconds: ["unlearning", "training"]
                .map(|phase| figures.seconds(method, judged.task, phase)),
            method: method.clone(),
        }
    }

    /// Whether the method is exact for the part that it retrains.
    pub(super) fn is_exact(&self) -> bool {
        EXACT.contains(&self.method.rsplit('+').next().unwrap_or_default())
    }

    /// The row as a line for people.
    pub(super) fn line(&self) -> String {
        format!(
            "{:<18} task {}: accuracy F - path {}, ToW {}, {}",
            self.method,
            self.task,
            self.cells[0].text(),
            self.cells[ORDER].text(),
            self.verdict
        )
    }
}

/// Seconds for people.
pub(super) fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"))
}

/// The table as CSV: a line for each method, a column each for a figure and the ends of its
/// interval, empty where undefined.
pub(super) fn csv(methods: &[MethodRow]) -> String {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let mut text = String::from("method,task,seeds,verdict");
    for column in &COLUMNS {
        let heading = column.heading;
        text += &format!(",{heading},{heading} low,{heading} high");
    }
    text += ",unlearning seconds,training seconds\n";
    for row in methods {
        text += &format!("{},{},{},{}", row.method, row.task, row.seeds, row.verdict);
        for cell in &row.cells {
            let [low, high] = cell.ends.map_or([None, None], |ends| ends.map(Some));
            text += &format!(",{},{},{}", number(cell.value), number(low), number(high));
        }
        let [unlearning, training] = row.seconds.map(number);
        text += &format!(",{unlearning},{training}\n");
    }
    text
}

/// The table for LaTeX (booktabs): methods as rows, the main figures as columns.
pub(super) fn latex(methods: &[MethodRow]) -> String {
    let escaped = |text: &str| text.replace('_', "\\_").replace('%', "\\%");
    let columns = [0, 2, 4, 7, 9, 10];
    let headings = columns.iter().map(|&place| escaped(COLUMNS[place].heading));
    let mut text = format!(
        "% Differences to the references with 95 % intervals. Needs the package booktabs.\n\\begin{{tabular}}{{l{}l}}\n\\toprule\nmethod & {} & verdict \\\\\n\\midrule\n",
        "r".repeat(columns.len()),
        headings.collect::<Vec<_>>().join(" & ")
    );
    for row in methods {
        let cells = columns.iter().map(|&place| row.cells[place].text());
        let cells: Vec<String> = cells.map(|cell| cell.replace('–', "--")).collect();
        text += &format!(
            "{} & {} & {} \\\\\n",
            escaped(&row.method),
            cells.join(" & "),
            row.verdict
        );
    }
    text + "\\bottomrule\n\\end{tabular}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_small_numbers_and_says_what_is_apart() {
        let cell = |value, ends| Cell {
            value: Some(value),
            ends,
            is_difference: true,
        };
        assert_eq!(cell(0.0, None).text(), "0.000");
        assert_eq!(cell(3e-9, None).text(), "3.0e-9");
        assert_eq!(
            cell(-0.25, Some([-0.5, 0.0])).text(),
            "-0.250 [-0.500, 0.000]"
        );
        assert!(!cell(-0.25, Some([-0.5, 0.0])).is_apart());
        assert!(cell(-0.25, Some([-0.5, -0.1])).is_apart());
        let own = Cell {
            is_difference: false,
            ..cell(5.0, Some([5.0, 5.0]))
        };
        assert!(!own.is_apart());
        assert_eq!(Cell::default().text(), "–");
    }
}
