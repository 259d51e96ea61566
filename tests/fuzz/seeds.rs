//! Writes sound files to begin with into `corpus/<target>/`: no fuzzer guesses an Arrow or a Parquet file.

use std::fs;
use std::path::Path;

use incdec::clip::Split;
use incdec::parquet_file::Provenance;
use incdec::shard::{
    ClipHead, Codec, IndexRow, NewClip, ShardWriter, ShardWriterConfig, SourceFacts, shard_name,
    write_index,
};
use incdec::tables::ClipStatus;

fn clip(number: usize, codec: Codec) -> NewClip {
    NewClip {
        clip_id: format!("clip{number}_000000_000010"),
        split: Split::Train,
        label_row: number,
        frames: vec![vec![7; 18]; 1 + number % 3],
        head: ClipHead {
            codec,
            height: 2,
            width: 3,
            fps: 5.0,
            source: SourceFacts {
                fps: Some(29.97),
                codec: Some("h264".into()),
                frames_decoded: 50,
                ..SourceFacts::default()
            },
            status: if number == 1 {
                ClipStatus::Partial
            } else {
                ClipStatus::Ok
            },
            error: (number == 1).then(|| "cut off".into()),
        },
    }
}

/// Stores `count` clips in `folder` with an index; gives the rows.
fn store(folder: &Path, codec: Codec, count: usize) -> Vec<IndexRow> {
    let mut writer = ShardWriter::new(folder, Provenance::default(), ShardWriterConfig::default());
    let rows: Vec<_> = (0..count)
        .map(|number| {
            writer
                .push(&clip(number, codec))
                .expect("the clip is sound")
        })
        .collect();
    writer.finish().expect("the folder can be written");
    write_index(folder, &rows, &Provenance::default()).expect("the folder can be written");
    rows
}

fn main() {
    for target in ["shard", "index", "labels"] {
        fs::create_dir_all(Path::new("corpus").join(target)).expect("a folder for seeds");
    }
    for (codec, count) in [(Codec::Raw, 1), (Codec::Jpeg, 1), (Codec::Raw, 3)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        store(folder.path(), codec, count);
        let seed = |target: &str, file: &str| {
            let to = Path::new("corpus")
                .join(target)
                .join(format!("{codec}-{count}"));
            fs::copy(folder.path().join(file), to).expect("the seed can be written");
        };
        seed("shard", &shard_name(Split::Train, 0));
        seed("index", IndexRow::FILE);
    }
    // The first byte chooses the file that the rest becomes.
    let tables = [
        (
            "classes",
            "cCategory,Subcategory\nfatigue,yawning\nfood,\"eating, cake\"\n",
        ),
        (
            "train",
            "t,label,youtube_id,time_start,time_end,split\n0,yawning,abcdefghijk,3,13,train\n",
        ),
        (
            "bare",
            "tlabel,youtube_id,time_start,time_end\nyawning,-_abcdefghi,0,10\n",
        ),
    ];
    for (name, text) in tables {
        fs::write(Path::new("corpus/labels").join(name), text).expect("the seed can be written");
    }
}
