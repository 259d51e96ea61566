//! What the page shows of a run beyond the figures that it recorded: confusion, curves, and what
//! each figure must be held against: its bootstrap interval and the level of chance.

use super::judgement::{Bounds, Judgement, Place, pick};
use super::load::Run;
use super::populations::{self, Populations, Presence, presence};
use super::run_figures::Measured;
use super::{CHANCE_QUANTILE, ReportError};
use crate::audit::interval::Draw;
use crate::clip::Split;
use crate::metrics::{
    ChanceLevel, Figures, Judged, Metrics, Predictions, chance_level, evaluate,
    forgetting_of_figures, mean_defined, mean_of_figures,
};
use crate::random;
use crate::tables::PredictionRow;

/// A run with what was found out about it.
#[derive(Clone, Debug)]
pub(super) struct Analysis {
    pub(super) run: Run,
    /// One entry for each evaluated task.
    pub(super) tasks: Vec<TaskAnalysis>,
    /// Intervals of the means over tasks, and of the forgetting's over tasks 1 and up.
    mean: Bounds,
    mean_forgetting: Bounds,
    /// Clips of what was withdrawn or lost; none where the page is not to show frames.
    pub(super) examples: Vec<Example>,
}

/// A clip of a subcategory that was withdrawn or lost.
#[derive(Clone, Debug)]
pub(super) struct Example {
    pub(super) category: String,
    pub(super) subcategory: String,
    /// What became of the subcategory.
    pub(super) why: String,
    pub(super) clip_id: String,
    /// JPEG pictures.
    pub(super) frames: Vec<Vec<u8>>,
}

/// One task of a run, judged on the test set.
#[derive(Clone, Debug)]
pub(super) struct TaskAnalysis {
    pub(super) task: i32,
    /// The evaluation of the stored predictions; absent where the run stored none.
    pub(super) evaluation: Option<Metrics>,
    /// The same scores under permuted labels.
    pub(super) chance: ChanceLevel,
    /// The mean average precision on the task's validation set.
    pub(super) validation: Judgement,
    value: Bounds,
    forgetting: Bounds,
    /// Test clips of each class and of each subcategory.
    class_clips: Vec<usize>,
    subcategory_clips: Vec<usize>,
    /// The subcategories by whether they are there, were withdrawn, or are yet to come; none where
    /// the run has no lists of its clips.
    pub(super) populations: Option<Populations>,
}

impl Analysis {
    /// Judges the run's stored predictions, with so many permutations of the labels and draws of
    /// the clips for each task.
    pub(super) fn new(run: Run, permutations: usize) -> Result<Self, ReportError> {
        let mut tasks = Vec::new();
        // The figures of every draw, task by task.
        let mut drawn: Vec<Vec<Figures>> = Vec::new();
        for task in run.figures.tasks() {
            let rows = run.predictions.get(&task).map_or(&[][..], Vec::as_slice);
            let (mut analysis, figures) = judged(&run, task, rows, permutations)?;
            analysis.validation = of_validation(&run, task, permutations)?;
            tasks.push(analysis);
            drawn.push(figures);
        }
        let draws = drawn.iter().map(Vec::len).min().unwrap_or(0);
        let mut forgotten: Vec<Vec<Figures>> = vec![Vec::new(); tasks.len()];
        for draw in 0..draws {
            let history: Vec<&Figures> = drawn.iter().map(|of_task| &of_task[draw]).collect();
            for (t, forgotten) in forgotten.iter_mut().enumerate() {
                forgotten.push(forgetting_of_figures(&history[..=t]));
            }
        }
        for (task, forgotten) in tasks.iter_mut().zip(&forgotten) {
            task.forgetting = Bounds::of(forgotten);
        }
        let over_tasks = |of_tasks: &[Vec<Figures>]| {
            let mean = |draw: usize| {
                let figures: Vec<&Figures> = of_tasks.iter().map(|task| &task[draw]).collect();
                mean_of_figures(&figures)
            };
            Bounds::of(&(0..draws).map(mean).collect::<Vec<_>>())
        };
        let (mean, mean_forgetting) = (
            over_tasks(&drawn),
            over_tasks(forgotten.get(1..).unwrap_or_default()),
        );
        let numbers: Vec<i32> = tasks.iter().map(|t| t.task).collect();
        let clips: Vec<&[usize]> = tasks
            .iter()
            .map(|t| t.subcategory_clips.as_slice())
            .collect();
        let chance = tasks
            .iter()
            .map(|t| t.chance.mean.ap_per_subcategory.as_slice());
        let chance: Vec<&[Option<f64>]> = chance.collect();
        let found = populations::of_tasks(&run, &numbers, &clips, &chance, &drawn);
        for (task, populations) in tasks.iter_mut().zip(found) {
            task.populations = Some(populations);
        }
        Ok(Self {
            run,
            tasks,
            mean,
            mean_forgetting,
            examples: Vec::new(),
        })
    }

