//! Unlearning within runs on the toy data: every method ends, takes part in what it promises, and is refused where it makes no sense.

use incdec::train::settings::UnlearnName;

use super::toy::{Toy, assert_same_contents, parameters, text};

/// Tasks that withdraw clips and add none.
const SCENARIO: &str = "decremental";

#[test]
fn every_method_runs_at_a_task_that_withdraws_and_changes_the_model() {
    let toy = Toy::new();
    let plain = toy.train(SCENARIO, "none", "--unlearn none");
    let settings = std::fs::read_to_string(plain.join("settings.json")).unwrap();
    assert!(!settings.contains("unlearn"), "{settings}");
    let after = parameters(&plain, 1, |_| true);
    for method in UnlearnName::ALL.iter().filter(|m| **m != UnlearnName::None) {
        let run = toy.train(SCENARIO, method.name(), &format!("--unlearn {method}"));
        assert!(
            parameters(&run, 0, |_| true) == parameters(&plain, 0, |_| true),
            "{method}"
        );
        // A forget set of the toy's size may leave nothing for SSD to dampen, and a model that has
        // hardly learned may be where the ascent ends.
        let may_rest = [
            UnlearnName::Ssd,
            UnlearnName::Lfssd,
            UnlearnName::GradientAscent,
        ];
        if !may_rest.contains(method) {
            assert!(parameters(&run, 1, |_| true) != after, "{method}");
        }
    }
}

#[test]
fn unlearning_goes_with_every_approach_and_repeats_to_the_byte() {
    let toy = Toy::new();
    for approach in ["lwf", "fd", "ewc"] {
        let flags = format!("--approach {approach} --unlearn salun");
        let once = toy.train(SCENARIO, &format!("{approach}-once"), &flags);
        let again = toy.train(SCENARIO, &format!("{approach}-again"), &flags);
        assert_same_contents(&once, &again);
    }
}

#[test]
fn new_weights_have_nothing_to_unlearn() {
    let toy = Toy::new();
    let output = toy
        .command(SCENARIO, "both", "--from-scratch --unlearn finetune")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("--unlearn"),
        "{}",
        text(&output.stderr)
    );
}
