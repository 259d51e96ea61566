//! Who is there while the events go by. Pure.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use super::{Change, Event, RowFault, Rows, Source};
use crate::clip::Split;
use crate::tasks::LabelledClip;
use crate::tasks::place::Stay;

/// How it stands with one clip.
#[derive(Clone, Copy, Default)]
struct State {
    /// The task in which it came, while it is there.
    since: Option<usize>,
    /// Whether it has ever been there.
    was_there: bool,
    /// Task and line of the last event that moved it.
    moved: Option<(usize, usize)>,
}

/// All clips while the events go by.
pub(super) struct World<'a> {
    clips: &'a [Vec<LabelledClip>; 3],
    states: [Vec<State>; 3],
    /// Clips that are there.
    counts: [usize; 3],
    /// Stays that have ended.
    ended: [Vec<Stay>; 3],
    /// Line and task of the first arrival of each clip that has one: by split and row.
    arrivals: BTreeMap<(usize, u32), (usize, usize)>,
}

impl<'a> World<'a> {
    /// The clips of `start`, else those that no event lets arrive.
    pub(super) fn new(source: &'a Source, start: Option<&[Rc<Rows>]>, events: &[Event]) -> Self {
        let named = |all: &mut dyn Iterator<Item = &Rc<Rows>>| -> HashSet<(usize, u32)> {
            all.flat_map(|rows| rows.iter().enumerate())
                .flat_map(|(split, rows)| rows.iter().map(move |row| (split, *row)))
                .collect()
        };
        let (listed, is_start) = if let Some(start) = start {
            (named(&mut start.iter()), true)
        } else {
            let arriving = events
                .iter()
                .filter(|event| event.change == Change::Arrives);
            (named(&mut arriving.map(|event| &event.rows)), false)
        };
        let mut counts = [0; 3];
        let states = Split::ALL.map(|split| {
            let rows = 0_u32..;
            let states = rows.zip(&source.clips[split as usize]).map(|(row, _)| {
                let is_there = listed.contains(&(split as usize, row)) == is_start;
                counts[split as usize] += usize::from(is_there);
                State {
                    since: is_there.then_some(0),
                    was_there: is_there,
                    moved: None,
                }
            });
            states.collect()
        });
        Self {
            clips: &source.clips,
            states,
            counts,
            ended: Default::default(),
            arrivals: BTreeMap::new(),
        }
    }

    /// Notes when each clip first arrives, for the error of one that leaves before.
    pub(super) fn arrivals(&mut self, events: &[Event]) {
        for event in events
            .iter()
            .filter(|event| event.change == Change::Arrives)
        {
            for (split, rows) in event.rows.iter().enumerate() {
                for row in rows {
                    let first = (event.line, event.task);
                    let known = self.arrivals.entry((split, *row)).or_insert(first);
                    if event.task < known.1 {
                        *known = first;
                    }
                }
            }
        }
    }

    pub(super) fn apply(&mut self, event: &Event) -> Result<(), RowFault> {
        if event.rows.iter().all(Vec::is_empty) {
            return Err(RowFault::NoClips);
        }
        let mut moved = 0;
        for (split, rows) in event.rows.iter().enumerate() {
            for &row in rows {
                moved += usize::from(self.move_clip(split, row, event)?);
            }
        }
        match (moved, event.change) {
            (0, Change::Arrives) => Err(RowFault::ThereAlready),
            (0, Change::Leaves) => Err(RowFault::GoneAlready),
            _ => Ok(()),
        }
    }

    /// Moves one clip; says whether the event speaks of it at all, and not of what is there or gone since an earlier task.
    fn move_clip(&mut self, split: usize, row: u32, event: &Event) -> Result<bool, RowFault> {
        let state = &mut self.states[split][row as usize];
        let id = || self.clips[split][row as usize].clip_id.clone();
        let now = state.moved.filter(|(task, _)| *task == event.task);
        let is_there = state.since.is_some();
        match (event.change, now) {
            // Said twice for the same task.
            (Change::Arrives, Some(_)) if is_there => return Ok(true),
            (Change::Leaves, Some(_)) if !is_there => return Ok(true),
            (_, Some((_, line))) => return Err(RowFault::Both { clip: id(), line }),
            (Change::Arrives, None) if is_there => return Ok(event.task == 0),
            (Change::Leaves, None) if !is_there && state.was_there => return Ok(false),
            (Change::Leaves, None) if !is_there => {
                return Err(RowFault::LeavesFirst {
                    clip: id(),
                    arrives: self.arrivals.get(&(split, row)).copied(),
                });
            }
            (_, None) => {}
        }
        state.moved = Some((event.task, event.line));
        state.was_there = true;
        if let Some(from) = state.since.take() {
            let until = event.task;
            self.ended[split].push(Stay { row, from, until });
            self.counts[split] -= 1;
        } else {
            state.since = Some(event.task);
            self.counts[split] += 1;
        }
        Ok(true)
    }

    /// The first split that has clips, but none now.
    pub(super) fn empty_split(&self) -> Option<Split> {
        let is_empty = |split: &Split| {
            self.counts[*split as usize] == 0 && !self.clips[*split as usize].is_empty()
        };
        Split::ALL.into_iter().find(is_empty)
    }

    /// When each clip is there, in the order of the tasks' lists.
    pub(super) fn stays(mut self) -> [Vec<Stay>; 3] {
        for (stays, states) in self.ended.iter_mut().zip(&self.states) {
            let open = (0_u32..).zip(states).filter_map(|(row, state)| {
                let (from, until) = (state.since?, usize::MAX);
                Some(Stay { row, from, until })
            });
            stays.extend(open);
            stays.sort_unstable_by_key(|stay| (stay.from, stay.row));
        }
        self.ended
    }
}
