//! Reading while all is well: the same batches as from disk, in no more bytes than the cache may have.

use std::thread;
use std::time::{Duration, Instant};

use incdec::data::Sample;
use incdec::parquet_file::Provenance;
use incdec::shard::{Shards, write_index};

use super::fixture::{AMPLE, Fixture, PREFIX, cached, epochs, list, open};
use crate::download::server::Server;

/// How long something is waited for that is about to happen, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The GETs of shards so far: whole ones, and ranges.
fn fetched(server: &Server) -> (Vec<String>, Vec<String>) {
    let gets = server.requests().into_iter();
    let gets = gets.filter_map(|request| request.strip_prefix("GET ").map(str::to_owned));
    gets.filter(|get| get.contains(".arrow"))
        .partition(|get| !get.contains(' '))
}

#[test]
fn batches_are_those_from_disk_also_with_a_cache_of_three_shards() {
    let fixture = Fixture::new(8, 3, 0);
    let disk = list(Shards::open(&fixture.shards()).unwrap(), fixture.samples());
    let expected = epochs(&disk, 2).unwrap();
    let (shard, index) = fixture.sizes();
    // The locks of shards that are being fetched take some bytes, too.
    let three = 3 * shard + index + 1000;
    for (name, cache_bytes) in [("ample", AMPLE), ("three", three)] {
        for workers in [0, 1, 3] {
            let server = Server::start(fixture.files());
            let cache = format!("{name}-{workers}");
            let shards = open(fixture.store(&server.url(), &cache, cache_bytes));
            let list = list(shards, fixture.samples());
            assert!(epochs(&list, workers).unwrap() == expected, "{cache}");
            let files = cached(&fixture.at(&cache));
            let bytes: u64 = files.values().sum();
            assert!(bytes <= cache_bytes, "{bytes} of {cache_bytes}: {files:?}");
            let (whole, ranges) = fetched(&server);
            if name == "ample" {
                assert_eq!((whole.len(), ranges.len()), (8, 0), "{whole:?} {ranges:?}");
                assert_eq!(files.len(), 9, "{files:?}");
                // Another run needs none of them again.
                let shards = open(fixture.store(&server.url(), &cache, cache_bytes));
                let list = super::fixture::list(shards, fixture.samples());
                assert!(epochs(&list, workers).unwrap() == expected);
                assert_eq!(fetched(&server).0.len(), 8);
            } else {
                assert!(whole.len() >= 8, "{whole:?}");
                assert!(files.keys().filter(|n| n.ends_with(".arrow")).count() <= 3);
            }
        }
    }
}

#[test]
fn shards_are_fetched_in_the_order_of_their_use_and_each_once_where_one_follows_the_other() {
    let fixture = Fixture::new(6, 4, 0);
    let server = Server::start(fixture.files());
    let (shard, index) = fixture.sizes();
    let shards = open(fixture.store(&server.url(), "cache", 3 * shard + index + 1000));
    let samples = fixture.samples();
    shards.announce(samples.iter().map(|sample| &sample.shard[..]));
    for sample in &samples {
        let clip = shards
            .checked_clip(&sample.shard, sample.shard_row)
            .unwrap();
        assert_eq!(clip.clip_id, sample.clip_id);
    }
    let (whole, ranges) = fetched(&server);
    assert!(ranges.is_empty(), "{ranges:?}");
    let names = (0..6).map(|number| format!("{PREFIX}/train-{number:05}.arrow"));
    let names: Vec<_> = names.collect();
    // Three are fetched at a time, of which any may be first.
    for (number, name) in names.iter().enumerate() {
        let place = whole.iter().position(|fetched| fetched == name).unwrap();
        assert!(number.abs_diff(place) < 3, "{whole:?}");
    }
    assert_eq!(whole.len(), names.len(), "{whole:?}");
}

