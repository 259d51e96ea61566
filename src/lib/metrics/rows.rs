//! The figures of an evaluation as rows of a table.

use super::{Figures, Metrics};

/// What the indices of a taxonomy are called.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The category of each class, `[C]`.
    pub categories: &'a [String],
    /// Class and name of each subcategory, `[S]`, in the taxonomy's order.
    pub subcategories: &'a [(usize, String)],
}

/// One figure as a row of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureRow {
    /// The figure's name.
    pub metric: String,
    /// The category, for figures per class and per subcategory.
    pub category: Option<String>,
    /// The subcategory, for figures per subcategory.
    pub subcategory: Option<String>,
    /// The value; `None` where undefined.
    pub value: Option<f64>,
    /// What was forgotten of it; `None` where undefined or not asked for.
    pub forgetting: Option<f64>,
}

/// All figures as rows, sorted by metric, then class, then subcategory in the taxonomy's order.
///
/// Confusion is among them as counts: `confusion_as_<category>` are the clips of the row's class
/// predicted as that category; `confusion_tn`, `_fp`, `_fn`, `_tp` (multilabel) those of one class
/// against the rest at 0.5. Counts have no forgetting.
///
/// # Panics
/// When there are fewer names than figures.
#[must_use]
pub fn flatten(metrics: &Metrics, forgotten: Option<&Figures>, names: Names<'_>) -> Vec<FigureRow> {
    let mut rows = Vec::new();
    let figures = &metrics.figures;
    for (k, (metric, value)) in figures.overall().into_iter().enumerate() {
        let forgetting = forgotten.and_then(|f| f.overall()[k].1);
        rows.push(row(metric, None, None, value, forgetting));
    }
    let category = |class: usize| Some(names.categories[class].clone());
    for (k, (metric, values)) in figures.per_class().into_iter().enumerate() {
        for (class, &value) in values.iter().enumerate() {
            let forgetting = forgotten.and_then(|f| f.per_class()[k].1[class]);
            rows.push(row(metric, category(class), None, value, forgetting));
        }
    }
    for (k, (metric, values)) in figures.per_subcategory().into_iter().enumerate() {
        for (x, &value) in values.iter().enumerate() {
            let (class, name) = &names.subcategories[x];
            let forgetting = forgotten.and_then(|f| f.per_subcategory()[k].1[x]);
            rows.push(row(
                metric,
                category(*class),
                Some(name.clone()),
                value,
                forgetting,
            ));
        }
    }
    for (label, counts) in metrics.confusion.iter().enumerate() {
        for (predicted, &n) in counts.iter().enumerate() {
            let metric = format!("confusion_as_{}", names.categories[predicted]);
            rows.push(row(&metric, category(label), None, Some(n as f64), None));
        }
    }
    for (class, counts) in metrics.confusion_at_half.iter().flatten().enumerate() {
        let [[tn, fp], [fn_, tp]] = *counts;
        for (kind, n) in [("tn", tn), ("fp", fp), ("fn", fn_), ("tp", tp)] {
            let metric = format!("confusion_{kind}");
            rows.push(row(&metric, category(class), None, Some(n as f64), None));
        }
    }
    // Stable: within a metric the rows already stand in class and taxonomy order.
    rows.sort_by(|a, b| a.metric.cmp(&b.metric));
    rows
}

/// The figures that rows of a table hold, as [`flatten`] made them; those that no row has are undefined.
#[must_use]
pub fn figures_of(rows: &[FigureRow], names: Names<'_>) -> Figures {
    let value = |metric: &str, category: Option<&String>, subcategory: Option<&String>| {
        let is_it = |row: &&FigureRow| {
            row.metric == metric
                && row.category.as_ref() == category
                && row.subcategory.as_ref() == subcategory
        };
        rows.iter().find(is_it).and_then(|row| row.value)
    };
    let overall = |metric: &str| value(metric, None, None);
    let per_class = |metric: &str| {
        let classes = names.categories.iter();
        classes
            .map(|class| value(metric, Some(class), None))
            .collect()
    };
    let per_subcategory = |metric: &str| {
        let all = names.subcategories.iter();
        all.map(|(class, name)| value(metric, names.categories.get(*class), Some(name)))
            .collect()
    };
    Figures {
        accuracy: overall("accuracy"),
        mean_ap: overall("mean_ap"),
        mean_ap_weighted: overall("mean_ap_weighted"),
        exact_match: overall("exact_match"),
        ap_per_class: per_class("ap_per_class"),
        recall_per_class: per_class("recall_per_class"),
        precision_per_class: per_class("precision_per_class"),
        accuracy_per_class: per_class("accuracy_per_class"),
        ap_per_subcategory: per_subcategory("ap_per_subcategory"),
        recall_per_subcategory: per_subcategory("recall_per_subcategory"),
        precision_per_subcategory: per_subcategory("precision_per_subcategory"),
        accuracy_per_subcategory: per_subcategory("accuracy_per_subcategory"),
    }
}

fn row(
    metric: &str,
    category: Option<String>,
    subcategory: Option<String>,
    value: Option<f64>,
    forgetting: Option<f64>,
) -> FigureRow {
    FigureRow {
        metric: metric.to_owned(),
        category,
        subcategory,
        value,
        forgetting,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Criterion, Predictions, evaluate};
    use super::*;

    #[test]
    fn rows_are_sorted_and_carry_names_values_and_forgetting() {
        let evaluated = |probabilities: &[f32]| {
            evaluate(&Predictions {
                probabilities,
                labels: &[0, 1],
                subcategories: &[0, 1],
                class_of_subcategory: &[0, 1],
                classes: 2,
                criterion: Criterion::Multilabel,
            })
            .unwrap()
        };
        let first = evaluated(&[0.9, 0.1, 0.2, 0.8]);
        let second = evaluated(&[0.1, 0.9, 0.2, 0.8]);
        let forgotten = forgetting_of(&first, &second);
        let names = Names {
            categories: &["food".into(), "phone".into()],
            subcategories: &[(0, "eating cake".into()), (1, "texting".into())],
        };
        let rows = flatten(&second, Some(&forgotten), names);
        assert!(rows.is_sorted_by(|a, b| a.metric <= b.metric));
        assert_eq!(figures_of(&rows, names), second.figures, "and back");
        assert_eq!(rows.len(), 4 + 4 * 2 + 4 * 2 + 4 + 8);
        let find = |metric: &str, category: Option<&str>, subcategory: Option<&str>| {
            rows.iter()
                .find(|r| {
                    r.metric == metric
                        && r.category.as_deref() == category
                        && r.subcategory.as_deref() == subcategory
                })
                .unwrap()
        };
        let accuracy = find("accuracy", None, None);
        assert_eq!(
            (accuracy.value, accuracy.forgetting),
            (Some(0.5), Some(0.5))
        );
        let recall = find("recall_per_subcategory", Some("food"), Some("eating cake"));
        assert_eq!((recall.value, recall.forgetting), (Some(0.0), Some(1.0)));
        let mistaken = find("confusion_as_phone", Some("food"), None);
        assert_eq!((mistaken.value, mistaken.forgetting), (Some(1.0), None));
        assert_eq!(find("confusion_fp", Some("phone"), None).value, Some(1.0));
    }

    fn forgetting_of(first: &Metrics, second: &Metrics) -> Figures {
        super::super::forgetting_of_figures(&[&first.figures, &second.figures])
    }
}
