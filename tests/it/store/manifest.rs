//! The manifest of shards in a store, in parts: each fetches the ends of its own shards.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use incdec::lock::Wait;
use incdec::manifest::{self, ManifestConfig};
use incdec::parquet_file::Provenance;
use incdec::shard::{ShardSource, Shards, write_index};

use super::fixture::{AMPLE, Fixture};
use crate::download::server::Server;

/// Label tables of the fixture's clips but the last.
fn write_labels(folder: &Path, clips: usize) {
    fs::create_dir(folder).unwrap();
    let header = "label,youtube_id,time_start,time_end,split\n";
    let rows = (0..clips - 1).map(|row| format!("texting,clip{row:07},0,10,train\n"));
    let train = header.to_owned() + &rows.collect::<String>();
    for (name, text) in [
        ("train.csv", train.as_str()),
        ("validation.csv", header),
        ("test.csv", header),
        ("classes.csv", "Category,Subcategory\nphone,texting\n"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn parts_that_read_a_store_become_the_bytes_of_one_run_and_each_end_is_fetched_once() {
    const SHARDS: usize = 5;
    let fixture = Fixture::new(SHARDS, 3, 0);
    let shards = Shards::open(&fixture.shards()).unwrap();
    let mut index = shards.index().to_vec();
    // A row of a shard, and a whole shard.
    index.retain(|row| {
        let shard = row.shard.as_deref();
        shard != Some("train-00004.arrow")
            && (row.shard_row != Some(1) || shard != Some("train-00001.arrow"))
    });
    write_index(&fixture.shards(), &index, &Provenance::default()).unwrap();
    write_labels(&fixture.at("Info"), SHARDS * 3);
    let config = |shards: ShardSource, out: &str| ManifestConfig {
        labels: fixture.at("Info"),
        shards,
        out: fixture.at(out).join("clips.parquet"),
        listed: 10,
    };
    let files = |out: &str| -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(fixture.at(out)).unwrap().map(Result::unwrap);
        let named = entries.map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        });
        named.collect()
    };
    let folder = fixture.shards().into();
    let whole = manifest::run(&config(folder, "folder")).unwrap();
    assert_eq!(whole.unlabelled, 1);

    let server = Server::start(fixture.files());
    let store =
        |cache: &str| ShardSource::Store(Box::new(fixture.store(&server.url(), cache, AMPLE)));
    let one = manifest::run(&config(store("cache"), "one")).unwrap();
    assert_eq!(one, whole);
    assert!(files("one") == files("folder"));

    let of_shards = || {
        let requests = server.requests().into_iter();
        let requests = requests.filter(|request| request.contains(".arrow"));
        requests.collect::<Vec<_>>()
    };
    let before = of_shards().len();
    for number in [2, 0, 1] {
        let part = format!("{number}/3").parse().unwrap();
        let config = config(store(&format!("cache{number}")), "parts");
        manifest::run_part(&config, part, Wait::No).unwrap();
    }
    let asked = of_shards().split_off(before);
    for number in 0..SHARDS {
        let name = format!("train-{number:05}.arrow");
        let of_this = asked.iter().filter(|request| request.contains(&name));
        // How large it is, its end, and each row that the index does not name.
        let strays = [0, 1, 0, 0, 3][number];
        assert_eq!(of_this.count(), 2 + strays, "{name}: {asked:?}");
    }
    let before = of_shards().len();
    let merged = manifest::merge(&config(store("cache"), "parts"), 3, Wait::No).unwrap();
    assert_eq!(merged.manifest, Some(whole));
    assert!(files("parts") == files("folder"));
    assert_eq!(of_shards().len(), before, "merging looks into no shard");
}
