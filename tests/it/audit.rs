//! The audit's measures equal the goldens of an independent implementation.

use std::collections::BTreeMap;

use incdec::audit::epsilon::{forget_quality, per_clip};
use incdec::audit::gap::{SetFigures, aus, final_score, nomus, tow};
use incdec::audit::interval::{Draw, Side, TInterval, paired_bootstrap, t_interval};
use incdec::audit::lira::{Status, Variance, lira};
use incdec::audit::membership::{Attack, attack, auc};
use incdec::audit::probe::{ProbeSet, probe};
use incdec::audit::rmia::{Probabilities, choose_a, scores};
use incdec::audit::scores::{activation_distance, clip_losses, js_divergence, phi};
use incdec::audit::sequence::{Request, erosion, relapse, reversal};
use incdec::audit::verdict::verdict;
use incdec::audit::weight_distance::weight_distance;
use incdec::audit::{Rows, cka, klom};
use incdec::metrics::{Criterion, Sequence, continual};
use serde_json::{Value, json};

use crate::golden::{Case, Cases, Fields, Matrix, word};
use crate::support;

/// The file of the audit's goldens.
const GOLDENS: &str = "audit_goldens.json";

#[test]
fn every_measure_equals_the_goldens() {
    for file in support::goldens(GOLDENS) {
        let cases: Cases = support::read_json(&file);
        assert!(!cases.cases.is_empty());
        for case in &cases.cases {
            case.compare(&file, &measure(case));
        }
    }
}

/// What ours gives for a case, in the golden's form.
fn measure(case: &Case) -> Value {
    let inputs = &case.inputs;
    match case.function.as_str() {
        "phi" | "clip_losses" | "activation_distance" | "js_divergence" | "gap_table" => {
            of_outputs(case)
        }
        "tow" => tow_over_seeds(inputs),
        "t_interval" => interval(t_interval(&inputs.optional("values"))),
        "aus" => word(aus(
            inputs.maybe("test_original"),
            inputs.maybe("test_unlearned"),
            inputs.maybe("forget_unlearned"),
        )),
        "nomus" => word(nomus(
            inputs.maybe("test_unlearned"),
            inputs.maybe("attack_accuracy"),
        )),
        "final_score" => word(final_score(
            inputs.maybe("forget_quality"),
            (
                inputs.maybe("retain_unlearned"),
                inputs.maybe("retain_reference"),
            ),
            (
                inputs.maybe("test_unlearned"),
                inputs.maybe("test_reference"),
            ),
        )),
        "attack" => {
            attack_json(attack(&inputs.numbers("members"), &inputs.numbers("others")).unwrap())
        }
        "rmia" | "rmia_choose_a" => of_rmia(case),
        "lira" => of_lira(inputs),
        "klom" => {
            let (u, r) = (inputs.matrix("unlearned"), inputs.matrix("oracles"));
            let found = klom::klom(u.rows(), r.rows()).unwrap();
            json!({"per_clip": found.per_clip, "mean": found.mean, "p95": found.p95})
        }
        "epsilon" => {
            let (u, r) = (inputs.matrix("unlearned"), inputs.matrix("retrained"));
            let found = per_clip(u.rows(), r.rows()).unwrap();
            let defined: Vec<f64> = found.iter().flatten().copied().collect();
            let models = u.rows().count().min(r.rows().count());
            json!({"per_clip": found, "forget_quality": forget_quality(&defined, models)})
        }
        "forget_quality" => word(forget_quality(
            &inputs.numbers("epsilons"),
            inputs.whole("models"),
        )),
        "probe" => of_probe(inputs),
        "cka" => {
            let (x, y) = (inputs.matrix("x"), inputs.matrix("y"));
            let found = cka::cka(x.rows(), y.rows()).unwrap();
            json!({"biased": found.biased, "debiased": found.debiased})
        }
        "weight_distance" => {
            let model = |side| -> BTreeMap<String, Vec<f64>> { inputs.parse(side) };
            let found = weight_distance(&model("unlearned"), &model("reference")).unwrap();
            let entry = |d: incdec::audit::weight_distance::Distance| json!({"l2": d.l2, "relative": d.relative});
            found
                .into_iter()
                .map(|(group, d)| (group, entry(d)))
                .collect()
        }
        "erosion" | "reversal" | "relapse" => of_sequence(case),
        "paired_bootstrap" => of_bootstrap(inputs),
        "verdict" => {
            let interval = |name| -> Option<[f64; 2]> { inputs.parse(name) };
            let found = verdict(
                interval("forget_accuracy_difference"),
                interval("auc_difference"),
            );
            json!(found.to_string())
        }
        "continual" => of_continual(inputs),
        other => panic!("{}: no measure is called {other}", case.id),
    }
}