    /// An overall figure of a task on the test set.
    pub(super) fn test(&self, task: i32, metric: &str) -> Measured {
        self.run.figures.overall(task, Split::Test, metric)
    }

    /// Any figure of a task on the test set with what it must be read beside.
    pub(super) fn judgement(&self, of: &TaskAnalysis, metric: &str, place: Place) -> Judgement {
        let taxonomy = &self.run.taxonomy;
        let category = |class: usize| taxonomy.categories()[class].name.as_str();
        let names = match place {
            Place::Overall => (None, None),
            Place::Class(class) => (Some(category(class)), None),
            Place::Subcategory(subcategory) => {
                let found = taxonomy.subcategories().nth(subcategory);
                found.map_or((None, None), |(class, name)| {
                    (Some(category(class)), Some(name))
                })
            }
        };
        let figures = &self.run.figures;
        let measured = figures.get(of.task, Split::Test, metric, names.0, names.1);
        Judgement {
            value: measured.value,
            interval: of.value.pick(metric, place),
            forgetting: measured.forgetting,
            forgetting_interval: of.forgetting.pick(metric, place),
            chance: pick(&of.chance.mean, metric, place),
            chance_quantile: pick(&of.chance.quantile, metric, place),
            clips: of.clips(place),
        }
    }

    /// The mean over all tasks of an overall figure on the test set.
    pub(super) fn mean(&self, metric: &str) -> Option<f64> {
        mean_defined(self.tasks.iter().map(|t| self.test(t.task, metric).value))
    }

    /// The mean over tasks 1 and up of what was forgotten of it; `None` with a single task.
    pub(super) fn mean_forgetting(&self, metric: &str) -> Option<f64> {
        let later = self.tasks.iter().skip(1);
        mean_defined(later.map(|t| self.test(t.task, metric).forgetting))
    }

    /// The two means with what they must be read beside.
    pub(super) fn over_tasks(&self, metric: &str) -> Judgement {
        let chance = |of: fn(&ChanceLevel) -> &Figures| {
            let tasks = self.tasks.iter();
            mean_defined(tasks.map(|t| pick(of(&t.chance), metric, Place::Overall)))
        };
        Judgement {
            value: self.mean(metric),
            interval: self.mean.pick(metric, Place::Overall),
            forgetting: self.mean_forgetting(metric),
            forgetting_interval: self.mean_forgetting.pick(metric, Place::Overall),
            chance: chance(|chance| &chance.mean),
            chance_quantile: chance(|chance| &chance.quantile),
            clips: self.last().and_then(|t| t.clips(Place::Overall)),
        }
    }

    /// The means over the tasks to which a subcategory is `wanted` of its average precision, and of
    /// its forgetting over those of them from 1 up, with chance and clips.
    pub(super) fn of_subcategory(&self, name: &str, wanted: fn(Presence) -> bool) -> Judgement {
        let Some(place) = self.run.taxonomy.place(name) else {
            return Judgement::default();
        };
        let presence = presence(&self.run, &self.task_numbers(), name);
        let tasks = self.tasks.iter().enumerate().zip(presence);
        let judged: Vec<(usize, Judgement)> = tasks
            .filter(|(_, presence)| wanted(*presence))
            .map(|((k, t), _)| {
                let place = Place::Subcategory(place.number);
                (k, self.judgement(t, "ap_per_subcategory", place))
            })
            .collect();
        let later = judged.iter().filter(|(k, _)| *k > 0);
        Judgement {
            value: mean_defined(judged.iter().map(|(_, j)| j.value)),
            forgetting: mean_defined(later.map(|(_, j)| j.forgetting)),
            chance: mean_defined(judged.iter().map(|(_, j)| j.chance)),
            clips: judged.last().and_then(|(_, j)| j.clips),
            ..Judgement::default()
        }
    }

    /// Whether a subcategory is withdrawn, or yet to come, in some task: then what is lost over all
    /// clips is partly what was to be lost, and a figure of it is neither good nor bad.
    pub(super) fn is_changing(&self) -> bool {
        let mut populations = self.tasks.iter().filter_map(|t| t.populations.as_ref());
        populations.any(Populations::is_any_away)
    }

    /// The numbers of the tasks that were evaluated, in order.
    pub(super) fn task_numbers(&self) -> Vec<i32> {
        self.tasks.iter().map(|t| t.task).collect()
    }

    /// The fewest and the most test clips of a task.
    pub(super) fn test_clips(&self) -> Option<(usize, usize)> {
        let counts = || self.tasks.iter().filter_map(|t| t.clips(Place::Overall));
        counts().min().zip(counts().max())
    }

    /// A task that was evaluated.
    pub(super) fn task(&self, task: i32) -> Option<&TaskAnalysis> {
        self.tasks.iter().find(|t| t.task == task)
    }

    /// The last task that was evaluated; none in a run whose first task is under way.
    pub(super) fn last(&self) -> Option<&TaskAnalysis> {
        self.tasks.last()
    }
}

