//! Which pixels of a stored frame arrive.

use incdec::data::{Augment, Batches, LoaderConfig, StreamKeys};
use turbojpeg::PixelFormat;

use super::{Content, KEYS, SMALL, jpeg, open, pixels};

#[test]
fn other_epochs_tasks_and_seeds_see_other_views() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path());
    let view = |seed, keys| {
        let config = LoaderConfig { seed, ..SMALL };
        let mut batches = Batches::start(&dataset, vec![0, 1], keys, &config, 0);
        Content::of(&batches.next().unwrap().unwrap())
    };
    let base = view(3, KEYS);
    assert!(base == view(3, KEYS));
    assert!(base != view(4, KEYS));
    assert!(base != view(3, StreamKeys { task: 0, epoch: 4 }));
    assert!(base != view(3, StreamKeys { task: 1, epoch: 5 }));
}

#[test]
fn raw_frames_arrive_cropped_mirrored_and_repeated_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path());
    // Clip 2 is raw, 40 x 40, 5 frames; the loader wants 7.
    let centre = LoaderConfig {
        augment: Augment::None,
        ..SMALL
    };
    let batch = Batches::start(&dataset, vec![2], KEYS, &centre, 0)
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(batch.clips.size(), [1, 7, 32, 32, 3]);
    let got = Content::of(&batch).clips;
    for frame in 0..7 {
        let stored = pixels(2, frame % 5, 40, 40);
        for (y, x, c) in [(0, 0, 0), (31, 31, 2), (5, 17, 1)] {
            let expected = stored[((y + 4) * 40 + x + 4) * 3 + c];
            assert_eq!(got[((frame * 32 + y) * 32 + x) * 3 + c], expected);
        }
    }
    // A mirrored view is found among a few epochs, and is the mirror image of what its draw says.
    let config = LoaderConfig {
        augment: Augment::PerClip,
        ..SMALL
    };
    let mut mirrored = 0;
    for epoch in 0..8 {
        let keys = StreamKeys { task: 1, epoch };
        let view = incdec::data::augment::views(Augment::PerClip, 8, 5, 3, keys, 0)[0];
        let batch = Batches::start(&dataset, vec![2], keys, &config, 0)
            .next()
            .unwrap()
            .unwrap();
        let got = Content::of(&batch).clips;
        let stored = pixels(2, 1, 40, 40);
        for (y, x) in [(0, 0), (31, 0), (9, 30)] {
            let column = if view.mirrored { 31 - x } else { x };
            let from = ((y + view.top) * 40 + column + view.left) * 3;
            let to = ((32 + y) * 32 + x) * 3;
            assert_eq!(got[to..to + 3], stored[from..from + 3], "{view:?}");
        }
        mirrored += usize::from(view.mirrored);
    }
    assert!((1..8).contains(&mirrored));
}

#[test]
fn frames_stored_at_another_size_are_resized_as_pil_does() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path());
    // Clip 3 is 60 x 50; the whole resized frame is taken. Clip 3's frames are JPEG, so compare with the decoded image.
    let config = LoaderConfig {
        crop: 40,
        augment: Augment::None,
        ..SMALL
    };
    let batch = Batches::start(&dataset, vec![3], KEYS, &config, 0)
        .next()
        .unwrap()
        .unwrap();
    let got = Content::of(&batch).clips;
    let stored = turbojpeg::decompress(&jpeg(&pixels(3, 0, 60, 50), 60, 50), PixelFormat::RGB);
    let stored = stored.unwrap().pixels;
    // PIL's bilinear: a triangle as wide as the scale, weights normalised, computed here in floating point.
    let weights = |to: usize, from_size: f64| {
        let scale = from_size / 40.0;
        let centre = (to as f64 + 0.5) * scale;
        let first = (centre - scale + 0.5).max(0.0) as usize;
        let last = ((centre + scale + 0.5) as usize).min(from_size as usize);
        let raw: Vec<f64> = (first..last)
            .map(|i| (1.0 - ((i as f64 + 0.5 - centre) / scale).abs()).max(0.0))
            .collect();
        let sum: f64 = raw.iter().sum();
        raw.into_iter()
            .enumerate()
            .map(move |(i, w)| (first + i, w / sum))
            .collect::<Vec<_>>()
    };
    for (y, x) in (0..40).flat_map(|y| (0..40).map(move |x| (y, x))) {
        for c in 0..3 {
            let mut expected = 0.0;
            for (sy, wy) in weights(y, 60.0) {
                for (sx, wx) in weights(x, 50.0) {
                    expected += wy * wx * f64::from(stored[(sy * 50 + sx) * 3 + c]);
                }
            }
            let value = f64::from(got[(y * 40 + x) * 3 + c]);
            assert!(
                (value - expected).abs() <= 1.01,
                "({y}, {x}, {c}): {value}, {expected}"
            );
        }
    }
}
