//! Clips on their way to the disk: written, hashed and looked at in one pass.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::container;
use super::extract::{ExtractError, Keeper};
use crate::artifact::ArtifactError;
use crate::clip::ClipId;
use crate::download::ledger::KeptClip;

/// Bytes copied at a time.
const COPY_BYTES: usize = 64 * 1024;

/// Keeps clips as files of one folder, each hashed and looked at on its way.
pub(crate) struct Staging<'a, W> {
    folder: PathBuf,
    wants: W,
    on_keep: &'a dyn Fn(),
    buffer: Vec<u8>,
}

impl<'a, W: Fn(&ClipId) -> bool> Staging<'a, W> {
    /// A keeper of the clips that `wants` names; `on_keep` is called for each.
    pub(crate) fn new(folder: &Path, wants: W, on_keep: &'a dyn Fn()) -> Self {
        Self {
            folder: folder.to_owned(),
            wants,
            on_keep,
            buffer: vec![0; COPY_BYTES],
        }
    }
}

impl<W: Fn(&ClipId) -> bool> Keeper for Staging<'_, W> {
    fn wants(&self, clip: &ClipId) -> bool {
        (self.wants)(clip)
    }

    fn keep(
        &mut self,
        clip: &ClipId,
        ending: &'static str,
        bytes: u64,
        body: &mut dyn Read,
    ) -> Result<KeptClip, ExtractError> {
        let path = self.folder.join(format!("{clip}.{ending}"));
        // No draft and no sync here: the folder is a staging place, synced as a whole before
        // anything gets its name.
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(ArtifactError::at("create", &path))?;
        let mut hasher = blake3::Hasher::new();
        let mut written = 0;
        loop {
            let n = body.read(&mut self.buffer)?;
            if n == 0 {
                break;
            }
            hasher.update(&self.buffer[..n]);
            file.write_all(&self.buffer[..n])
                .map_err(ArtifactError::at("write", &path))?;
            written += n as u64;
        }
        if written != bytes {
            return Err(ExtractError::Damaged(format!(
                "{clip}: {written} bytes, its header says {bytes}"
            )));
        }
        let container =
            container::check(&mut file, bytes).map_err(ArtifactError::at("read", &path))?;
        (self.on_keep)();
        Ok(KeptClip {
            clip_id: clip.to_string(),
            bytes,
            blake3: hasher.finalize().to_hex().to_string(),
            container,
        })
    }
}
