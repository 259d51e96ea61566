//! What the feed tells a source of clips about what comes.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Mutex;

use super::*;
use crate::data::{ClipSource, HashCheck, Sample, StoredFrames};

/// Has no frames, and remembers which clips were announced.
#[derive(Default)]
struct Listening {
    announced: Mutex<Vec<String>>,
    behind: Mutex<Vec<String>>,
}

fn names(order: &mut dyn Iterator<Item = &Sample>) -> Vec<String> {
    order.map(|sample| sample.clip_id.clone()).collect()
}

impl ClipSource for Listening {
    fn frames(
        &self,
        _: &Sample,
        _: usize,
        _: HashCheck,
    ) -> Result<StoredFrames, Box<dyn Error + Send + Sync>> {
        Err("no frames here".into())
    }

    fn announce(&self, order: &mut dyn Iterator<Item = &Sample>) {
        *self.announced.lock().unwrap() = names(order);
        self.behind.lock().unwrap().clear();
    }

    fn announce_behind(&self, order: &mut dyn Iterator<Item = &Sample>) {
        self.behind.lock().unwrap().extend(names(order));
    }
}

fn list(source: &Arc<Listening>, name: &str, clips: i32) -> Arc<Dataset> {
    let sample = |position: i32| Sample {
        clip_id: format!("{name}{position}"),
        position,
        label: i64::from(position % 2),
        subcategory: String::new(),
        shard: String::new(),
        shard_row: 0,
    };
    let samples = (0..clips).map(sample).collect();
    Arc::new(Dataset::new(Arc::clone(source), samples))
}

#[test]
fn validation_and_the_next_epoch_are_announced_as_they_will_be_loaded() {
    let source = Arc::new(Listening::default());
    let lists = Task {
        train: list(&source, "train", 11),
        validation: list(&source, "validation", 5),
        test: list(&source, "test", 0),
        unusable: [0; 3],
        class_counts: vec![6, 5],
    };
    let mut config = TrainConfig::new(PathBuf::new(), PathBuf::new(), PathBuf::new());
    config.workers = 0;
    config.settings.batch_size = 2;
    for sampler in [SamplerName::Balanced, SamplerName::Imbalanced] {
        config.settings.sampler = sampler;
        for deal in [Deal::ALL, Deal { rank: 1, of: 2 }] {
            let feed = Feed::new(&config, deal, Device::Cpu, &[]);
            let epoch = |number| Epoch {
                task: 1,
                lists: &lists,
                replay: None,
                number,
            };
            let announced = || source.announced.lock().unwrap().clone();
            drop(feed.training(&epoch(0), 0).unwrap());
            let first = announced();
            feed.list_follows(&lists.validation);
            feed.epoch_follows(&epoch(1)).unwrap();
            assert_eq!(announced(), first);
            let foretold = source.behind.lock().unwrap().clone();
            drop(feed.in_order(&lists.validation, 0).unwrap());
            let mut loaded = announced();
            drop(feed.training(&epoch(1), 0).unwrap());
            assert_ne!(announced(), first);
            loaded.extend(announced());
            assert_eq!(foretold, loaded, "{sampler:?} {deal:?}");
        }
    }
}
