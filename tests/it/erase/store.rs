//! Shards in an object store: found, written anew where they lie, and seen to be clean.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use incdec::clip::Split;
use incdec::erase::{Action, EraseConfig, EraseError, Place, Selector, What, apply, plan, verify};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::parquet_file::{self, Provenance};
use incdec::shard::{
    Shard, ShardStore, ShardWriter, ShardWriterConfig, SourceFacts, parse_shard_name,
};
use incdec::store::{HttpConfig, Link, RetryConfig, StoreConfig};
use incdec::tables::{ClipRow, IndexRow};

use super::world::World;
use crate::download::server::{Server, Terms};

const PREFIX: &str = "bucket/some/shards";

/// The folder of shards as a bucket has it.
fn published(world: &World) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(world.path("shards")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    let named = files.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    });
    let is_published = |name: &str| parse_shard_name(name).is_some() || name == IndexRow::FILE;
    let named = named.filter(|(name, _)| is_published(name));
    named
        .map(|(name, bytes)| (format!("{PREFIX}/{name}"), bytes))
        .collect()
}

/// The shards at an address on a loopback server.
fn at(server: &Server, address: &str) -> ShardStore {
    ShardStore {
        http: HttpConfig {
            store: StoreConfig {
                endpoint: Some(server.url().as_str().into()),
                ..StoreConfig::default()
            },
            ..HttpConfig::default()
        },
        retry: RetryConfig {
            tries: 2,
            first_wait: Duration::from_millis(1),
        },
        ..ShardStore::new(Link::from(address))
    }
}

/// A request for a clip, with a store among the places.
fn request(world: &World, server: &Server, clip: &str) -> EraseConfig {
    let mut config = world.config(vec![Selector::Ids(vec![clip.to_owned()])]);
    let address = format!("s3://{PREFIX}");
    config.places.stores.push(at(server, &address));
    config
}

#[test]
fn a_store_is_searched_written_anew_and_seen_to_be_clean() {
    let world = World::new();
    let clip = world.clip(Split::Train).id.clone();
    let before = published(&world);
    let server = Server::start(before.clone());
    let config = request(&world, &server, &clip);

    let planned = plan(&config.places, &config.selectors).unwrap();
    let in_store = planned.held.iter().filter(|row| row.place == Place::Store);
    let found: Vec<_> = in_store.map(|row| (row.what, row.action)).collect();
    let expected = [What::Row, What::StoredFrames].map(|what| (what, Action::Rewrite));
    assert_eq!(found, expected, "{planned}");
    let in_store = planned.held.iter().filter(|row| row.place == Place::Store);
    let below = format!("s3://{PREFIX}/");
    assert!(
        in_store
            .map(|row| &row.file)
            .all(|file| file.starts_with(&below))
    );
    assert!(server.files() == before);

    let done = apply(&config).unwrap();
    assert!(done.by_hand.is_empty(), "{done}");
    // The same bytes as in the folder, and of all other shards those of before.
    let after = server.files();
    assert!(after == published(&world));
    let kept = before
        .iter()
        .filter(|(name, bytes)| after.get(*name) == Some(*bytes));
    assert_eq!(kept.count(), before.len() - 2);
    assert!(!world.path(".incdec-store").exists());
    let verdict = verify(&config.places).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    assert!(apply(&config).unwrap().already);

    // Whatever is put back there is found: the old shard under any name, a note, the old index.
    let (_, bytes) = before
        .iter()
        .find(|(name, _)| name.ends_with(".arrow") && !after.contains_key(*name))
        .unwrap();
    let left = |name: &str, bytes: &[u8]| {
        let files = server.files();
        server.smuggle(&format!("{PREFIX}/{name}"), bytes.to_vec());
        let verdict = verify(&config.places).unwrap();
        server.replace(files);
        let row = verdict
            .left
            .first()
            .unwrap_or_else(|| panic!("{name}: {verdict}"));
        assert_eq!((row.place, &row.clip_id), (Place::Store, &clip), "{name}");
        assert!(row.file.ends_with(name), "{row:?}");
        row.action
    };
    assert_eq!(left("train-00099.arrow", bytes), Action::Rewrite);
    assert_eq!(left("deeper/copy.arrow", bytes), Action::ByHand);
    assert_eq!(
        left("notes.txt", format!("see {clip}").as_bytes()),
        Action::ByHand
    );
    assert_eq!(
        left("100% sure?.txt", format!("see {clip}").as_bytes()),
        Action::ByHand
    );
    assert_eq!(
        left("index.parquet", &before[&format!("{PREFIX}/index.parquet")]),
        Action::Rewrite
    );
    // A name that leads elsewhere is not followed.
    let elsewhere = Server::start([("secret".to_owned(), clip.clone().into_bytes())].into());
    server.smuggle(&format!("{PREFIX}/{}/secret", elsewhere.url()), Vec::new());
    let verdict = verify(&config.places).unwrap();
    assert!(elsewhere.requests().is_empty());
    assert!(
        !verdict.unsearched.is_empty() && verdict.left.is_empty(),
        "{verdict}"
    );
}

#[test]
fn the_same_frames_under_another_name_are_found_in_a_store() {
    let world = World::of([4, 1, 1], 8, 3);
    let clip = world.clip(Split::Train).id.clone();
    let server = Server::start(published(&world));
    let config = request(&world, &server, &clip);
    apply(&config).unwrap();
    let number = world.clips.iter().position(|made| made.id == clip).unwrap();
    let other = "zzzzzzzzzzz_000001_000011";
    let copy = world.stored(other, Split::Train, number, SourceFacts::default());
    let folder = world.path("elsewhere");
    let mut writer = ShardWriter::new(&folder, Provenance::default(), ShardWriterConfig::default());
    writer.push(&copy).unwrap();
    let names = writer.finish().unwrap();
    let bytes = fs::read(folder.join(&names[0])).unwrap();
    server.smuggle(&format!("{PREFIX}/train-00077.arrow"), bytes);
    let verdict = verify(&config.places).unwrap();
    let copies = verdict.left.iter().filter(|row| row.what == What::Copy);
    let copies: Vec<_> = copies.map(|row| (row.place, row.clip_id.clone())).collect();
    assert_eq!(copies, [(Place::Store, clip)], "{verdict}");
}

