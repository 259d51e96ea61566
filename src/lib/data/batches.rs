//! An epoch as an iterator of batches that workers load ahead.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::assemble::Assembler;
use super::prefetch::{Gone, Prefetch};
use super::{Batch, DataError, Dataset, LoaderConfig, StreamKeys};

/// Who of several loads which batches: one in `of`, from `rank` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    /// The number of the first batch.
    pub rank: usize,
    /// How many deal the batches among them, at least 1.
    pub of: usize,
}

impl Deal {
    /// All batches.
    pub const ALL: Self = Self { rank: 0, of: 1 };

    /// The number of the batch that is `index` of these.
    fn number(self, index: usize) -> usize {
        self.rank + index * self.of
    }

    /// Of `order`, in batches of `batch_size`, the clips of those of these batches from number `first` on.
    fn clips(
        self,
        order: &[usize],
        batch_size: usize,
        first: usize,
    ) -> impl Iterator<Item = &usize> {
        let batches = order.chunks(batch_size.max(1)).enumerate();
        let own = batches
            .filter(move |(number, _)| *number >= first && number % self.of.max(1) == self.rank);
        own.flat_map(|(_, clips)| clips)
    }

    /// How many of the batches before `number` are among these.
    fn before(self, number: usize) -> usize {
        number.saturating_sub(self.rank).div_ceil(self.of)
    }
}

/// The batches of an epoch, in order. Iterating after an error goes on with the next batch.
pub struct Batches {
    feed: Feed,
    /// Batches in the whole epoch.
    whole: usize,
    deal: Deal,
}

enum Feed {
    Inline {
        assembler: Box<Assembler>,
        left: Range<usize>,
    },
    Ahead(Prefetch<Result<Batch, DataError>>),
    /// The settings were refused; told once.
    Refused(Option<DataError>),
}

impl Batches {
    /// Starts loading the clips `order` (indices into the data set) from batch `first_batch` on.
    ///
    /// The batches from there are the same as those of an epoch that starts at batch 0, so the number of batches done is all
    /// that has to be kept to go on in the midst of an epoch. Settings that make no sense are told as the first item.
    #[must_use]
    pub fn start(
        dataset: &Arc<Dataset>,
        order: Vec<usize>,
        keys: StreamKeys,
        config: &LoaderConfig,
        first_batch: usize,
    ) -> Self {
        Self::dealt(dataset, order, keys, config, first_batch, Deal::ALL)
    }

    /// Of the same batches those that `deal` names.
    #[must_use]
    pub fn dealt(
        dataset: &Arc<Dataset>,
        order: Vec<usize>,
        keys: StreamKeys,
        config: &LoaderConfig,
        first_batch: usize,
        deal: Deal,
    ) -> Self {
        if let Err(error) = config.check() {
            return Self {
                feed: Feed::Refused(Some(error)),
                whole: 0,
                deal,
            };
        }
        let batches = order.len().div_ceil(config.batch_size);
        // Counted among those that are loaded here, so that workers share them evenly.
        let left = deal.before(first_batch.min(batches))..deal.before(batches);
        dataset.announce(deal.clips(&order, config.batch_size, first_batch));
        let order: Arc<[usize]> = order.into();
        let config = *config;
        let assembler = |stop| Assembler {
            dataset: Arc::clone(dataset),
            order: Arc::clone(&order),
            keys,
            config,
            stop,
            reader: None,
        };
        let feed = if config.workers == 0 {
            Feed::Inline {
                assembler: Box::new(assembler(Arc::new(AtomicBool::new(false)))),
                left,
            }
        } else {
            Feed::Ahead(Prefetch::start(
                left,
                config.workers,
                config.queue_depth,
                |stop| {
                    let mut assembler = assembler(stop);
                    move |index| assembler.assemble(deal.number(index))
                },
            ))
        };
        Self {
            feed,
            whole: batches,
            deal,
        }
    }

    /// Says that, when the batches under way are over, those of `order` that `deal` names are going to be loaded: where the
    /// clips come from, the first of them can be fetched before.
    pub fn follow(dataset: &Dataset, order: &[usize], config: &LoaderConfig, deal: Deal) {
        dataset.announce_behind(deal.clips(order, config.batch_size, 0));
    }

    /// Batches in the whole epoch.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.whole
    }

    /// The position inside the epoch: the next batch, from 0. Starting there gives the rest of the epoch.
    #[must_use]
    pub fn position(&self) -> usize {
        match &self.feed {
            Feed::Inline { left, .. } => self.deal.number(left.start),
            Feed::Ahead(prefetch) => self.deal.number(prefetch.left().start),
            Feed::Refused(_) => 0,
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.feed {
            Feed::Inline { assembler, left } => {
                let index = left.next()?;
                Some(assembler.assemble(self.deal.number(index)))
            }
            Feed::Ahead(prefetch) => {
                let (index, result) = prefetch.next()?;
                let batch = self.deal.number(index);
                Some(match result {
                    Ok(batch) => batch,
                    Err(Gone::Worker) => Err(DataError::WorkerLost { batch }),
                    Err(Gone::Spawn(worker, source)) => Err(DataError::Spawn { worker, source }),
                })
            }
            Feed::Refused(error) => error.take().map(Err),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.feed {
            Feed::Inline { left, .. } => left.len(),
            Feed::Ahead(prefetch) => prefetch.left().len(),
            Feed::Refused(error) => usize::from(error.is_some()),
        };
        (left, Some(left))
    }
}
