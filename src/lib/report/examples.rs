//! What was lost, to look at: frames of clips of subcategories that were withdrawn, or that the
//! model knew better before. Only where the page is asked for them: people can be seen in frames.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::ReportError;
use super::analyse::{Analysis, Example};
use super::judgement::Place;
use super::populations::{Presence, presence};
use super::section::Section;
use crate::shard::{Codec, Shards};
use crate::tables::PredictionRow;

/// Subcategories that are shown: those of which most was lost.
const MAX_SHOWN: usize = 12;
/// Frames of a clip: the first, the middle one and the last.
const FRAMES: usize = 3;

/// Clips of what the run lost, most first, as far as `shards` hold them as JPEG frames.
///
/// # Errors
/// When a shard is absent or damaged.
pub(super) fn of_run(analysis: &Analysis, shards: &Shards) -> Result<Vec<Example>, ReportError> {
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
        let frames = frames_of(analysis, last.task, &subcategory, shards)?;
        if !frames.is_empty() {
            examples.push(Example {
                category: taxonomy.categories()[class].name.clone(),
                subcategory,
                why,
                frames,
            });
        }
    }
    Ok(examples)
}

/// The frames of one test clip of a subcategory: the first that is mistaken now, or else the first.
fn frames_of(
    analysis: &Analysis,
    task: i32,
    subcategory: &str,
    shards: &Shards,
) -> Result<Vec<Vec<u8>>, ReportError> {
    let rows = analysis.run.predictions.get(&task);
    let mut of_it = rows
        .into_iter()
        .flatten()
        .filter(|row| row.subcategory == subcategory);
    let mistaken = |row: &&PredictionRow| row.prediction != row.label;
    let chosen = of_it.clone().find(mistaken).or_else(|| of_it.next());
    let Some(chosen) = chosen else {
        return Ok(Vec::new());
    };
    let row = shards
        .index()
        .iter()
        .find(|row| row.clip_id == chosen.clip_id && row.split == chosen.split);
    let stored = row.filter(|row| row.codec.as_deref() == Some(Codec::Jpeg.name()));
    let Some((shard, row)) = stored.and_then(|row| row.shard.as_deref().zip(row.shard_row)) else {
        return Ok(Vec::new());
    };
    let clip = shards.checked_clip(shard, row)?;
    let last = clip.len().saturating_sub(1);
    let mut places: Vec<usize> = (0..FRAMES).map(|k| k * last / (FRAMES - 1)).collect();
    places.dedup();
    let kept = places.into_iter().filter(|&place| place < clip.len());
    Ok(kept.map(|place| clip.frame(place).to_vec()).collect())
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
                figure {
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