#[test]
fn what_the_next_epoch_begins_with_is_fetched_before_this_one_ends() {
    let fixture = Fixture::new(6, 4, 0);
    let server = Server::start(fixture.files());
    let (shard, index) = fixture.sizes();
    let shards = open(fixture.store(&server.url(), "cache", 3 * shard + index + 1000));
    let samples = fixture.samples();
    let order = || samples.iter().map(|sample| &sample.shard[..]);
    shards.announce(order());
    shards.announce_behind(order());
    let read = |sample: &Sample| {
        shards
            .checked_clip(&sample.shard, sample.shard_row)
            .unwrap()
    };
    let (last, before) = samples.split_last().unwrap();
    for of_a_shard in before.chunks(4) {
        for sample in of_a_shard {
            read(sample);
        }
        // Whoever fetches ahead has the time that training would take.
        thread::sleep(10 * LOOK_AGAIN);
    }
    let begun = Instant::now();
    while fetched(&server).0.len() <= 6 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", fetched(&server));
        thread::sleep(LOOK_AGAIN);
    }
    let (whole, _) = fetched(&server);
    let again = format!("{PREFIX}/train-00000.arrow");
    assert_eq!(whole[6..].first(), Some(&again), "{whole:?}");
    assert_eq!(read(last).clip_id, last.clip_id);
}

#[test]
fn of_a_shard_of_which_few_clips_are_used_only_these_are_fetched() {
    let fixture = Fixture::new(2, 40, 0);
    let server = Server::start(fixture.files());
    let shards = open(fixture.store(&server.url(), "cache", AMPLE));
    let samples: Vec<_> = fixture.samples().into_iter().step_by(20).collect();
    let disk = list(Shards::open(&fixture.shards()).unwrap(), samples.clone());
    let store = list(shards, samples);
    assert!(epochs(&store, 2).unwrap() == epochs(&disk, 2).unwrap());
    let (whole, ranges) = fetched(&server);
    assert!(whole.is_empty(), "{whole:?}");
    // Two clips of each shard in each of three epochs, and the end of each shard once or, by two
    // workers at a time, twice.
    assert!((14..=16).contains(&ranges.len()), "{ranges:?}");
    let files = cached(&fixture.at("cache"));
    assert!(
        !files.keys().any(|name| name.ends_with(".arrow")),
        "{files:?}"
    );
}

#[test]
fn several_readers_share_a_cache_and_each_shard_is_fetched_once() {
    let fixture = Fixture::new(6, 3, 0);
    let server = Server::start(fixture.files());
    let disk = list(Shards::open(&fixture.shards()).unwrap(), fixture.samples());
    let expected = epochs(&disk, 1).unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let shards = open(fixture.store(&server.url(), "cache", AMPLE));
                let list = list(shards, fixture.samples());
                assert!(epochs(&list, 1).unwrap() == expected);
            });
        }
    });
    let (whole, ranges) = fetched(&server);
    assert_eq!((whole.len(), ranges.len()), (6, 0), "{whole:?} {ranges:?}");
    // Where there is less room than they want, they still get on.
    let (shard, index) = fixture.sizes();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let shards = open(fixture.store(&server.url(), "small", 2 * shard + index + 1000));
                let list = list(shards, fixture.samples());
                assert!(epochs(&list, 2).unwrap() == expected);
            });
        }
    });
    let bytes: u64 = cached(&fixture.at("small")).values().sum();
    assert!(bytes <= 2 * shard + index + 1000, "{bytes}");
}

#[test]
fn rows_that_the_index_does_not_name_are_found_in_a_store_as_in_a_folder() {
    let fixture = Fixture::new(3, 3, 0);
    let shards = Shards::open(&fixture.shards()).unwrap();
    let mut index = shards.index().to_vec();
    // One row of a shard, and a whole shard.
    index.retain(|row| {
        row.shard_row != Some(1) || row.shard.as_deref() != Some("train-00000.arrow")
    });
    index.retain(|row| row.shard.as_deref() != Some("train-00002.arrow"));
    write_index(&fixture.shards(), &index, &Provenance::default()).unwrap();
    let server = Server::start(fixture.files());
    let store = open(fixture.store(&server.url(), "cache", AMPLE));
    let strays = store.strays().unwrap();
    assert_eq!(strays.len(), 4);
    assert_eq!(
        strays,
        Shards::open(&fixture.shards()).unwrap().strays().unwrap()
    );
    assert!(fetched(&server).0.is_empty());
}
