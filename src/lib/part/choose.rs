//! Which part a process is, by its command line or by its scheduler.

use super::{MAX_PARTS, Part, whole_number};
use crate::hint::Hint;

/// Why no part can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The text names no part.
    #[error("{text:?} is no part")]
    Text {
        /// What was given.
        text: String,
    },
    /// There is no such part.
    #[error("there is no part {index} of {count}: parts go from 0 to n - 1, and n to {MAX_PARTS}")]
    Outside {
        /// The part asked for.
        index: u32,
        /// Parts in all.
        count: u32,
    },
    /// No scheduler has started this process.
    #[error("no scheduler says which part this is: {} are not set", INDEX_VARIABLES.join(", "))]
    NoScheduler,
    /// What a scheduler says does not tell which part this is, or of how many.
    #[error("{variable} does not say which part this is: {reason}")]
    Doubtful {
        /// The scheduler's variable.
        variable: &'static str,
        /// Why not.
        reason: String,
    },
}

impl Hint for PartError {
    fn hint(&self) -> Option<String> {
        Some("say it as i/n, i from 0 (3/8), or as auto/n where the scheduler says i alone".into())
    }
}

/// The variables in which schedulers say which part a process is, in the order in which they are asked.
const INDEX_VARIABLES: [&str; 4] = [
    "SLURM_ARRAY_TASK_ID",
    "JOB_COMPLETION_INDEX",
    "AWS_BATCH_JOB_ARRAY_INDEX",
    "RANK",
];