fn of_outputs(case: &Case) -> Value {
    let inputs = &case.inputs;
    let criterion: Criterion = inputs.text("criterion").parse().unwrap();
    let labels = |fields: &Fields| -> Vec<usize> { fields.parse("labels") };
    let pair = || (inputs.matrix("unlearned"), inputs.matrix("reference"));
    match case.function.as_str() {
        "phi" => json!(phi(criterion, inputs.matrix("logits").rows(), &labels(inputs)).unwrap()),
        "clip_losses" => {
            json!(clip_losses(criterion, inputs.matrix("logits").rows(), &labels(inputs)).unwrap())
        }
        "activation_distance" => {
            let (u, r) = pair();
            word(activation_distance(criterion, u.rows(), r.rows()).unwrap())
        }
        "js_divergence" => {
            let (u, r) = pair();
            word(js_divergence(criterion, u.rows(), r.rows()).unwrap())
        }
        _ => {
            let sets: BTreeMap<String, Fields> = inputs.parse("sets");
            let (mut table, mut accuracies) = (serde_json::Map::new(), Vec::new());
            for (name, set) in sets {
                let of = |side| {
                    SetFigures::of(criterion, set.matrix(side).rows(), &labels(&set)).unwrap()
                };
                let (u, r) = (of("unlearned"), of("reference"));
                let figures =
                    |f: SetFigures| json!({"accuracy": f.accuracy, "loss": f.loss, "phi": f.phi});
                accuracies.push((u.accuracy, r.accuracy));
                let row = json!({
                    "unlearned": figures(u), "reference": figures(r), "gap": figures(u.minus(r)),
                });
                table.insert(name, row);
            }
            table.insert("tow".to_owned(), word(tow(&accuracies)));
            Value::Object(table)
        }
    }
}

fn tow_over_seeds(inputs: &Fields) -> Value {
    let seeds: Vec<Fields> = inputs.parse("seeds");
    let per_seed: Vec<Option<f64>> = seeds
        .iter()
        .map(|seed| {
            let pairs = seed
                .optional("unlearned")
                .into_iter()
                .zip(seed.optional("reference"));
            tow(&pairs.collect::<Vec<_>>())
        })
        .collect();
    json!({"per_seed": per_seed, "interval": interval(t_interval(&per_seed))})
}

fn interval(found: TInterval) -> Value {
    json!({"mean": found.mean, "low": found.low, "high": found.high})
}

fn attack_json(found: Attack) -> Value {
    json!({
        "auc": found.auc,
        "tpr_at_1": found.tpr_at_1,
        "tpr_at_01": found.tpr_at_01,
        "resolved_1": found.resolved_1,
        "resolved_01": found.resolved_01,
        "balanced_best": found.balanced_best,
        "balanced_cv": found.balanced_cv,
    })
}

fn of_rmia(case: &Case) -> Value {
    let inputs = &case.inputs;
    let (target, population_target) = (
        inputs.numbers("target"),
        inputs.numbers("population_target"),
    );
    let (references, population) = (
        inputs.matrix("references"),
        inputs.matrix("population_references"),
    );
    let never_saw = inputs.parse::<Vec<Vec<bool>>>("never_saw").concat();
    let probabilities = Probabilities {
        target: &target,
        references: references.rows(),
        never_saw: &never_saw,
        population_target: &population_target,
        population_references: population.rows(),
    };
    if case.function == "rmia" {
        return json!(scores(&probabilities, inputs.number("a")).unwrap());
    }
    let member: Vec<bool> = inputs.parse("member");
    let choice = choose_a(&probabilities, &member).unwrap();
    json!({"a": choice.a, "aucs": choice.aucs})
}

fn of_lira(inputs: &Fields) -> Value {
    let phi = inputs.matrix("phi");
    let status: Vec<Status> = inputs
        .parse::<Vec<String>>("status")
        .concat()
        .chars()
        .map(|letter| match letter {
            'u' => Status::Unlearned,
            'r' => Status::Retained,
            'h' => Status::HeldOut,
            other => panic!("{other} is no status"),
        })
        .collect();
    let variance = match inputs.text("variance") {
        "auto" => Variance::Auto,
        "per-clip" => Variance::PerClip,
        "pooled" => Variance::Pooled,
        other => panic!("{other} is no variance"),
    };
    let found = lira(phi.rows(), &status, variance).unwrap();
    let width = phi.rows().width().max(1);
    json!({
        "pooled": found.pooled,
        "scores": found.scores.chunks(width).collect::<Vec<_>>(),
        "attack": attack_json(found.attack),
        "skipped": found.skipped,
        "auc_per_clip": found.auc_per_clip,
    })
}

