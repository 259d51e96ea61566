//! Which checkpoints know a clip: those whose own task trained on it or chose by it, and all that were trained from them.
//!
//! Headers name parents by the hashes of their files. Where a header says nothing, the checkpoint of the task before is
//! taken for the parent and, of a first task, the file that the run began with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

use super::{
    PARENTS, PRETRAINED_INPUT, Parent, ParentRole, Position, ROLLBACK, RunHead, RunProgress,
    RunRecordError, SETTINGS_FILE, TaskOutcome, checkpoint_file, header_entry, positions,
    read_progress, seen_by, state_file, unlearned_file,
};
use crate::tables::{FEATURES_INPUT, SeenRow, Use};

/// The setting of runs whose tasks do not begin with the weights of the task before.
const FROM_SCRATCH: &str = "from_scratch";

/// How a checkpoint knows a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knowledge {
    /// Whether it, or what it comes from, was trained on the clip; else it was only chosen by it.
    pub trained: bool,
    /// The first task that was, from 0.
    pub first_task: usize,
    /// The run directory of that task.
    pub run: Rc<Path>,
}

/// The clips that a checkpoint knows, by id.
pub type KnownClips = BTreeMap<String, Knowledge>;

/// The weights of a run around one of its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// Before the task trains.
    Before(usize),
    /// When it has, or while it does.
    After(usize),
}

/// What a run says of where its weights come from.
#[derive(Debug)]
struct Run {
    folder: Rc<Path>,
    /// Behind the done tasks the one under way, if there is one.
    progress: RunProgress,
    under_way: Vec<Position>,
    from_scratch: bool,
    /// The hash of the file that it began with.
    pretrained: Option<String>,
    /// The hash of the backbone whose features its heads are applied to.
    backbone: Option<String>,
    /// What it has seen of the clips that are asked for.
    seen: Vec<SeenRow>,
}

/// Runs, and what their checkpoints know of some clips.
#[derive(Debug, Default)]
pub struct Lineage {
    runs: Vec<Run>,
    by_hash: HashMap<String, (usize, Moment)>,
    known: BTreeMap<(usize, Moment), Rc<KnownClips>>,
    unrecorded: BTreeSet<(PathBuf, String)>,
}

