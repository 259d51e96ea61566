//! The clips that a name stands for.

use std::collections::HashMap;
use std::rc::Rc;

use super::{NamedBy, RowFault, Rows, Source};
use crate::clip::Split;
use crate::foreign::composed;

/// The clips by every name that a table may call them by; names are in Unicode's composed form.
pub(super) struct ClipsByName<'a> {
    source: &'a Source,
    rows: HashMap<(NamedBy, String), Rc<Rows>>,
}

impl<'a> ClipsByName<'a> {
    pub(super) fn of(source: &'a Source) -> Self {
        let mut rows: HashMap<(NamedBy, String), Rows> = HashMap::new();
        for category in source.taxonomy.categories() {
            let name = composed(&category.name).into_owned();
            rows.entry((NamedBy::Category, name)).or_default();
        }
        for split in Split::ALL {
            for (row, clip) in (0_u32..).zip(&source.clips[split as usize]) {
                let mut add = |kind, name: &str| {
                    let key = (kind, composed(name).into_owned());
                    rows.entry(key).or_default()[split as usize].push(row);
                };
                let category = &source.taxonomy.categories()[clip.class];
                add(NamedBy::Clip, &clip.clip_id);
                if let Some(group) = &clip.group {
                    add(NamedBy::Group, group);
                }
                add(
                    NamedBy::Subcategory,
                    &category.subcategories[clip.subcategory],
                );
                add(NamedBy::Category, &category.name);
            }
        }
        let rows = rows.into_iter().map(|(name, rows)| (name, Rc::new(rows)));
        Self {
            source,
            rows: rows.collect(),
        }
    }

    pub(super) fn find(&self, kind: NamedBy, name: &str) -> Result<Rc<Rows>, RowFault> {
        let found = self.rows.get(&(kind, composed(name).into_owned()));
        if let Some(rows) = found {
            return Ok(Rc::clone(rows));
        }
        // A subcategory without clips is a name of the taxonomy all the same.
        if kind == NamedBy::Subcategory && self.source.taxonomy.find(name).is_some() {
            return Ok(Rc::default());
        }
        Err(RowFault::Unknown {
            kind,
            name: name.to_owned(),
        })
    }
}
