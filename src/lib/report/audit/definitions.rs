//! What every measure is, for the page's foot.

/// A measure, or the beginning of the names of several, and what it is.
pub(super) const DEFINITIONS: &[(&str, &str)] = &[
    (
        "accuracy",
        "share of clips whose class has the largest logit, the lowest of equal ones",
    ),
    (
        "activation_distance",
        "mean over clips of the Euclidean norm of the difference of two models' probabilities",
    ),
    (
        "ap",
        "average precision of a subcategory's test clips against those of other classes",
    ),
    (
        "aus",
        "adaptive unlearning score: test accuracy kept over 1 plus the distance of test and forget accuracy; it knows no reference and orders nothing here",
    ),
    (
        "cka",
        "debiased centred kernel alignment of two models' features: about 0 for independent ones, at most 1; undefined below 4 clips",
    ),
    (
        "cka_biased",
        "the same with the usual estimate, which is near 1 for anything where there are more features than clips",
    ),
    (
        "erosion_gap",
        "mean AP of available subcategories that is missing to the path reference at the end of a request's task",
    ),
    (
        "erosion_slope",
        "how that gap grows a request, by least squares",
    ),
    (
        "erosion_step",
        "mean AP of available subcategories before less after unlearning",
    ),
    (
        "forget_quality",
        "mean over what left of 2^-k, k from how well an observer tells shadow heads that unlearned a clip from those that never saw it; about 0.1 for a perfect method: read it beside its floor",
    ),
    (
        "forget_quality_final",
        "forget quality times the accuracy on R and on T over the path reference's",
    ),
    (
        "js",
        "mean Jensen-Shannon divergence of two models' probabilities, 0 to ln 2",
    ),
    (
        "klom_",
        "Kullback-Leibler divergence, clip by clip, of the confidences of a hundred unlearned models and more from the path references', in 20 bins; mean: over clips, p95: their 95th percentile; 0 is equal, 11.5 apart; read it beside its floor",
    ),
    (
        "lira_",
        "U-LiRA over shadow heads: members were trained on and unlearned by the method, others never seen; 0.5 is what an exact head must give. The heads stand on the features of the model before the withdrawal, or on the table of a head; they unlearn and train no task behind it",
    ),
    (
        "lira_klom_",
        "the divergence of the confidences of shadow heads that unlearned a clip from those that never saw it; told from a hundred heads of each kind on",
    ),
    ("loss", "mean classification loss"),
    ("mean_ap", "mean over classes of the average precision"),
    (
        "memorisation",
        "mean loss of a clip over shadow heads that never saw it less that over those that did",
    ),
    (
        "nomus",
        "half test accuracy, half how near an attack is to guessing; it knows no reference and orders nothing here",
    ),
    (
        "phi",
        "mean scaled confidence in the true class: its logit, or its logit less the log-sum-exp of the others",
    ),
    (
        "phi_",
        "a membership attack by confidence: members what left, others the test clips of the same subcategories. auc: share of pairs in which the member scores higher; tpr_at_1 and tpr_at_01: true positive rate at most 1 % and 0.1 % false positives; balanced_best: the best balanced accuracy, chosen on these very clips; balanced_cv: the same by thresholds of other folds; resolved: whether there are others enough for the rate (0: it is the rate without any false positive)",
    ),
    (
        "probe_ap",
        "average precision of a ridge classifier on frozen features that tells what left from its siblings (same category), or from other categories",
    ),
    (
        "relapse",
        "AP of a withdrawn subcategory later less right after its request; beside the path reference's",
    ),
    (
        "relearn_given_up",
        "1 where so many steps did not bring what left back: 20 passes over it",
    ),
    (
        "relearn_log_ratio",
        "natural logarithm of a model's steps over the reference's; below 0: it knows more of what left than one that never saw it. exact: both came to know it; at least, at most: one was given up, and this is a bound; undefined: both were. A dash where one had nothing to learn",
    ),
    (
        "relearn_steps",
        "steps of the run's optimizer on what left alone, at its later rates without decay, until its mean loss is at most 1.05 times that of the model before",
    ),
    (
        "reversal",
        "share of withdrawn clips wrong right after their unlearning that are right later",
    ),
    (
        "rmia_",
        "the same figures of RMIA, an attack by likelihood ratios to the path references of other seeds",
    ),
    (
        "tow",
        "tug of war: product over F, R and T of 1 less the distance of accuracies; 1 is the reference's behaviour",
    ),
    (
        "unlearning_passes_",
        "visits of clips that unlearning really made, over their number: of F (forget), R (retain), held-out clips (held_out); training and looking alike; of rollback what it trained again",
    ),
    (
        "verdict",
        "from the intervals of the differences of accuracy on F and of the attack's AUC to the path reference",
    ),
    (
        "weight_distance",
        "Euclidean distance of weights by part of the network; two seeds of a reference can be further apart than a model and the one before it, so never evidence alone",
    ),
    (
        "weight_distance_relative",
        "the same over the norm of the reference's weights",
    ),
    (
        "zrf",
        "zero retrain forgetting: 1 less the mean Jensen-Shannon divergence on what left from a network with new weights; the reference's value is the aim, not 1",
    ),
];

/// What an ending of a measure's name means.
pub(super) const FLOOR: &str = "_floor: the same between two references of different seeds, which no method can be expected to fall below";

/// What a page of an audit states, whatever it shows.
pub(super) const STATEMENTS: [&str; 3] = [
    "Weights cannot prove what they were not trained on, since another data set can give the same ones; only a recorded, checkable procedure can be shown (Thudi et al., arXiv 2110.11891).",
    "An attack that fails bounds that attack only; population attacks overstate privacy (arXiv 2403.01218).",
    "Whether a model is anonymous is decided case by case, by how likely extraction and queries are with all reasonable means, and must be documented (EDPB Opinion 28/2024): these figures are material for that, not the decision.",
];
