//! Which shards this process has mapped, which are being fetched, and which go to make room.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::cache::{self, Cache, CachedFile};
use super::origin::Origin;
use super::uses::Uses;
use crate::artifact::{ArtifactError, Draft};
use crate::lock::{Lock, Wait};
use crate::shard::ShardError;
use crate::shard::reader::Shard;

/// Who holds the lock of a shard that is being fetched, for messages.
const HOLDER: &str = "another program that reads these shards";
/// Most shards that are mapped at the same time; each is an open file.
const MAX_MAPPED: usize = 256;

/// The shards of an origin that lie in a cache.
pub(super) struct Resident {
    pub(super) origin: Origin,
    cache: Cache,
    /// Their folder in the cache.
    folder: PathBuf,
    /// Held by the one who chooses a shard, until there is room for it: those that are needed first
    /// get theirs first. It is taken before the state, never after it.
    turn: Mutex<()>,
    state: Mutex<State>,
    /// Something was fetched, or asked for, or it is time to end.
    news: Condvar,
}

#[derive(Default)]
struct State {
    uses: Uses,
    mapped: BTreeMap<String, Arc<Shard>>,
    /// Shards that lie in the cache as far as this process knows, mapped or not.
    there: BTreeSet<String>,
    fetching: BTreeSet<String>,
    /// Shards for which there is no room now that they would repay: single clips are fetched.
    by_clip: BTreeSet<String>,
    /// What went wrong ahead of anybody's asking.
    failed: BTreeMap<String, ShardError>,
    ending: bool,
}

impl Resident {
    /// Nothing is mapped yet.
    pub(super) fn new(origin: Origin, cache: Cache, folder: PathBuf) -> Self {
        Self {
            origin,
            cache,
            folder,
            turn: Mutex::default(),
            state: Mutex::default(),
            news: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that change it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.news.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the order in which clips are going to be asked for.
    pub(super) fn announce<'a>(&self, order: impl Iterator<Item = &'a str>) {
        let mut state = self.state();
        state.uses.announce(order);
        // What is not mapped may have been taken away by others.
        state.there = state.mapped.keys().cloned().collect();
        state.by_clip.clear();
        state.failed.clear();
        self.news.notify_all();
    }

    /// Takes the order of the clips that are going to be asked for behind those.
    pub(super) fn announce_behind<'a>(&self, order: impl Iterator<Item = &'a str>) {
        self.state().uses.announce_behind(order);
        self.news.notify_all();
    }

    /// A clip of this shard has been read.
    pub(super) fn used(&self, shard: &str) {
        let mut state = self.state();
        if state.uses.used(shard) {
            // What is done with, if only for a while, makes room for another one.
            state.reconsider_one();
            self.news.notify_all();
        }
    }

    /// Nothing more is fetched ahead.
    pub(super) fn end(&self) {
        self.state().ending = true;
        self.origin.client.cancel();
        self.news.notify_all();
    }

    /// A shard whole, fetched where need be; none where its clips are to be fetched one by one.
    pub(super) fn shard(&self, name: &str) -> Result<Option<Arc<Shard>>, ShardError> {
        let mut state = self.state();
        let mut own_turn = None;
        let turn = loop {
            if let Some(shard) = state.mapped.get(name) {
                return Ok(Some(Arc::clone(shard)));
            }
            if let Some(error) = state.failed.remove(name) {
                return Err(error);
            }
            if state.by_clip.contains(name) {
                drop(state);
                // Another process may have had room for it.
                let shard = self.cached(name)?;
                if shard.is_some() {
                    self.settle(name, shard.clone());
                }
                return Ok(shard);
            }
            if state.fetching.contains(name) {
                own_turn = None;
                state = self.wait(state);
            } else if let Some(turn) = own_turn.take() {
                break turn;
            } else {
                // Meanwhile somebody else may have chosen it.
                drop(state);
                own_turn = Some(self.turn());
                state = self.state();
            }
        };
        state.fetching.insert(name.to_owned());
        drop(state);
        let obtained = self.obtain(name, turn);
        match &obtained {
            Ok(shard) => self.settle(name, shard.clone()),
            Err(_) => self.give_up(name, None),
        }
        obtained
    }

    /// Fetches shards in the order in which they are needed, until it is time to end.
    pub(super) fn fetch_ahead(&self) {
        loop {
            let mut state = self.state();
            while !state.ending && state.next_to_fetch().is_none() {
                state = self.wait(state);
            }
            drop(state);
            let turn = self.turn();
            let mut state = self.state();
            if state.ending {
                return;
            }
            let Some(name) = state.next_to_fetch() else {
                continue;
            };
            state.fetching.insert(name.clone());
            drop(state);
            match self.obtain(&name, turn) {
                Ok(shard) => self.settle(&name, shard),
                Err(error) => self.give_up(&name, Some(error)),
            }
        }
    }

    /// Notes what fetching a shard came to.
    fn settle(&self, name: &str, shard: Option<Arc<Shard>>) {
        let mut state = self.state();
        state.fetching.remove(name);
        match shard {
            Some(shard) => {
                state.let_go_of_one_too_many();
                state.mapped.insert(name.to_owned(), shard);
                state.there.insert(name.to_owned());
                state.by_clip.remove(name);
            }
            None => drop(state.by_clip.insert(name.to_owned())),
        }
        self.news.notify_all();
    }

    /// Notes that a shard cannot be fetched, and why, where somebody has yet to hear of it.
    fn give_up(&self, name: &str, error: Option<ShardError>) {
        let mut state = self.state();
        state.fetching.remove(name);
        if let Some(error) = error {
            state.failed.insert(name.to_owned(), error);
        }
        self.news.notify_all();
    }