/// The part that `text` names: `i/n`, or `auto` or `auto/n` for what a scheduler says. `variable` gives the value of an
/// environment variable.
///
/// Asked are, in this order, Slurm's arrays, Kubernetes' Indexed Jobs, AWS Batch's arrays and torchrun; the first that has
/// started this process counts.
///
/// # Errors
/// When the text names no part, no scheduler says which part this is, or what it says leaves a doubt.
pub fn choose(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Part, PartError> {
    let count = match text.split_once('/') {
        None if text == "auto" => None,
        Some(("auto", count)) => Some(whole_number(count).ok_or_else(|| PartError::Text {
            text: text.to_owned(),
        })?),
        _ => return text.parse(),
    };
    let variables = Variables(&variable);
    let mut named = INDEX_VARIABLES.into_iter();
    let name = named.find(|name| variable(name).is_some());
    match name.ok_or(PartError::NoScheduler)? {
        name @ "SLURM_ARRAY_TASK_ID" => {
            let index = variables.number(name)?;
            // Some tasks of a larger whole may run alone: --array=3,7 with auto/8.
            let count = count.map_or_else(|| slurm_count(&variables), Ok)?;
            Part::new(index, count)
        }
        name @ "JOB_COMPLETION_INDEX" => {
            let index = variables.number(name)?;
            let count = count.ok_or_else(|| PartError::Doubtful {
                variable: name,
                reason: "Kubernetes does not say how many there are".into(),
            })?;
            Part::new(index, count)
        }
        name @ "AWS_BATCH_JOB_ARRAY_INDEX" => {
            variables.part(name, "AWS_BATCH_JOB_ARRAY_SIZE", count)
        }
        name => variables.part(name, "WORLD_SIZE", count),
    }
}

/// The tasks of a Slurm array, where these are 0, 1, ... and none is left out.
fn slurm_count(variables: &Variables<'_>) -> Result<u32, PartError> {
    let first = variables.number("SLURM_ARRAY_TASK_MIN")?;
    let step = variables.number("SLURM_ARRAY_TASK_STEP")?;
    let last = variables.number("SLURM_ARRAY_TASK_MAX")?;
    let count = variables.number("SLURM_ARRAY_TASK_COUNT")?;
    if first == 0 && step == 1 && last.checked_add(1) == Some(count) {
        return Ok(count);
    }
    Err(PartError::Doubtful {
        variable: "SLURM_ARRAY_TASK_ID",
        reason: format!(
            "its array has {count} tasks from {first} to {last} in steps of {step}, not all from 0 on"
        ),
    })
}

/// The environment's variables.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn number(&self, name: &'static str) -> Result<u32, PartError> {
        let doubt = |reason| PartError::Doubtful {
            variable: name,
            reason,
        };
        let value = (self.0)(name).ok_or_else(|| doubt("it is not set".into()))?;
        whole_number(&value).ok_or_else(|| doubt(format!("{value:?} is no whole number")))
    }

    /// The part by two variables, of which the second must agree with the number that was given.
    fn part(
        &self,
        index: &'static str,
        count: &'static str,
        given: Option<u32>,
    ) -> Result<Part, PartError> {
        let said = self.number(count)?;
        if let Some(given) = given
            && given != said
        {
            return Err(PartError::Doubtful {
                variable: count,
                reason: format!("it says {said}, and {given} parts were asked for"),
            });
        }
        Part::new(self.number(index)?, said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str, variables: &[(&str, &str)]) -> Result<String, PartError> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        choose(text, variable).map(|part| part.to_string())
    }

    fn slurm<'a>(id: &'a str, max: &'a str, count: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("SLURM_ARRAY_TASK_ID", id),
            ("SLURM_ARRAY_TASK_MIN", "0"),
            ("SLURM_ARRAY_TASK_STEP", "1"),
            ("SLURM_ARRAY_TASK_MAX", max),
            ("SLURM_ARRAY_TASK_COUNT", count),
        ]
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in ["3/3", "0/0", "1/100001"] {
            assert!(
                matches!(text.parse::<Part>(), Err(PartError::Outside { .. })),
                "{text}"
            );
        }
        for text in [
            "", "1", "/", "1/", "+1/2", "1/2/3", " 1/2", "Auto", "auto/", "auto/x",
        ] {
            assert!(
                matches!(chosen(text, &[]), Err(PartError::Text { .. })),
                "{text}"
            );
        }
        assert_eq!(chosen("auto", &[]), Err(PartError::NoScheduler));
    }

    #[test]
    fn each_scheduler_says_which_part_it_has_started() {
        let of = |text, variables: &[_]| chosen(text, variables).unwrap();
        assert_eq!(of("auto", &slurm("3", "7", "8")), "3/8");
        let aws = [
            ("AWS_BATCH_JOB_ARRAY_INDEX", "1"),
            ("AWS_BATCH_JOB_ARRAY_SIZE", "4"),
        ];
        assert_eq!(of("auto", &aws), "1/4");
        assert_eq!(of("auto/4", &aws), "1/4");
        assert_eq!(of("auto/8", &[("JOB_COMPLETION_INDEX", "7")]), "7/8");
        assert_eq!(of("auto", &[("RANK", "0"), ("WORLD_SIZE", "2")]), "0/2");
        // A scheduler's array counts before what runs within its tasks.
        let both = [
            slurm("3", "7", "8"),
            vec![("RANK", "0"), ("WORLD_SIZE", "2")],
        ]
        .concat();
        assert_eq!(of("auto", &both), "3/8");
    }

    #[test]
    fn a_doubt_is_refused_and_the_number_of_parts_can_be_given() {
        // --array=3,7
        let two = slurm("3", "7", "2");
        assert!(matches!(
            chosen("auto", &two),
            Err(PartError::Doubtful { .. })
        ));
        assert_eq!(chosen("auto/8", &two).unwrap(), "3/8");
        for variables in [
            vec![("SLURM_ARRAY_TASK_ID", "3")],
            slurm("x", "7", "8"),
            vec![("JOB_COMPLETION_INDEX", "7")],
            vec![("AWS_BATCH_JOB_ARRAY_INDEX", "7")],
            vec![("RANK", "0")],
        ] {
            let refused = chosen("auto", &variables).unwrap_err();
            assert!(matches!(refused, PartError::Doubtful { .. }), "{refused}");
            assert!(refused.hint().unwrap().contains("i/n"));
        }
        let other = [("RANK", "0"), ("WORLD_SIZE", "2")];
        assert!(matches!(
            chosen("auto/3", &other),
            Err(PartError::Doubtful { .. })
        ));
        assert!(matches!(chosen("auto/7", &two[..1]).as_deref(), Ok("3/7")));
        assert!(matches!(
            chosen("auto/3", &two),
            Err(PartError::Outside { .. })
        ));
    }
}
