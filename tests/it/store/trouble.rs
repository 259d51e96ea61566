//! What happens on the way and in the store, and what is said of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use incdec::data::DataError;
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::shard::{ShardError, ShardSource, ShardStore, Shards};
use incdec::store::RetryConfig;

use super::fixture::{AMPLE, Fixture, PREFIX, cached, epochs, list, open};
use crate::download::mischief::Mischief;
use crate::download::server::{Server, Terms};

/// A server on which mischief happens to files whose path has `victims` in it.
fn mischievous(fixture: &Fixture, victims: &'static str) -> Server {
    let terms = Terms {
        victims: Some(victims),
        ..Terms::default()
    };
    Server::start_on(fixture.files(), terms)
}

fn refused(store: ShardStore) -> ShardError {
    Shards::at(&ShardSource::Store(Box::new(store))).unwrap_err()
}

#[test]
fn what_arrives_damaged_is_fetched_again_and_what_breaks_goes_on() {
    let fixture = Fixture::new(5, 3, 0);
    let disk = list(Shards::open(&fixture.shards()).unwrap(), fixture.samples());
    let expected = epochs(&disk, 1).unwrap();
    for workers in [0, 2] {
        let server = mischievous(&fixture, ".arrow");
        server.plan([
            Mischief::Corrupt(9000),
            Mischief::ResetAfter(700),
            Mischief::Corrupt(9001),
            Mischief::EndAfter(3000),
            Mischief::Busy(None),
            Mischief::Corrupt(12_000),
            Mischief::IgnoreRangeAndResetAfter(100),
        ]);
        // One shard may meet all that ends a connection.
        let retry = RetryConfig {
            tries: 8,
            first_wait: Duration::from_millis(1),
        };
        let shards = open(ShardStore {
            retry,
            ..fixture.store(&server.url(), &format!("cache-{workers}"), AMPLE)
        });
        let list = list(shards, fixture.samples());
        assert!(epochs(&list, workers).unwrap() == expected);
        assert_eq!(server.left(), 0);
    }
    // The index, and clips that are fetched one by one.
    let server = mischievous(&fixture, "shards/index");
    server.plan([Mischief::Corrupt(200), Mischief::Corrupt(300)]);
    open(fixture.store(&server.url(), "index", AMPLE));
    assert_eq!(server.left(), 0);
    let server = mischievous(&fixture, ".arrow");
    server.plan((0..4).map(|n| Mischief::Corrupt(5000 + n)));
    let shards = open(fixture.store(&server.url(), "clips", AMPLE));
    for sample in fixture.samples() {
        let clip = shards.clip(&sample.shard, sample.shard_row).unwrap();
        assert!(clip.intact() && clip.clip_id == sample.clip_id);
    }
}

