//! Decoded frames in memory as a source of clips, as shards are one.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use crate::data::{ClipSource, Dataset, HashCheck, Sample, StoredFrames};
use crate::decode::clip::DecodedClip;

/// The clips of one video.
struct VideoClips {
    name: String,
    video: DecodedClip,
    windows: Vec<Range<usize>>,
}

impl ClipSource for VideoClips {
    fn frames(
        &self,
        sample: &Sample,
        max_frames: usize,
        _: HashCheck,
    ) -> Result<StoredFrames<'_>, Box<dyn Error + Send + Sync>> {
        let window = usize::try_from(sample.shard_row).ok();
        let window = window.and_then(|clip| self.windows.get(clip));
        let frames = window.and_then(|window| self.video.frames.get(window.clone()));
        let frames = frames.ok_or("there is no such clip of the video")?;
        let head = &self.video.head;
        Ok(StoredFrames {
            clip_id: &self.name,
            codec: head.codec,
            height: head.height as usize,
            width: head.width as usize,
            frames: frames.iter().take(max_frames).map(Vec::as_slice).collect(),
        })
    }
}

/// The clips `windows` of a video as a data set, in their order.
pub(super) fn dataset(name: &str, video: DecodedClip, windows: &[Range<usize>]) -> Arc<Dataset> {
    let samples = (0..).zip(windows).map(|(clip, _)| Sample {
        clip_id: name.to_owned(),
        position: clip,
        // Nobody knows: it is asked for.
        label: 0,
        subcategory: String::new(),
        shard: String::new(),
        shard_row: i64::from(clip),
    });
    let samples = samples.collect();
    let source = VideoClips {
        name: name.to_owned(),
        video,
        windows: windows.to_vec(),
    };
    Arc::new(Dataset::new(Arc::new(source), samples))
}