#[test]
fn stopped_after_any_write_the_same_command_ends_in_the_same_state() {
    let world = World::of([4, 1, 1], 2, 3);
    let clips: Vec<String> = world
        .clips
        .iter()
        .step_by(5)
        .map(|clip| clip.id.clone())
        .collect();
    let server = Server::start(published(&world));
    let mut config = request(&world, &server, "");
    config.selectors = vec![Selector::Ids(clips.clone())];
    let mut stops = 0;
    loop {
        // What a stop has left costs a write, too, so the next one comes a write later.
        server.grant_writes(Some(stops));
        let Err(error) = apply(&config) else { break };
        assert_eq!(error.exit(), Exit::TryAgain, "{error}");
        assert!(error.hint().is_some());
        // Whoever reads meanwhile finds every clip that the index names.
        let files = server.files();
        let index = fs::write(
            world.path("index"),
            &files[&format!("{PREFIX}/index.parquet")],
        );
        index.unwrap();
        let rows: Vec<IndexRow> = parquet_file::read(&world.path("index")).unwrap();
        for (shard, row) in rows
            .iter()
            .filter_map(|row| Some((row.shard.as_ref()?, row.shard_row?)))
        {
            let path = world.path(shard);
            fs::write(&path, &files[&format!("{PREFIX}/{shard}")]).unwrap();
            assert!(Shard::open(&path).unwrap().clip(row).unwrap().intact());
            fs::remove_file(path).unwrap();
        }
        stops += 1;
    }
    // A new shard and an index, and the old shard and an index, at the least.
    assert!(stops > 4, "{stops}");
    server.grant_writes(None);
    fs::remove_file(world.path("index")).unwrap();
    assert!(server.files() == published(&world));
    let verdict = verify(&config.places).unwrap();
    assert!(
        verdict.is_clean() && verdict.clips == clips.len(),
        "{verdict}"
    );
}

#[test]
fn data_that_lies_in_a_store_alone_is_erased_with_its_manifest() {
    let world = World::new();
    let clip = world.clip(Split::Validation).id.clone();
    let beside = World::new();
    apply(&beside.config(vec![Selector::Ids(vec![clip.clone()])])).unwrap();
    let server = Server::start(published(&world));
    fs::remove_dir_all(world.path("shards")).unwrap();
    let mut config = request(&world, &server, &clip);
    config.selectors = vec![Selector::Clips(world.path("request.csv"))];
    fs::write(world.path("request.csv"), format!("clip_id\n{clip}\n")).unwrap();
    apply(&config).unwrap();
    let read = |world: &World| {
        let rows: Vec<ClipRow> =
            parquet_file::read(&world.path("manifests/clips.parquet")).unwrap();
        rows
    };
    assert_eq!(read(&world), read(&beside));
    fs::remove_file(world.path("request.csv")).unwrap();
    let verdict = verify(&config.places).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
}

#[test]
fn what_is_out_of_reach_is_named() {
    let world = World::new();
    let clip = world.clip(Split::Train).id.clone();
    let terms = Terms {
        versions: true,
        ..Terms::default()
    };
    let server = Server::start_on(published(&world), terms);
    let mut config = request(&world, &server, &clip);
    // Google's and Azure's stores are not listed.
    config.places.stores[0] = at(&server, &format!("gs://{PREFIX}"));
    apply(&config).unwrap();
    assert!(server.files() == published(&world));
    let verdict = verify(&config.places).unwrap();
    assert!(verdict.left.is_empty(), "{verdict}");
    let said = verdict.to_string();
    assert!(
        said.contains("cannot list itself") && said.contains("old versions"),
        "{said}"
    );
    assert!(!verdict.is_clean());

    // One that is away: plan says so, and nothing is begun.
    let world = World::new();
    let mut config = request(&world, &server, &clip);
    config.places.stores[0].http.store.endpoint = Some("http://127.0.0.1:9".into());
    let planned = plan(&config.places, &config.selectors).unwrap();
    assert!(
        planned.to_string().contains("not searched: s3://bucket"),
        "{planned}"
    );
    let files = world.files();
    let error = apply(&config).unwrap_err();
    assert!(matches!(error, EraseError::Unsearched { .. }), "{error}");
    assert!(world.files() == files);

    // The same of the folder of shards.
    let index = world.path("shards/index.parquet");
    let aside = world.path("../index.parquet");
    fs::rename(&index, &aside).unwrap();
    let error = apply(&world.config(config.selectors)).unwrap_err();
    assert!(matches!(error, EraseError::NoIndex { .. }), "{error}");
    fs::rename(aside, index).unwrap();
    assert!(world.files() == files);

    // Shards that no index names are not thrown away with the clip that one of them holds.
    let mut shards = published(&world);
    shards.remove(&format!("{PREFIX}/index.parquet"));
    let server = Server::start(shards.clone());
    let error = apply(&request(&world, &server, &clip)).unwrap_err();
    assert!(matches!(error, EraseError::NoIndex { .. }), "{error}");
    assert!(server.files() == shards);
    // Nothing was begun that would stand against other requests.
    assert!(world.files() == files);
}
