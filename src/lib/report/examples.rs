//! What was lost, to look at: frames of clips of subcategories that were withdrawn, or that the
//! model knew better before. Only where the page is asked for them: people can be seen in frames.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::ReportError;
use super::analyse::{Analysis, Example};
use super::judgement::Place;
use super::populations::{Presence, presence};
use super::section::Section;
use crate::clip::Split;
use crate::shard::{Codec, Shards};
use crate::tables::PredictionRow;
use crate::withdrawn::Withdrawn;

/// Subcategories that are shown: those of which most was lost.
const MAX_SHOWN: usize = 12;
/// Frames of a clip: the first, the middle one and the last.
const FRAMES: usize = 3;

/// JPEG pictures of one clip.
type Frames = Vec<Vec<u8>>;

/// The clips whose frames may be shown: those that are stored as JPEG and that nobody has withdrawn.
pub(super) struct Showable<'a> {
    shards: &'a Shards,
    /// The shard of each, and its row there.
    places: BTreeMap<(&'a str, Split), (&'a str, i64)>,
}

impl<'a> Showable<'a> {
    /// Those of `shards` that are not in the list `withdrawn`.
    pub(super) fn of(shards: &'a Shards, withdrawn: &Withdrawn) -> Self {
        let jpeg = Some(Codec::Jpeg.name());
        let rows = shards.index().iter();
        let rows = rows
            .filter(|row| row.codec.as_deref() == jpeg && !withdrawn.contains(&row.clip_id))
            .filter_map(|row| {
                let place = row.shard.as_deref().zip(row.shard_row)?;
                Some(((row.clip_id.as_str(), row.split), place))
            });
        Self {
            shards,
            places: rows.collect(),
        }
    }

    /// The first, the middle and the last frame of a clip; none where it may not be shown.
    fn frames(&self, clip_id: &str, split: Split) -> Result<Frames, ReportError> {
        let Some(&(shard, row)) = self.places.get(&(clip_id, split)) else {
            return Ok(Vec::new());
        };
        let clip = self.shards.checked_clip(shard, row)?;
        let last = clip.len().saturating_sub(1);
        let mut places: Vec<usize> = (0..FRAMES).map(|k| k * last / (FRAMES - 1)).collect();
        places.dedup();
        let kept = places.into_iter().filter(|&place| place < clip.len());
        Ok(kept.map(|place| clip.frame(place).to_vec()).collect())
    }
}

/// Clips of what the run lost, most first, as far as their frames may be shown.
///
/// # Errors
/// When a shard is absent or damaged.
pub(super) fn of_run(
    analysis: &Analysis,
    showable: &Showable<'_>,
) -> Result<Vec<Example>, ReportError> {
    let Some(last) = analysis.last() else {
        return Ok(Vec::new());
    };
    let taxonomy = &analysis.run.taxonomy;
    let mut lost = Vec::new();
    for (k, (class, name)) in taxonomy.subcategories().enumerate() {
        let of_tasks = presence(&analysis.run, &analysis.task_numbers(), name);
        let left = of_tasks.iter().rposition(|p| *p == Presence::Left);
        let away = of_tasks.last().is_some_and(|p| *p != Presence::Available);
        let judgement = analysis.judgement(last, "ap_per_subcategory", Place::Subcategory(k));
        let forgotten = judgement.forgetting.unwrap_or(0.0);
        let why = match left.filter(|_| away) {
            Some(task) => format!("withdrawn at task {}", analysis.tasks[task].task),
            None if forgotten > 0.0 => format!("lost {forgotten:.3} of its average precision"),
            None => continue,
        };
        lost.push((forgotten, class, name.to_owned(), why));
    }
    lost.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut examples = Vec::new();
    for (_, class, subcategory, why) in lost {
        if examples.len() == MAX_SHOWN {
            break;
        }
        if let Some((clip_id, frames)) = shown_of(analysis, last.task, &subcategory, showable)? {
            examples.push(Example {
                category: taxonomy.categories()[class].name.clone(),
                subcategory,
                why,
                clip_id,
                frames,
            });
        }
    }
    Ok(examples)
}

/// One test clip of a subcategory with its frames: the first that is mistaken now and may be shown,
/// or else the first that may be shown.
fn shown_of(
    analysis: &Analysis,
    task: i32,
    subcategory: &str,
    showable: &Showable<'_>,
) -> Result<Option<(String, Frames)>, ReportError> {
    let rows = analysis.run.predictions.get(&task);
    let of_it = rows.into_iter().flatten();
    let of_it = of_it.filter(|row| row.subcategory == subcategory);
    let (mistaken, others): (Vec<&PredictionRow>, Vec<_>) =
        of_it.partition(|row| row.prediction != row.label);
    for row in mistaken.into_iter().chain(others) {
        let frames = showable.frames(&row.clip_id, row.split)?;
        if !frames.is_empty() {
            return Ok(Some((row.clip_id.clone(), frames)));
        }
    }
    Ok(None)
}

/// The section, where there is something to show.
pub(super) fn section(examples: &[Example]) -> Option<Section> {
    if examples.is_empty() {
        return None;
    }
    let picture = |example: &Example, k: usize, frame: &[u8]| -> Markup {
        let alt = format!(
            "{}, frame {} of {}",
            example.subcategory,
            k + 1,
            example.frames.len()
        );
        html! { img alt=(alt) src=(format!("data:image/jpeg;base64,{}", STANDARD.encode(frame))); }
    };
    let body = html! {
        p {
            "First, middle and last frame of one test clip of each subcategory of which most was lost, the first that the model mistakes now "
            "where there is one. The page was asked to show them."
        }
        div.grid.small {
            @for example in examples {
                // By its id erasing finds the page, as long as the clip is shown on it.
                figure data-clip=(example.clip_id) {
                    div.frames { @for (k, frame) in example.frames.iter().enumerate() { (picture(example, k, frame)) } }
                    figcaption { (example.category) ": " (example.subcategory) ", " (example.why) }
                }
            }
        }
    };
    Some(Section::new(
        "examples",
        "Clips that were withdrawn or lost",
        body,
    ))
}
