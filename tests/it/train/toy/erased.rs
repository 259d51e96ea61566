//! The toy as a data folder that clips are erased from.

use std::path::{Path, PathBuf};

use incdec::clip::Split;
use incdec::erase::{self, Archives, EraseConfig, Places, Selector};
use incdec::lock::Wait;
use incdec::withdrawn::WITHDRAWN_FILE;

use super::{CATEGORIES, SUBCATEGORIES, Toy, labelled};

impl Toy {
    /// Erases clips, as its program does: of the toy's folder as the data folder, with label tables that are made for it.
    pub(crate) fn erase(&self, request: &str, clips: &[&str]) {
        self.label();
        let ids = clips.iter().map(|&clip| clip.to_owned()).collect();
        let config = EraseConfig {
            places: self.places(),
            selectors: vec![Selector::Ids(ids)],
            request: request.to_owned(),
            reason: None,
            archives: Archives::Refuse,
            wait: Wait::No,
        };
        erase::apply(&config).unwrap();
    }

    /// Writes label tables of the clips.
    pub(crate) fn label(&self) {
        write_labels(&self.folder.path().join("Info"));
    }

    /// Where erasing looks.
    pub(crate) fn places(&self) -> Places {
        Places::below(self.folder.path())
    }

    /// The list of erased clips.
    pub(crate) fn withdrawn(&self) -> PathBuf {
        self.folder.path().join("Info").join(WITHDRAWN_FILE)
    }
}

/// Label tables of the clips.
fn write_labels(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let classes = SUBCATEGORIES.map(|(class, name)| format!("{},{name}\n", CATEGORIES[class]));
    let classes = format!("Category,Subcategory\n{}", classes.concat());
    std::fs::write(folder.join("classes.csv"), classes).unwrap();
    let clips = labelled();
    for split in Split::ALL {
        let of_split = clips.iter().filter(|clip| clip.split == split);
        let rows = of_split.map(|clip| {
            let (source, _) = clip.clip_id.split_once('_').unwrap();
            format!(
                "{},{source},0,10,{split}\n",
                SUBCATEGORIES[clip.subcategory].1
            )
        });
        let text = format!(
            "label,youtube_id,time_start,time_end,split\n{}",
            rows.collect::<String>()
        );
        std::fs::write(folder.join(format!("{split}.csv")), text).unwrap();
    }
}