    /// Forgets what the cache has of a shard.
    pub(super) fn forget(&self, name: &str) -> Result<(), ArtifactError> {
        let mut state = self.state();
        state.mapped.remove(name);
        state.there.remove(name);
        state.by_clip.remove(name);
        let _counting = self.cache.counting()?;
        cache::remove(&self.folder.join(name))
    }

    /// A shard from the cache, into which it is fetched where it is not there and repays that; by
    /// one process at a time. The turn ends once there is room.
    fn obtain(
        &self,
        name: &str,
        turn: MutexGuard<'_, ()>,
    ) -> Result<Option<Arc<Shard>>, ShardError> {
        let path = self.folder.join(name);
        let mut turn = Some(turn);
        loop {
            if let Some(shard) = self.cached(name)? {
                return Ok(Some(shard));
            }
            let lock = self.folder.join(format!(".{name}.lock"));
            let _fetching = Lock::take(&lock, &path, HOLDER, Wait::Yes)?;
            if let Some(shard) = self.cached(name)? {
                return Ok(Some(shard));
            }
            let Some(mut draft) = self.make_room(name)? else {
                return Ok(None);
            };
            drop(turn.take());
            self.origin.fetch(name, &mut draft)?;
            draft.publish()?;
            tracing::debug!("fetched {}", path.display());
        }
    }

    /// A shard that the cache has.
    fn cached(&self, name: &str) -> Result<Option<Arc<Shard>>, ShardError> {
        let path = self.folder.join(name);
        let Some(file) = cache::open_locked(&path)? else {
            return Ok(None);
        };
        match Shard::locked(&path, file) {
            Ok(shard) => Ok(Some(Arc::new(shard))),
            Err(error) if error.is_damage() => {
                tracing::warn!("{error}; fetching it anew");
                cache::remove(&path)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A place in the cache for a shard: those that are needed last go, as long as that repays.
    fn make_room(&self, name: &str) -> Result<Option<Draft>, ShardError> {
        let bytes = self.origin.bytes(name)?;
        let clips = self.origin.clips(name);
        let target = self.folder.join(name);
        let mut state = self.state();
        if !state.uses.repays(name, clips, None) {
            return Ok(None);
        }
        let _counting = self.cache.counting()?;
        let files = self.cache.files()?;
        let mut taken: u64 = files.iter().map(|file| file.bytes).sum();
        for (needed_again, file) in self.by_need(files, &state.uses) {
            if taken + bytes <= self.cache.limit_bytes {
                break;
            }
            if !state.uses.repays(name, clips, needed_again) {
                return Ok(None);
            }
            let own = self.name_of(&file).and_then(|name| {
                state.there.remove(name);
                state.mapped.remove(name)
            });
            let has_gone = match own {
                None => file.remove()?,
                Some(shard) if shard.is_nobody_elses() => {
                    cache::remove(&file.path)?;
                    true
                }
                Some(_) => false,
            };
            if has_gone {
                taken -= file.bytes;
            }
        }
        if taken + bytes > self.cache.limit_bytes {
            return Ok(None);
        }
        let mut draft = Draft::new(&target)?;
        // Whoever counts sees what it is going to take.
        let sized = draft.file().set_len(bytes);
        sized.map_err(ArtifactError::at("write", &target))?;
        Ok(Some(draft))
    }

    /// The files that may go, those that nobody is known to need first, the oldest of them before
    /// others; then those that are needed last.
    fn by_need(&self, files: Vec<CachedFile>, uses: &Uses) -> Vec<(Option<usize>, CachedFile)> {
        let mut files: Vec<_> = files
            .into_iter()
            .filter(|file| !file.is_draft())
            .map(|file| (self.name_of(&file).and_then(|name| uses.next(name)), file))
            .collect();
        files.sort_by(|(a, one), (b, other)| {
            let never = (a.is_some(), b.is_some());
            let (a, b) = (a.unwrap_or(0), b.unwrap_or(0));
            let farthest = never.0.cmp(&never.1).then(b.cmp(&a));
            farthest.then_with(|| one.modified.cmp(&other.modified))
        });
        files
    }

    /// The name of the shard that a file is, where it is one of these.
    fn name_of<'a>(&self, file: &'a CachedFile) -> Option<&'a str> {
        let name = file.path.strip_prefix(&self.folder).ok()?;
        name.to_str()
    }
}

impl State {
    /// The shard that is needed next and neither there nor on its way.
    fn next_to_fetch(&self) -> Option<String> {
        let mut needed = self.uses.in_order().into_iter();
        let next = needed.find(|&name| {
            let is_known = self.there.contains(name) || self.fetching.contains(name);
            !is_known && !self.by_clip.contains(name) && !self.failed.contains_key(name)
        });
        next.map(str::to_owned)
    }

    /// Of the shards for which there was no room, the one that is needed next may be tried again.
    fn reconsider_one(&mut self) {
        let mut needed = self.uses.in_order().into_iter();
        let next = needed.find(|name| self.by_clip.contains(*name));
        if let Some(next) = next.map(str::to_owned) {
            self.by_clip.remove(&next);
        }
    }

    /// Where as many shards are mapped as may be, the one that is needed last is no more; it stays
    /// in the cache.
    fn let_go_of_one_too_many(&mut self) {
        if self.mapped.len() < MAX_MAPPED {
            return;
        }
        let need = |name: &&String| self.uses.next(name).unwrap_or(usize::MAX);
        if let Some(last) = self.mapped.keys().max_by_key(need).cloned() {
            self.mapped.remove(&last);
        }
    }
}