impl Lineage {
    /// What the checkpoints of the runs in `folders` know of the clips that `is_wanted`. `backbone_of` gives the hash of the
    /// backbone of a feature table with this hash, where it is known.
    ///
    /// # Errors
    /// When a run's record or table cannot be read.
    pub fn of(
        folders: &[PathBuf],
        backbone_of: &dyn Fn(&str) -> Option<String>,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Self, RunRecordError> {
        let mut lineage = Self::default();
        for folder in folders {
            if let Some(run) = Run::read(folder, backbone_of, is_wanted)? {
                let number = lineage.runs.len();
                for (hash, moment) in run.hashes() {
                    let place = (number, moment);
                    lineage.by_hash.entry(hash).or_insert(place);
                }
                lineage.runs.push(run);
            }
        }
        for run in 0..lineage.runs.len() {
            // The task after the last one may have unlearned already.
            for task in 0..=lineage.runs[run].progress.tasks.len() {
                lineage.ask(run, Moment::After(task));
            }
        }
        Ok(lineage)
    }

    /// The files of weights and states that are there of the run in `folder`, in the order of its tasks, each with what it
    /// knows. Files that know nothing are left out.
    #[must_use]
    pub fn files(&self, folder: &Path) -> Vec<(String, Rc<KnownClips>)> {
        let Some((number, run)) = self.run(folder) else {
            return Vec::new();
        };
        let files = (0..=run.progress.tasks.len()).flat_map(|task| run.files(task));
        let known = files.filter_map(|(file, moment)| {
            let known = self.known.get(&(number, moment))?;
            (!known.is_empty()).then(|| (file, Rc::clone(known)))
        });
        known.collect()
    }

    /// What the newest weights of the run in `folder` know, those of a task under way included, and the weights that it
    /// began with: some tasks begin with these once more.
    #[must_use]
    pub fn newest(&self, folder: &Path) -> KnownClips {
        let mut all = KnownClips::new();
        if let Some((number, run)) = self.run(folder) {
            let last = run.progress.last_trained();
            let last = last.map(|task| (number, Moment::After(task)));
            let began_with = run.pretrained.iter().chain(&run.backbone);
            let began_with = began_with.filter_map(|hash| self.by_hash.get(hash).copied());
            let known = last.into_iter().chain(began_with);
            for known in known.filter_map(|place| self.known.get(&place)) {
                learn_all(&mut all, known);
            }
        }
        all
    }

    /// The weights from which a run comes and of which none of these runs has a record: the run directory, and the hash of
    /// their file.
    pub fn unrecorded(&self) -> impl Iterator<Item = (&Path, &str)> {
        let found = self.unrecorded.iter();
        found.map(|(folder, hash)| (folder.as_path(), hash.as_str()))
    }

    fn run(&self, folder: &Path) -> Option<(usize, &Run)> {
        let mut runs = self.runs.iter().enumerate();
        runs.find(|(_, run)| *run.folder == *folder)
    }

    /// What a run's weights know at a moment.
    fn ask(&mut self, run: usize, moment: Moment) -> Rc<KnownClips> {
        if let Some(known) = self.known.get(&(run, moment)) {
            return Rc::clone(known);
        }
        // Hashes lead round in no circle, unless somebody made them up.
        self.known.insert((run, moment), Rc::default());
        let known = match moment {
            Moment::After(task) => {
                let before = self.ask(run, Moment::Before(task));
                let mut own = self.runs[run].seen_in(task).peekable();
                if own.peek().is_none() {
                    before
                } else {
                    let mut known = (*before).clone();
                    own.for_each(|(clip, how)| learn(&mut known, clip, how));
                    Rc::new(known)
                }
            }
            Moment::Before(task) => {
                let mut known = KnownClips::new();
                for parent in self.runs[run].parents(task) {
                    learn_all(&mut known, &self.of_parent(run, parent));
                }
                Rc::new(known)
            }
        };
        self.known.insert((run, moment), Rc::clone(&known));
        known
    }

    fn of_parent(&mut self, run: usize, parent: Ancestor) -> Rc<KnownClips> {
        match parent {
            Ancestor::Own(task) => self.ask(run, Moment::After(task)),
            Ancestor::File { hash, otherwise } => {
                if let Some(&(other, moment)) = self.by_hash.get(&hash) {
                    return self.ask(other, moment);
                }
                if let Some(task) = otherwise {
                    return self.ask(run, Moment::After(task));
                }
                let folder = self.runs[run].folder.to_path_buf();
                self.unrecorded.insert((folder, hash));
                Rc::default()
            }
        }
    }
}

/// The weights that those of a task come from.
enum Ancestor {
    /// Those of another task of the same run.
    Own(usize),
    /// The file with this hash; where no run has it, those of a task of the same run are taken for it.
    File {
        hash: String,
        otherwise: Option<usize>,
    },
}

/// Adds what is known of a clip. Having been trained on it says more than having been chosen by it.
fn learn(known: &mut KnownClips, clip: &str, how: Knowledge) {
    match known.get_mut(clip) {
        None => {
            known.insert(clip.to_owned(), how);
        }
        Some(there) if how.trained && !there.trained => *there = how,
        Some(_) => {}
    }
}

fn learn_all(known: &mut KnownClips, more: &KnownClips) {
    for (clip, how) in more {
        learn(known, clip, how.clone());
    }
}

impl Run {
    /// Reads a run directory; none where there is no run.
    fn read(
        folder: &Path,
        backbone_of: &dyn Fn(&str) -> Option<String>,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Self>, RunRecordError> {
        let Some(head) = RunHead::read(folder)? else {
            return Ok(None);
        };
        let mut progress = read_progress(folder)?.unwrap_or_default();
        let inputs = progress.inputs_now(&head.inputs);
        let under_way = positions(folder)?;
        let done = progress.tasks.len();
        // A checkpoint inside a task has trained on that task's lists, too, and so have the weights of one that was killed
        // before it could say that it is done.
        let ended = folder.join(checkpoint_file(done)).exists().then_some(done);
        let last = under_way.last().map(|position| position.task).max(ended);
        if let Some(last) = last.filter(|last| *last >= done) {
            let trained = TaskOutcome {
                epochs: 1,
                ..TaskOutcome::default()
            };
            progress.tasks.resize(last + 1, trained);
        }
        let mut seen = seen_by(folder, &progress)?;
        seen.retain(|row| is_wanted(&row.clip_id));
        Ok(Some(Self {
            folder: folder.into(),
            under_way,
            from_scratch: head.settings.get(FROM_SCRATCH).and_then(Value::as_bool) == Some(true),
            pretrained: inputs.get(PRETRAINED_INPUT).cloned(),
            backbone: inputs
                .get(FEATURES_INPUT)
                .and_then(|table| backbone_of(table)),
            progress,
            seen,
        }))
    }

    /// The hashes of its weights.
    fn hashes(&self) -> Vec<(String, Moment)> {
        let mut found = Vec::new();
        for (task, outcome) in self.progress.tasks.iter().enumerate() {
            let files = outcome.hashes.iter().flat_map(|hashes| &hashes.files);
            for (name, hash) in files {
                if *name == checkpoint_file(task) {
                    found.push((hash.clone(), Moment::After(task)));
                } else if *name == unlearned_file(task) {
                    found.push((hash.clone(), Moment::Before(task)));
                }
            }
        }
        found
    }

    /// What `task` itself has seen.
    fn seen_in(&self, task: usize) -> impl Iterator<Item = (&str, Knowledge)> {
        let is_in = move |row: &&SeenRow| {
            let [first, last] = [row.first_task, row.last_task].map(usize::try_from);
            first.is_ok_and(|first| first <= task) && last.is_ok_and(|last| task <= last)
        };
        self.seen.iter().filter(is_in).map(|row| {
            let how = Knowledge {
                trained: row.r#use == Use::Train,
                first_task: usize::try_from(row.first_task).unwrap_or(0),
                run: Rc::clone(&self.folder),
            };
            (row.clip_id.as_str(), how)
        })
    }

    /// Where the weights come from that `task` began with.
    fn parents(&self, task: usize) -> Vec<Ancestor> {
        let before = self.progress.last_trained_before(task);
        let file = |hash: String, otherwise| Ancestor::File { hash, otherwise };
        let backbone = self.backbone.clone().map(|hash| file(hash, None));
        let Some(named) = self.named_parents(task) else {
            let own = before.filter(|_| !self.from_scratch).map(Ancestor::Own);
            let pretrained = self.pretrained.clone().map(|hash| file(hash, None));
            return own.or(pretrained).into_iter().chain(backbone).collect();
        };
        let is_backbone = |parent: &Parent| parent.role == ParentRole::Backbone;
        let unnamed = backbone.filter(|_| !named.iter().any(is_backbone));
        let named = named.into_iter().filter_map(|parent| match parent.role {
            ParentRole::TaskBefore => before.map(Ancestor::Own),
            // The run within this one may have been removed: then nobody knows what it was spared.
            ParentRole::RolledBack => Some(file(parent.blake3, before)),
            ParentRole::Pretrained | ParentRole::Backbone => Some(file(parent.blake3, None)),
        });
        named.chain(unnamed).collect()
    }

    /// The parents that the headers of the task's files name; none where none says any.
    fn named_parents(&self, task: usize) -> Option<Vec<Parent>> {
        let mut files = self.files(task).into_iter();
        files.find_map(|(file, _)| {
            // What cannot be read is named by those who read it whole.
            let said = header_entry(&self.folder.join(file), PARENTS).ok()??;
            serde_json::from_str(&said).ok()
        })
    }

    /// The files of `task` that are there: the weights that had unlearned what it withdraws, its weights, the
    /// approach's state, and what it left while it was under way.
    fn files(&self, task: usize) -> Vec<(String, Moment)> {
        let mut files = vec![
            (unlearned_file(task), Moment::Before(task)),
            (checkpoint_file(task), Moment::After(task)),
            (state_file(task), Moment::After(task)),
        ];
        files.retain(|(name, _)| self.folder.join(name).exists());
        let inside = self
            .under_way
            .iter()
            .filter(|position| position.task == task);
        files.extend(inside.map(|position| (position.file(), Moment::After(task))));
        files
    }
}

/// The run directories that lie in `folder`, and those within them, sorted. Of what cannot be listed there is nothing.
#[must_use]
pub fn run_folders_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
    {
        let run = entry.path();
        if run.join(SETTINGS_FILE).exists() {
            found.extend(run_folders_in(&run.join(ROLLBACK)));
            found.push(run);
        }
    }
    found.sort();
    found
}
