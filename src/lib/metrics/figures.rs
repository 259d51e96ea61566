//! The figures of an evaluation as one struct.

/// One evaluation's figures, each in 0..1; or, element by element, what was forgotten of them
/// (which may be negative).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The share of clips whose largest probability is that of their class.
    pub accuracy: Option<f64>,
    /// The mean of `ap_per_class` over the classes that have one.
    pub mean_ap: Option<f64>,
    /// The same mean, weighted by the classes' numbers of clips.
    pub mean_ap_weighted: Option<f64>,
    /// The share of clips with exactly their class at 0.5 or above; undefined for multiclass.
    pub exact_match: Option<f64>,
    /// Average precision, each class against all others, `[C]`.
    pub ap_per_class: Vec<Option<f64>>,
    /// The share of a class's clips that is predicted as it, `[C]`; 0 for an absent class.
    pub recall_per_class: Vec<Option<f64>>,
    /// The share of the clips predicted as a class that is of it, `[C]`; 0 for a class never
    /// predicted.
    pub precision_per_class: Vec<Option<f64>>,
    /// The share of clips on the right side of "this class or not", `[C]`.
    pub accuracy_per_class: Vec<Option<f64>>,
    /// Average precision of a subcategory's clips against all clips of other classes, `[S]`.
    pub ap_per_subcategory: Vec<Option<f64>>,
    /// The share of a subcategory's clips that is predicted as its class, `[S]`; 0 for an absent
    /// one.
    pub recall_per_subcategory: Vec<Option<f64>>,
    /// Precision of the class among a subcategory's clips and those of other classes, `[S]`.
    pub precision_per_subcategory: Vec<Option<f64>>,
    /// Accuracy of the class among a subcategory's clips and those of other classes, `[S]`.
    pub accuracy_per_subcategory: Vec<Option<f64>>,
}

impl Figures {
    /// The overall figures with their names.
    #[must_use]
    pub fn overall(&self) -> [(&'static str, Option<f64>); 4] {
        [
            ("accuracy", self.accuracy),
            ("exact_match", self.exact_match),
            ("mean_ap", self.mean_ap),
            ("mean_ap_weighted", self.mean_ap_weighted),
        ]
    }

    /// The figures per class with their names.
    #[must_use]
    pub fn per_class(&self) -> [(&'static str, &[Option<f64>]); 4] {
        [
            ("accuracy_per_class", &self.accuracy_per_class),
            ("ap_per_class", &self.ap_per_class),
            ("precision_per_class", &self.precision_per_class),
            ("recall_per_class", &self.recall_per_class),
        ]
    }

    /// The figures per subcategory with their names.
    #[must_use]
    pub fn per_subcategory(&self) -> [(&'static str, &[Option<f64>]); 4] {
        [
            ("accuracy_per_subcategory", &self.accuracy_per_subcategory),
            ("ap_per_subcategory", &self.ap_per_subcategory),
            ("precision_per_subcategory", &self.precision_per_subcategory),
            ("recall_per_subcategory", &self.recall_per_subcategory),
        ]
    }

    /// Combines several evaluations element by element, in the order given.
    ///
    /// # Panics
    /// When they are not of the same taxonomy.
    pub(super) fn combine(all: &[&Figures], f: impl Fn(&[Option<f64>]) -> Option<f64>) -> Figures {
        let one = |field: fn(&Figures) -> Option<f64>| {
            f(&all.iter().map(|figures| field(figures)).collect::<Vec<_>>())
        };
        let each = |field: fn(&Figures) -> &Vec<Option<f64>>| {
            let length = all.last().map_or(0, |figures| field(figures).len());
            (0..length)
                .map(|k| {
                    f(&all
                        .iter()
                        .map(|figures| field(figures)[k])
                        .collect::<Vec<_>>())
                })
                .collect()
        };
        Figures {
            accuracy: one(|m| m.accuracy),
            mean_ap: one(|m| m.mean_ap),
            mean_ap_weighted: one(|m| m.mean_ap_weighted),
            exact_match: one(|m| m.exact_match),
            ap_per_class: each(|m| &m.ap_per_class),
            recall_per_class: each(|m| &m.recall_per_class),
            precision_per_class: each(|m| &m.precision_per_class),
            accuracy_per_class: each(|m| &m.accuracy_per_class),
            ap_per_subcategory: each(|m| &m.ap_per_subcategory),
            recall_per_subcategory: each(|m| &m.recall_per_subcategory),
            precision_per_subcategory: each(|m| &m.precision_per_subcategory),
            accuracy_per_subcategory: each(|m| &m.accuracy_per_subcategory),
        }
    }
}
