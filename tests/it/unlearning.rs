//! The pieces of unlearning that are decided on plain data equal the goldens of an independent implementation.

use std::collections::{BTreeMap, BTreeSet};

use incdec::audit::relearn::{RelearnTime, ratio};
use incdec::unlearning::exact_head::{Clip, ExactHead, Expansion, POWERS, Ridge};
use incdec::unlearning::{masks, rates, sets, sisa};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::golden::{Case, Fields, word};
use crate::support;

/// The file of the goldens of unlearning.
const GOLDENS: &str = "unlearning_goldens.json";
/// Pieces that need tensors; the tests of training compare them.
const OF_TENSORS: &[&str] = &[
    "distance",
    "transpose_kernel",
    "refreshed_norms",
    "movinet_tensors",
    "outcome by method and set sizes",
];

#[derive(Deserialize)]
struct Pieces {
    pieces: Vec<Case>,
}

#[test]
fn every_piece_equals_the_goldens() {
    for file in support::goldens(GOLDENS) {
        let goldens: Pieces = support::read_json(&file);
        assert!(!goldens.pieces.is_empty());
        for case in &goldens.pieces {
            if !OF_TENSORS.contains(&case.function.as_str()) {
                case.compare(&file, &piece(case));
            }
        }
    }
}

/// What ours gives for a case, in the golden's form.
fn piece(case: &Case) -> Value {
    let inputs = &case.inputs;
    match case.function.as_str() {
        "rate factors, epochs from 1"
        | "rate factors, epochs from 0"
        | "penalty factors, epochs from 0" => factors(case),
        "scrub_rewind" => json!(rates::rewind(
            &inputs.numbers("forget_errors"),
            &inputs.numbers("heldout_errors"),
        )),
        "top_mask" => top_mask(inputs),
        "small_gradient_mask" => {
            let (flat, shape) = flatten(&inputs.parse::<Value>("gradient"));
            shaped(&masks::smallest(&flat, inputs.number("share")), &shape)
        }
        "dampening" => {
            let tensors = |name| -> BTreeMap<String, Vec<f64>> { inputs.parse(name) };
            let (all, forget) = (tensors("importance_all"), tensors("importance_forget"));
            let factor = |(all, forget): (&f64, &f64)| {
                masks::dampening(
                    *all,
                    *forget,
                    inputs.number("alpha"),
                    inputs.number("lambda"),
                )
            };
            let tensor = |name: &String| -> Vec<f64> {
                all[name].iter().zip(&forget[name]).map(factor).collect()
            };
            all.keys()
                .map(|name| (name.clone(), json!(tensor(name))))
                .collect()
        }
        "relearn_ratio" => {
            let time = |name| {
                let side: Fields = inputs.parse(name);
                RelearnTime {
                    steps: side.parse("steps"),
                    censored: side.parse("censored"),
                }
            };
            let (found, bound) = ratio(time("unlearned"), time("reference"));
            json!({"ratio": word(found), "bound": bound.name()})
        }
        "sets_at" => {
            let lists: Vec<Vec<String>> = inputs.parse("train_lists");
            let task = inputs.whole("task");
            let found = sets::change(&lists, task);
            json!({
                "forget": found.forget,
                "retain": found.retain,
                "arrived": found.arrived,
                "departed": found.departed,
                "path_lists": sets::path_lists(&lists, task),
                "scratch_list": lists[task],
            })
        }
        "populations" => {
            let lists: Vec<Vec<String>> = inputs.parse("train_lists");
            let group_of: BTreeMap<String, String> = inputs.parse("group_of");
            let found = sets::populations(&lists, &group_of, inputs.whole("task"));
            json!({
                "available": found.available,
                "withdrawn": found.withdrawn,
                "not_yet": found.not_yet,
            })
        }
        "exact_head" => exact_head(inputs),
        "sisa_plan" => sisa_plan(inputs),
        "sisa_logits" => {
            let logits: Vec<Vec<Vec<f64>>> = inputs.parse("logits");
            let holds: Vec<Vec<bool>> = inputs.parse("holds");
            let clips = logits.first().map_or(0, Vec::len);
            let of = |clip: usize| {
                let rows: Vec<&[f64]> = logits.iter().map(|shard| &shard[clip][..]).collect();
                sisa::ensemble(&rows, &holds)
            };
            json!((0..clips).map(of).collect::<Vec<_>>())
        }
        other => panic!("{}: no piece is called {other}", case.id),
    }
}

fn factors(case: &Case) -> Value {
    let inputs = &case.inputs;
    let epochs: u32 = inputs.parse("epochs");
    let kind = case.id.split('/').nth(1).unwrap();
    let all: Vec<f64> = match kind {
        "scrub" => {
            let after: Vec<u32> = inputs.parse("decay_after");
            let decay = inputs.number("decay_factor");
            (1..=epochs)
                .map(|e| rates::milestones(e, &after, decay))
                .collect()
        }
        "msg" => (1..=epochs)
            .map(|e| rates::up_and_down(e, epochs))
            .collect(),
        "cosine" => (0..epochs).map(|e| rates::cosine(e, epochs)).collect(),
        "l1" => {
            let without = inputs.parse("without_l1");
            (0..epochs)
                .map(|e| rates::penalty(e, epochs, without))
                .collect()
        }
        other => panic!("no schedule is called {other}"),
    };
    json!(all)
}