fn of_probe(inputs: &Fields) -> Value {
    fn set<'a>(features: &'a Matrix, positive: &'a [bool]) -> ProbeSet<'a> {
        ProbeSet {
            features: features.rows(),
            positive,
        }
    }
    let (train, judged) = (
        inputs.matrix("features"),
        inputs.matrix("evaluated_features"),
    );
    let positive: Vec<bool> = inputs.parse("positive");
    let judged_positive: Vec<bool> = inputs.parse("evaluated_positive");
    let found = probe(
        set(&train, &positive),
        set(&judged, &judged_positive),
        inputs.number("strength"),
    );
    let found = found.unwrap();
    let weights = found.as_ref().map(|found| &found.weights);
    json!({"ap": found.as_ref().map(|found| found.ap), "weights": weights})
}

fn of_sequence(case: &Case) -> Value {
    let inputs = &case.inputs;
    let pair = |name| -> [Option<f64>; 2] { inputs.optional(name).try_into().unwrap() };
    match case.function.as_str() {
        "erosion" => {
            let column = |name| inputs.optional(name);
            let (before, after) = (column("before"), column("after"));
            let (end, reference) = (column("end_of_task"), column("path_reference_end"));
            let requests: Vec<Request> = (0..before.len())
                .map(|i| Request {
                    before: before[i],
                    after: after[i],
                    end_of_task: end[i],
                    path_reference_end: reference[i],
                })
                .collect();
            let found = erosion(&requests);
            json!({
                "step": found.step, "mean_step": found.mean_step, "gap": found.gap, "slope": found.slope,
            })
        }
        "reversal" => {
            let (wrong, right): (Vec<bool>, Vec<bool>) =
                (inputs.parse("wrong_after"), inputs.parse("right_later"));
            let found = reversal(&wrong, &right).unwrap();
            json!({"wrong": found.wrong, "returned": found.returned, "share": found.share})
        }
        _ => {
            let found = relapse(pair("unlearned"), pair("path_reference"));
            json!({"own": found.own, "reference": found.reference, "net": found.net})
        }
    }
}

fn of_bootstrap(inputs: &Fields) -> Value {
    let (u, r) = (inputs.matrix("unlearned"), inputs.matrix("reference"));
    let strata: Vec<Vec<usize>> = inputs.parse("strata");
    let draws = inputs
        .parse::<Vec<Fields>>("draws")
        .into_iter()
        .map(|draw| Draw {
            seeds: draw.parse("seeds"),
            clips: draw.parse("clips"),
        });
    let row = |side, seed: usize| match side {
        Side::Unlearned => u.rows().row(seed),
        Side::Reference => r.rows().row(seed),
    };
    let found =
        paired_bootstrap(u.rows().count(), &strata, draws, |side, seed, clips| {
            let row = row(side, seed);
            let values = |places: &[usize]| places.iter().map(|&c| row[c]).collect::<Vec<f64>>();
            match inputs.text("statistic") {
                "mean" => Ok((!clips.is_empty())
                    .then(|| values(clips).iter().sum::<f64>() / clips.len() as f64)),
                "auc" => {
                    let (members, others) = clips.split_at(strata[0].len());
                    auc(&values(members), &values(others))
                }
                other => panic!("{other} is no statistic"),
            }
        });
    let found = found.unwrap();
    json!({
        "estimate": found.estimate,
        "replicates": found.replicates,
        "interval": {"low": found.low, "high": found.high, "defined": found.defined},
    })
}

fn of_continual(inputs: &Fields) -> Value {
    let figures: Vec<Vec<Option<f64>>> = inputs.parse("matrix");
    let present: Vec<Vec<bool>> = inputs.parse("present");
    let list = |name| -> Option<Vec<Option<f64>>> { inputs.parse(name) };
    let (random, joint) = (list("random"), list("joint"));
    let found = continual(&Sequence {
        figures: &figures,
        present: &present,
        random: random.as_deref(),
        joint: joint.as_deref(),
    });
    json!({
        "average": found.average,
        "average_available": found.average_available,
        "average_withdrawn": found.average_withdrawn,
        "average_not_yet": found.average_not_yet,
        "aaa": found.aaa,
        "bwt": found.bwt,
        "fwt": found.fwt,
        "forgetting": found.forgetting,
        "forgetting_available": found.forgetting_available,
        "forgetting_withdrawn": found.forgetting_withdrawn,
        "intransigence": found.intransigence,
    })
}

#[test]
fn an_exact_method_has_an_attack_at_one_half() {
    // Whether a shadow unlearned a clip or never saw it changes nothing: both are the same draw.
    use rand::RngExt;
    let (shadows, clips) = (64, 24);
    let mut rng = incdec::random::stream(7, "exact", &[]);
    let values: Vec<f64> = (0..shadows * clips)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let status: Vec<Status> = (0..shadows as u64)
        .flat_map(|s| incdec::audit::lira::deal(7, s, clips))
        .collect();
    let rows = Rows::new(&values, shadows, clips).unwrap();
    let found = lira(rows, &status, Variance::Auto).unwrap();
    assert!(
        (found.attack.auc.unwrap() - 0.5).abs() < 0.05,
        "{:?}",
        found.attack
    );
}
