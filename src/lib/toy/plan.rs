//! Which clips there are: their names, tables and appearance. Pure.

use std::collections::BTreeSet;

use rand::RngExt;

use super::ToyConfig;
use super::config::MAX_CLIPS_PER_SUBCATEGORY;
use crate::clip::{ClipId, Split};
use crate::random::stream;
use crate::taxonomy::Taxonomy;

/// Classes of Kinetics that no label table names: the first and the last in sorted order.
const UNLABELLED_CLASSES: [&str; 2] = ["abseiling", "zumba"];
/// Clips of each archive that no label table names.
const UNLABELLED_CLIPS: usize = 2;
/// Characters of a YouTube id.
const ID_CHARACTERS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Characters in a YouTube id.
const ID_LENGTH: usize = 11;
/// Seconds between the times in a clip's name, as in Kinetics; the toy's files are shorter than
/// their names say.
const NAMED_SECONDS: u32 = 10;
/// Purpose of the random streams of this module.
const PURPOSE: &str = "toy source";

/// A clip to be made.
pub(super) struct ToyClip {
    pub(super) id: ClipId,
    pub(super) class: usize,
    pub(super) index: usize,
    pub(super) count: usize,
    pub(super) split: Option<Split>,
    pub(super) key: u64,
}

/// An archive to be made: a Kinetics class with its clips, in the order of their names.
pub(super) struct ToyArchive {
    pub(super) class_name: String,
    pub(super) clips: Vec<ToyClip>,
}

/// The archives in the order of their numbers. Depends on the settings alone.
pub(super) fn plan(config: &ToyConfig, taxonomy: &Taxonomy) -> Vec<ToyArchive> {
    let mut classes: Vec<(String, usize, usize, usize, bool)> = Vec::new();
    for (class, category) in taxonomy.categories().iter().enumerate() {
        for (index, name) in category.subcategories.iter().enumerate() {
            classes.push((
                name.clone(),
                class,
                index,
                category.subcategories.len(),
                true,
            ));
        }
    }
    for (i, name) in UNLABELLED_CLASSES.iter().enumerate() {
        classes.push(((*name).to_owned(), i, 0, 1, false));
    }
    classes.sort();
    let mut seen = BTreeSet::new();
    let mut archives = Vec::new();
    for (number, (class_name, class, index, count, labelled)) in classes.into_iter().enumerate() {
        let mut rng = stream(config.seed, PURPOSE, &[number as u64]);
        let tables = [
            (Some(Split::Train), config.train),
            (Some(Split::Validation), config.validation),
            (Some(Split::Test), config.test),
            (None, UNLABELLED_CLIPS),
        ];
        let mut clips = Vec::new();
        for (split, n) in tables {
            for _ in 0..if split.is_some() && !labelled { 0 } else { n } {
                clips.push(ToyClip {
                    id: fresh_id(&mut rng, &mut seen),
                    class,
                    index,
                    count,
                    split,
                    key: (number * (MAX_CLIPS_PER_SUBCATEGORY * 2) + clips.len()) as u64,
                });
            }
        }
        clips.sort_by(|a, b| a.id.cmp(&b.id));
        archives.push(ToyArchive { class_name, clips });
    }
    archives
}

/// A clip id whose YouTube id no other clip has.
fn fresh_id(rng: &mut rand_chacha::ChaCha8Rng, seen: &mut BTreeSet<String>) -> ClipId {
    loop {
        let youtube_id: String = (0..ID_LENGTH)
            .map(|_| char::from(ID_CHARACTERS[rng.random_range(0..ID_CHARACTERS.len())]))
            .collect();
        let start = rng.random_range(0..300_u32);
        if seen.insert(youtube_id.clone())
            // The characters and the times are such that this never fails.
            && let Ok(id) = ClipId::new(&youtube_id, start, start + NAMED_SECONDS)
        {
            return id;
        }
    }
}