/// The numbers of nested lists in C order, and the lists without numbers.
fn flatten(value: &Value) -> (Vec<f64>, Value) {
    match value {
        Value::Array(items) => {
            let (numbers, shapes): (Vec<_>, Vec<_>) = items.iter().map(flatten).unzip();
            (numbers.concat(), Value::Array(shapes))
        }
        number => (vec![number.as_f64().unwrap()], Value::Null),
    }
}

/// A mask as nested lists of 0 and 1.
fn shaped(mask: &[bool], shape: &Value) -> Value {
    fn fill(mask: &mut impl Iterator<Item = bool>, shape: &Value) -> Value {
        match shape {
            Value::Array(items) => items.iter().map(|item| fill(mask, item)).collect(),
            _ => json!(f64::from(u8::from(mask.next().unwrap()))),
        }
    }
    fill(&mut mask.iter().copied(), shape)
}

fn top_mask(inputs: &Fields) -> Value {
    let gradients: BTreeMap<String, Value> = inputs.parse("gradients");
    let flat: BTreeMap<String, (Vec<f64>, Value)> = gradients
        .iter()
        .map(|(name, values)| (name.clone(), flatten(values)))
        .collect();
    let numbers = flat
        .iter()
        .map(|(name, (numbers, _))| (name.clone(), numbers.clone()));
    let mask = masks::largest(&numbers.collect(), inputs.number("share"));
    let tensor = |(name, mask): (String, Vec<bool>)| {
        let shape = &flat[&name].1;
        let values = shaped(&mask, shape);
        (name, values)
    };
    mask.into_iter().map(tensor).collect()
}

fn exact_head(inputs: &Fields) -> Value {
    let features: Vec<Vec<f64>> = inputs.parse("features");
    let labels: Vec<usize> = inputs.parse("labels");
    let validation_features: Vec<Vec<f64>> = inputs.parse("validation_features");
    let validation_labels: Vec<usize> = inputs.parse("validation_labels");
    assert_eq!(
        inputs.parse::<Vec<i32>>("powers"),
        POWERS.collect::<Vec<_>>()
    );
    let names: Vec<String> = (0..features.len()).map(|i| format!("{i}")).collect();
    let clip = |i: usize| Clip {
        id: &names[i],
        feature: &features[i],
        class: labels[i],
    };
    let width = features[0].len();
    let expansion = match inputs.parse::<Option<Vec<Vec<f64>>>>("projection") {
        None => Expansion::Ridge { width },
        Some(rows) => Expansion::Projection {
            width,
            matrix: rows.concat(),
        },
    };
    let validation: Vec<Clip<'_>> = validation_features
        .iter()
        .zip(&validation_labels)
        .map(|(feature, &class)| Clip {
            id: "validation",
            feature,
            class,
        })
        .collect();
    let mut head = ExactHead::new(expansion, inputs.whole("classes"));
    (0..features.len()).for_each(|i| head.add(clip(i)).unwrap());
    let before = head.fit(&validation).unwrap().unwrap();
    let (trace, gram, moment) = (head.trace(), head.gram_row(0), head.moment_row(0));
    for i in inputs.parse::<Vec<usize>>("forget") {
        head.remove(clip(i)).unwrap();
    }
    let kept: Vec<Clip<'_>> = inputs
        .parse::<Vec<usize>>("validation_after")
        .into_iter()
        .map(|i| validation[i])
        .collect();
    let after = head.fit(&kept).unwrap().unwrap();
    let rows = |ridge: &Ridge| {
        json!(
            ridge
                .weights
                .chunks(inputs.whole("classes"))
                .collect::<Vec<_>>()
        )
    };
    // The golden shows the first clips.
    let logits: Vec<_> = validation
        .iter()
        .take(4)
        .map(|c| head.logits(&before, c.feature))
        .collect();
    json!({
        "gram_trace": trace,
        "gram_row_0": gram,
        "moment_row_0": moment,
        "errors": before.errors,
        "power": before.power,
        "lambda": before.lambda,
        "weights": rows(&before),
        "power_after": after.power,
        "lambda_after": after.lambda,
        "errors_after": after.errors,
        "weights_after": rows(&after),
        "validation_logits": logits,
    })
}

fn sisa_plan(inputs: &Fields) -> Value {
    let clips: Vec<sisa::Place> = inputs
        .parse::<Vec<Fields>>("clips")
        .into_iter()
        .map(|clip| sisa::Place {
            id: clip.parse("id"),
            position_in_category: clip.parse("position_in_category"),
            slice: clip.parse("slice"),
        })
        .collect();
    let forget: BTreeSet<String> = inputs.parse("forget");
    let found = sisa::plan(&clips, &forget, inputs.whole("shards"));
    let restart: BTreeMap<String, usize> = found
        .restart
        .iter()
        .map(|(shard, slice)| (shard.to_string(), *slice))
        .collect();
    json!({
        "restart": restart,
        "visits": found.visits,
        "visits_of_a_whole_training": found.visits_of_a_whole_training,
        "cost": found.cost,
    })
}
