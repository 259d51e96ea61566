//! Where a clip is cropped and whether it is mirrored: the draws of training and the fixed view of evaluation.

use rand::RngExt;

use super::StreamKeys;
use crate::random;

/// Purpose of the stream that crops and flips are drawn from.
const PURPOSE: &str = "augment";

/// Which part of the resized frames a model gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Augment {
    /// The centre, as for evaluation.
    #[default]
    None,
    /// A random crop, mirrored with probability 0.5, the same for all frames of a clip.
    PerClip,
    /// The same, drawn anew for every frame, as the seed's code does (`dataset_utils.py:113`).
    PerFrame,
}

/// The part of a resized frame that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Rows above the crop.
    pub top: usize,
    /// Columns left of the crop.
    pub left: usize,
    /// Whether it is mirrored, left for right.
    pub mirrored: bool,
}

/// The view of each of a clip's first `frames` stored frames.
///
/// `slack` is the side of the resized frame less the side of the crop, in pixels: offsets are drawn uniformly from
/// `0..=slack` on each axis, row offset first, then the column offset, then the flip; the centre is half the slack, rounded
/// as torchvision rounds it: of two numbers as near, the even one.
/// `position` is the clip's position in the epoch's order.
#[must_use]
pub fn views(
    augment: Augment,
    slack: usize,
    frames: usize,
    seed: u64,
    keys: StreamKeys,
    position: usize,
) -> Vec<View> {
    let mut rng = random::stream(seed, PURPOSE, &[keys.task, keys.epoch, position as u64]);
    let mut draw = || View {
        top: rng.random_range(0..=slack),
        left: rng.random_range(0..=slack),
        mirrored: rng.random_bool(0.5),
    };
    match augment {
        Augment::None => {
            let offset = slack / 2 + usize::from(slack % 4 == 3);
            let centre = View {
                top: offset,
                left: offset,
                mirrored: false,
            };
            vec![centre; frames]
        }
        Augment::PerClip => vec![draw(); frames],
        Augment::PerFrame => (0..frames).map(|_| draw()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: StreamKeys = StreamKeys { task: 2, epoch: 7 };

    #[test]
    fn evaluation_takes_the_centre_and_draws_nothing() {
        let centre = View {
            top: 14,
            left: 14,
            mirrored: false,
        };
        assert_eq!(views(Augment::None, 28, 3, 1, KEYS, 9), vec![centre; 3]);
        // Python's round(slack / 2).
        let tops = (0..12).map(|slack| views(Augment::None, slack, 1, 1, KEYS, 9)[0].top);
        assert!(tops.eq([0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 6]));
    }

    #[test]
    fn a_clip_is_cropped_alike_in_all_its_frames_unless_each_frame_draws() {
        let per_clip = views(Augment::PerClip, 28, 50, 1, KEYS, 0);
        assert!(per_clip.iter().all(|v| *v == per_clip[0]));
        let per_frame = views(Augment::PerFrame, 28, 50, 1, KEYS, 0);
        assert!(per_frame.iter().any(|v| *v != per_frame[0]));
        assert_eq!(per_frame[0], per_clip[0]);
        // A shorter clip draws the beginning of the same sequence.
        assert_eq!(views(Augment::PerFrame, 28, 7, 1, KEYS, 0), per_frame[..7]);
    }

    #[test]
    fn draws_depend_on_seed_task_epoch_and_position_alone() {
        let of = |seed, task, epoch, position| {
            views(
                Augment::PerFrame,
                28,
                8,
                seed,
                StreamKeys { task, epoch },
                position,
            )
        };
        let base = of(1, 2, 3, 4);
        assert_eq!(base, of(1, 2, 3, 4));
        for other in [
            of(2, 2, 3, 4),
            of(1, 3, 3, 4),
            of(1, 2, 4, 4),
            of(1, 2, 3, 5),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn offsets_cover_the_whole_range_evenly_and_half_are_mirrored() {
        let (mut tops, mut lefts, mut mirrored) = ([0u32; 29], [0u32; 29], 0u32);
        for position in 0..29_000 {
            let view = views(Augment::PerClip, 28, 1, 5, KEYS, position)[0];
            tops[view.top] += 1;
            lefts[view.left] += 1;
            mirrored += u32::from(view.mirrored);
        }
        // 1000 expected, standard deviation 31: five of them.
        for count in tops.iter().chain(&lefts) {
            assert!((845..=1155).contains(count), "{count}");
        }
        assert!((14_075..=14_925).contains(&mirrored), "{mirrored}");
    }
}
