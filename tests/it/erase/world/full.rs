//! What the pipeline has beside the usual: frames in folders, kept archives, features, a cache, a part
//! that was never merged, a link.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use incdec::clip::Split;
use incdec::parquet_file::{self, Provenance};
use incdec::shard::shard_files;
use incdec::tables::{ErasureRow, FeatureRow, IndexRow, write_features};

use super::World;

impl World {
    /// Everything that may hold something of the first clip of each split; the file of that of the
    /// test split lies elsewhere, with a link to it among the clips, and so does its shard.
    pub(in crate::erase) fn full() -> Self {
        let world = Self::new();
        let firsts = Split::ALL.map(|split| world.clip(split));
        for clip in firsts {
            let frames = world.path("frames").join(format!("id_{}/jpgs", clip.id));
            fs::create_dir_all(&frames).unwrap();
            fs::write(frames.join("image_00001.jpg"), "a frame").unwrap();
        }
        let member = format!("{}/{}.mp4", firsts[0].subcategory, firsts[0].id);
        tar_of(&world.path("archives/a.tar"), &member, b"video");
        tar_of(
            &world.path("archives/b.tar"),
            "x/other_000000_000010.mp4",
            b"other",
        );
        let features = world.features();
        let features: Vec<&FeatureRow> = features.iter().collect();
        fs::create_dir_all(world.path("features")).unwrap();
        let table = world.path("features/features.parquet");
        write_features(&table, &features, &Provenance::default()).unwrap();
        world.copy_shards("cache/0123456789abcdef");
        world.copy_shards("shards/parts/0-of-1");
        for file in world.elsewhere() {
            let target = world.linked(&file);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::rename(&file, &target).unwrap();
            symlink(&target, &file).unwrap();
        }
        world
    }

    /// The links in [`Self::full`]: a video and a shard lie elsewhere.
    pub(in crate::erase) fn elsewhere(&self) -> [PathBuf; 2] {
        let video = self.raw_file(self.clip(Split::Test));
        [video, self.path("shards/test-00000.arrow")]
    }

    /// Where the file lies that the link at `file` leads to.
    pub(in crate::erase) fn linked(&self, file: &Path) -> PathBuf {
        self.path("../elsewhere").join(file.file_name().unwrap())
    }

    /// The feature of every stored clip, as a stage would write it.
    pub(in crate::erase) fn features(&self) -> Vec<FeatureRow> {
        let index: Vec<IndexRow> = parquet_file::read(&self.path("shards/index.parquet")).unwrap();
        let rows = index.into_iter().enumerate().map(|(n, row)| FeatureRow {
            clip_id: row.clip_id,
            split: row.split,
            content: row.content.unwrap(),
            feature: vec![n as f32, 0.5],
        });
        rows.collect()
    }

    /// The ledger as it was before the last request was finished.
    pub(in crate::erase) fn unfinish(&self) {
        self.edit_ledger(|row| {
            row.finished = None;
            row.chain = None;
        });
    }

    /// Changes the last row of the ledger.
    pub(in crate::erase) fn edit_ledger(&self, change: impl FnOnce(&mut ErasureRow)) {
        let path = self.path("erasures.parquet");
        let mut rows: Vec<ErasureRow> = parquet_file::read(&path).unwrap();
        change(rows.last_mut().unwrap());
        parquet_file::write(&path, &rows, &Provenance::default()).unwrap();
    }

    /// Copies the shards and their index into a folder.
    pub(in crate::erase) fn copy_shards(&self, folder: &str) {
        let (from, to) = (self.path("shards"), self.path(folder));
        fs::create_dir_all(&to).unwrap();
        let shards = shard_files(&from).unwrap().into_values();
        for name in shards.chain([IndexRow::FILE.to_owned()]) {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

/// Writes a tar of one member.
pub(in crate::erase) fn tar_of(path: &Path, member: &str, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_cksum();
    tar.append_data(&mut header, member, content).unwrap();
    tar.finish().unwrap();
}