impl TaskAnalysis {
    /// The chance level of the mAP: the asked quantile.
    pub(super) fn chance_quantile(&self) -> Option<f64> {
        self.chance.quantile.mean_ap
    }

    /// Test clips that a figure is about; none where the predictions are not stored.
    pub(super) fn clips(&self, place: Place) -> Option<usize> {
        match place {
            Place::Overall => self.evaluation.as_ref().map(|e| e.clips),
            Place::Class(class) => self.class_clips.get(class).copied(),
            Place::Subcategory(subcategory) => self.subcategory_clips.get(subcategory).copied(),
        }
    }
}

/// Judges a task, and gives the figures of every draw of its clips.
fn judged(
    run: &Run,
    task: i32,
    rows: &[PredictionRow],
    permutations: usize,
) -> Result<(TaskAnalysis, Vec<Figures>), ReportError> {
    let mut analysis = TaskAnalysis {
        task,
        evaluation: None,
        chance: ChanceLevel::default(),
        validation: Judgement::default(),
        value: Bounds::default(),
        forgetting: Bounds::default(),
        class_clips: Vec::new(),
        subcategory_clips: Vec::new(),
        populations: None,
    };
    if rows.is_empty() {
        return Ok((analysis, Vec::new()));
    }
    let probabilities: Vec<f32> = rows
        .iter()
        .flat_map(|r| r.probabilities.iter().copied())
        .collect();
    // A label below 0 is out of range like one too large, and refused with the others.
    let labels: Vec<usize> = rows
        .iter()
        .map(|r| usize::try_from(r.label).unwrap_or(usize::MAX))
        .collect();
    let taxonomy = &run.taxonomy;
    let subcategories = rows
        .iter()
        .map(|r| {
            let place = taxonomy.place(&r.subcategory);
            place
                .map(|place| place.number)
                .ok_or_else(|| ReportError::Unknown {
                    path: run.predictions_file.clone(),
                    what: "subcategory",
                    name: r.subcategory.clone(),
                })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let class_of_subcategory: Vec<usize> = taxonomy.subcategories().map(|(c, _)| c).collect();
    let predictions = Predictions {
        probabilities: &probabilities,
        labels: &labels,
        subcategories: &subcategories,
        class_of_subcategory: &class_of_subcategory,
        classes: taxonomy.classes(),
        criterion: run.criterion,
    };
    let refused = |source| ReportError::Metrics {
        path: run.predictions_file.clone(),
        task,
        source,
    };
    let judged = Judged::new(predictions).map_err(refused)?;
    analysis.evaluation = Some(evaluate(&predictions).map_err(refused)?);
    // Fixed, so that the page is the same whenever it is made; the permutations differ from task to
    // task.
    let key = u64::try_from(task).unwrap_or(0);
    let mut rng = random::stream(0, "report chance level", &[key]);
    analysis.chance = chance_level(&judged, permutations, CHANCE_QUANTILE, &mut rng);
    let strata = clips_by(&subcategories, class_of_subcategory.len());
    let of_class = clips_by(&labels, taxonomy.classes());
    analysis.class_clips = of_class.iter().map(Vec::len).collect();
    analysis.subcategory_clips = strata.iter().map(Vec::len).collect();
    let figures: Vec<Figures> = (0..permutations as u64)
        .map(|draw| judged.drawn(&times(draw, &strata, rows.len())))
        .collect();
    analysis.value = Bounds::of(&figures);
    Ok((analysis, figures))
}

/// The mean average precision of a task on its validation set, whose clips nobody forgets: they are
/// other ones in each task.
fn of_validation(run: &Run, task: i32, permutations: usize) -> Result<Judgement, ReportError> {
    let rows = run.validation.get(&task).map_or(&[][..], Vec::as_slice);
    let (judged, _) = judged(run, task, rows, permutations)?;
    Ok(Judgement {
        value: run
            .figures
            .overall(task, Split::Validation, "mean_ap")
            .value,
        interval: judged.value.pick("mean_ap", Place::Overall),
        chance: judged.chance.mean.mean_ap,
        chance_quantile: judged.chance.quantile.mean_ap,
        clips: judged.clips(Place::Overall),
        ..Judgement::default()
    })
}

/// The places of the clips of each group.
fn clips_by(groups: &[usize], count: usize) -> Vec<Vec<usize>> {
    let mut places = vec![Vec::new(); count];
    for (i, &group) in groups.iter().enumerate() {
        places[group].push(i);
    }
    places
}

/// How often each clip occurs in one draw with replacement within each subcategory. The draws of
/// all tasks are the same where their test sets are, so that what they share cancels out of
/// forgetting.
fn times(draw: u64, strata: &[Vec<usize>], clips: usize) -> Vec<u32> {
    let mut times = vec![0; clips];
    let draw = Draw::new(0, draw, 1, strata);
    for (stratum, places) in strata.iter().zip(draw.clips) {
        for place in places {
            times[stratum[place]] += 1;
        }
    }
    times
}
