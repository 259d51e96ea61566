//! The metrics equal the seed's evaluator on every golden case.

use std::collections::BTreeMap;

use incdec::metrics::{Criterion, Metrics, Predictions, evaluate};
use incdec::taxonomy::Taxonomy;
use serde::Deserialize;

use crate::support;

/// The seed's results are 32-bit.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    tag: String,
    n: usize,
    criterion: String,
    labels: Vec<usize>,
    subcategories: Vec<String>,
    probabilities: Vec<Vec<f64>>,
    accuracy: Option<f64>,
    mean_ap: Option<f64>,
    mean_ap_weighted: Option<f64>,
    exact_match: Option<f64>,
    ap_per_class: Vec<Option<f64>>,
    accuracy_per_class: Vec<Option<f64>>,
    precision_per_class: Vec<Option<f64>>,
    recall_per_class: Vec<Option<f64>>,
    ap_per_subcategory: BTreeMap<String, Option<f64>>,
    recall_per_subcategory: BTreeMap<String, Option<f64>>,
    accuracy_per_subcategory: BTreeMap<String, Option<f64>>,
    precision_per_subcategory: BTreeMap<String, Option<f64>>,
    confusion: serde_json::Value,
    pr_curve_class0: Curve,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Curve {
    precision: Vec<f64>,
    recall: Vec<f64>,
}

#[test]
fn every_figure_equals_the_seeds() {
    for file in support::goldens("metrics_goldens.json") {
        let cases: Vec<Case> = support::read_json(&file);
        assert!(!cases.is_empty());
        for case in cases {
            let name = format!("{} {}", file.display(), case.tag);
            check(&name, &case, &metrics_of(&name, &case));
        }
    }
}

fn metrics_of(name: &str, case: &Case) -> Metrics {
    assert_eq!(
        (case.labels.len(), case.probabilities.len()),
        (case.n, case.n),
        "{name}"
    );
    let names: Vec<&String> = case.ap_per_subcategory.keys().collect();
    let index = |x: &String| {
        names
            .binary_search(&x)
            .unwrap_or_else(|_| panic!("{name}: {x} has no figure"))
    };
    let subcategories: Vec<usize> = case.subcategories.iter().map(index).collect();
    let class_of_subcategory: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(x, subcategory)| {
            // The clips tell; for a subcategory without any, the published taxonomy does.
            let clip = subcategories.iter().position(|&s| s == x);
            clip.map(|clip| case.labels[clip])
                .or_else(|| published().class_of(subcategory))
                .unwrap_or_else(|| panic!("{name}: the class of {subcategory} is unknown"))
        })
        .collect();
    #[allow(clippy::cast_possible_truncation)] // The goldens are 32-bit values written out in full.
    let probabilities: Vec<f32> = case
        .probabilities
        .iter()
        .flatten()
        .map(|&p| p as f32)
        .collect();
    evaluate(&Predictions {
        probabilities: &probabilities,
        labels: &case.labels,
        subcategories: &subcategories,
        class_of_subcategory: &class_of_subcategory,
        classes: case.ap_per_class.len(),
        criterion: case.criterion.parse::<Criterion>().unwrap(),
    })
    .unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn published() -> Taxonomy {
    Taxonomy::read(&support::root().join("Kinetics/Info/classes.csv")).unwrap()
}

fn check(name: &str, case: &Case, ours: &Metrics) {
    let figures = &ours.figures;
    let overall = [
        ("accuracy", case.accuracy),
        ("exact_match", case.exact_match),
        ("mean_ap", case.mean_ap),
        ("mean_ap_weighted", case.mean_ap_weighted),
    ];
    for ((metric, golden), (ours_name, value)) in overall.into_iter().zip(figures.overall()) {
        assert_eq!(metric, ours_name);
        same(&format!("{name} {metric}"), &[golden], &[value]);
    }
    let per_class = [
        &case.accuracy_per_class,
        &case.ap_per_class,
        &case.precision_per_class,
        &case.recall_per_class,
    ];
    for (golden, (metric, values)) in per_class.into_iter().zip(figures.per_class()) {
        same(&format!("{name} {metric}"), golden, values);
    }
    let per_subcategory = [
        &case.accuracy_per_subcategory,
        &case.ap_per_subcategory,
        &case.precision_per_subcategory,
        &case.recall_per_subcategory,
    ];
    for (golden, (metric, values)) in per_subcategory.into_iter().zip(figures.per_subcategory()) {
        assert!(
            golden.keys().eq(case.ap_per_subcategory.keys()),
            "{name} {metric}"
        );
        let golden: Vec<_> = golden.values().copied().collect();
        same(&format!("{name} {metric}"), &golden, values);
    }
    let confusion = match &ours.confusion_at_half {
        Some(counts) => serde_json::json!(counts),
        None => serde_json::json!(occurring(&ours.confusion, &case.confusion)),
    };
    assert_eq!(confusion, case.confusion, "{name} confusion");
    let defined = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
    let (golden, curve) = (&case.pr_curve_class0, &ours.pr_curves[0]);
    same(
        &format!("{name} precision"),
        &defined(&golden.precision),
        &defined(&curve.precision),
    );
    same(
        &format!("{name} recall"),
        &defined(&golden.recall),
        &defined(&curve.recall),
    );
}

/// The seed's multiclass matrix may lack the rows and columns of classes that occur neither as truth nor as prediction.
fn occurring(confusion: &[Vec<u64>], golden: &serde_json::Value) -> Vec<Vec<u64>> {
    let kept: Vec<usize> = (0..confusion.len())
        .filter(|&c| {
            golden
                .as_array()
                .is_some_and(|g| g.len() == confusion.len())
                || confusion.iter().any(|row| row[c] > 0)
                || confusion[c].iter().any(|&n| n > 0)
        })
        .collect();
    kept.iter()
        .map(|&u| kept.iter().map(|&v| confusion[u][v]).collect())
        .collect()
}

fn same(name: &str, golden: &[Option<f64>], ours: &[Option<f64>]) {
    assert_eq!(golden.len(), ours.len(), "{name}");
    for (k, (golden, ours)) in golden.iter().zip(ours).enumerate() {
        let close = match (golden, ours) {
            (Some(golden), Some(ours)) => (golden - ours).abs() <= TOLERANCE,
            (golden, ours) => golden == ours,
        };
        assert!(
            close,
            "{name}[{k}]: {golden:?} is the seed's, {ours:?} ours"
        );
    }
}