#[test]
fn a_shard_that_is_replaced_meanwhile_is_named_and_said_to_have_changed() {
    let (fixture, other) = (Fixture::new(4, 3, 0), Fixture::new(4, 3, 1));
    let replaced = "train-00002.arrow";
    for workers in [0, 2] {
        let server = mischievous(&fixture, replaced);
        let bytes = other.files()[&format!("{PREFIX}/{replaced}")].clone();
        server.plan([Mischief::Replace(bytes)]);
        let cache = format!("cache-{workers}");
        let shards = open(fixture.store(&server.url(), &cache, AMPLE));
        let list = list(shards, fixture.samples());
        let error = epochs(&list, workers).unwrap_err();
        let DataError::Clip { shard, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(shard, replaced);
        let said = error.to_string();
        let difference = "is not the shard that the index describes";
        assert!(said.contains(difference) && said.contains(PREFIX), "{said}");
        assert_eq!(list.changed(replaced), Some("has changed"));
        assert_eq!(list.changed("train-00001.arrow"), None);
        assert_eq!(error.exit(), Exit::Failed);
        assert!(error.hint().unwrap().contains("bring the shard back"));
        assert!(!cached(&fixture.at(&cache)).contains_key(replaced));
    }
    // A clip alone, too.
    let mut files = fixture.files();
    let key = format!("{PREFIX}/{replaced}");
    files.insert(key.clone(), other.files()[&key].clone());
    let server = Server::start(files);
    let shards = open(fixture.store(&server.url(), "clips", AMPLE));
    let error = shards.clip(replaced, 1).unwrap_err();
    assert!(matches!(error, ShardError::Replaced { .. }), "{error}");
    // One that has gone.
    let mut files = fixture.files();
    files.remove(&key);
    let server = Server::start(files);
    let shards = open(fixture.store(&server.url(), "gone", AMPLE));
    assert!(shards.absent().unwrap().ends_with(replaced));
    let error = shards.clip(replaced, 1).unwrap_err();
    assert_eq!(error.exit(), Exit::Failed, "{error}");
}

#[test]
fn a_store_that_has_gone_is_passing_trouble_and_what_is_cached_stays_readable() {
    let fixture = Fixture::new(4, 3, 0);
    let server = Server::start(fixture.files());
    let whole = open(fixture.store(&server.url(), "whole", AMPLE));
    let whole = list(whole, fixture.samples());
    let expected = epochs(&whole, 2).unwrap();
    let none = open(fixture.store(&server.url(), "none", AMPLE));
    let none = list(none, fixture.samples());
    drop(server);
    assert!(epochs(&whole, 2).unwrap() == expected);
    for workers in [0, 2] {
        let error = epochs(&none, workers).unwrap_err();
        assert_eq!(error.exit(), Exit::TryAgain, "{error}");
        assert!(error.hint().unwrap().contains("check the network"));
    }
    let gone = "http://127.0.0.1:9";
    let error = refused(fixture.store(gone, "never", AMPLE));
    assert_eq!(error.exit(), Exit::TryAgain, "{error}");
}

#[test]
fn a_store_that_refuses_and_settings_that_make_no_sense_are_named() {
    let fixture = Fixture::new(3, 3, 0);
    let terms = Terms {
        key: Some("never"),
        ..Terms::default()
    };
    let closed = Server::start_on(fixture.files(), terms);
    let error = refused(fixture.store(&closed.url(), "closed", AMPLE));
    assert_eq!(error.exit(), Exit::Failed, "{error}");
    assert!(error.to_string().contains("403"), "{error}");
    assert!(error.hint().unwrap().contains("--signed"));
    let server = Server::start(fixture.files());
    let (shard, index) = fixture.sizes();
    let error = refused(fixture.store(&server.url(), "small", 2 * shard + index));
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.to_string().contains("is too small"), "{error}");
    let cacheless = ShardStore {
        cache: None,
        ..fixture.store(&server.url(), "", AMPLE)
    };
    let error = refused(cacheless);
    assert!(error.to_string().contains("--cache"), "{error}");
    assert_eq!(error.exit(), Exit::Usage);
    let empty = Server::start([].into());
    let error = refused(fixture.store(&empty.url(), "empty", AMPLE));
    assert!(error.hint().unwrap().contains("index.parquet"), "{error}");
}

#[test]
fn what_is_damaged_in_the_cache_is_fetched_anew() {
    let fixture = Fixture::new(3, 3, 0);
    let server = Server::start(fixture.files());
    let read = || {
        let shards = open(fixture.store(&server.url(), "cache", AMPLE));
        epochs(&list(shards, fixture.samples()), 1).unwrap()
    };
    let expected = read();
    let find = |name: &str| {
        let files = walkdir::WalkDir::new(fixture.at("cache")).into_iter();
        let mut files = files.map(|entry| entry.unwrap().into_path());
        files.find(|path| path.ends_with(name)).unwrap()
    };
    let rewrite = |path: &Path, change: fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    rewrite(&find("train-00000.arrow"), |bytes| bytes[9000] ^= 1);
    rewrite(&find("train-00001.arrow"), |bytes| bytes.truncate(900));
    rewrite(&find("index.parquet"), |bytes| bytes[200] ^= 1);
    assert!(read() == expected);
    let sound = fixture.files();
    for (key, bytes) in sound {
        let name = key.rsplit('/').next().unwrap();
        assert!(fs::read(find(name)).unwrap() == bytes, "{name}");
    }
}

#[test]
fn the_size_that_a_too_small_cache_is_told_to_have_holds_the_two_largest_shards() {
    let fixture = Fixture::new(2, 3, 0);
    let server = Server::start(fixture.files());
    let error = refused(fixture.store(&server.url(), "cache", 1));
    let hint = error.hint().unwrap();
    let ShardError::SmallCache { needed_bytes, .. } = error else {
        panic!("{error}");
    };
    assert!(
        hint.contains(&format!("--cache-bytes {needed_bytes}")),
        "{hint}"
    );
    let shards = open(fixture.store(&server.url(), "cache", needed_bytes));
    epochs(&list(shards, fixture.samples()), 2).unwrap();
    let files = cached(&fixture.at("cache"));
    let shards = files.keys().filter(|name| name.ends_with(".arrow"));
    assert_eq!(shards.count(), 2, "{files:?}");
    let bytes: u64 = files.values().sum();
    assert!(bytes <= needed_bytes, "{bytes} of {needed_bytes}");
}
