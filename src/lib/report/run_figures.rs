//! The figures that a run recorded, by what they are about.

use std::collections::{BTreeMap, BTreeSet};

use crate::clip::Split;
use crate::tables::MetricRow;

/// The figures of `metrics.parquet` by what they are about.
#[derive(Clone, Debug, Default)]
pub(super) struct RunFigures(BTreeMap<FigureKey, (Option<f64>, Option<f64>)>);

/// Task, split, metric, class, subcategory.
pub(super) type FigureKey = (i32, Split, String, Option<String>, Option<String>);

impl RunFigures {
    pub(super) fn new(rows: Vec<MetricRow>) -> Self {
        let rows = rows.into_iter().map(|r| {
            let key = (r.task, r.split, r.metric, r.category, r.subcategory);
            (key, (r.value, r.forgetting))
        });
        Self(rows.collect())
    }

    /// The tasks that were evaluated, in order.
    pub(super) fn tasks(&self) -> Vec<i32> {
        let tasks: BTreeSet<i32> = self.0.keys().map(|k| k.0).collect();
        tasks.into_iter().collect()
    }

    /// Value and forgetting of an overall figure.
    pub(super) fn overall(&self, task: i32, split: Split, metric: &str) -> Measured {
        self.get(task, split, metric, None, None)
    }

    /// Value and forgetting of any figure; nothing where there is no such row.
    pub(super) fn get(
        &self,
        task: i32,
        split: Split,
        metric: &str,
        class: Option<&str>,
        subcategory: Option<&str>,
    ) -> Measured {
        let text = |t: Option<&str>| t.map(str::to_owned);
        let key = (
            task,
            split,
            metric.to_owned(),
            text(class),
            text(subcategory),
        );
        let (value, forgetting) = self.0.get(&key).copied().unwrap_or_default();
        Measured { value, forgetting }
    }

    pub(super) fn iter(
        &self,
    ) -> impl Iterator<Item = (&FigureKey, &(Option<f64>, Option<f64>))> + '_ {
        self.0.iter()
    }
}

/// A figure and what was forgotten of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measured {
    pub(super) value: Option<f64>,
    pub(super) forgetting: Option<f64>,
}
