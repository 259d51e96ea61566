//! The stages on a real store.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::shard::{Published, ShardError, ShardStore, Shards, publish};
use incdec::store::{Client, Link, RetryConfig};

use super::fixture::{AMPLE, Fixture, PREFIX, epochs, list, open};
use super::seaweed::{KEY, SECRET, Seaweed};
use crate::report;
use crate::support::binary;
use crate::train::toy::{Toy, assert_same_contents};

/// What a command says, and its status.
fn told(command: &mut Command) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout) + &text(&stderr))
}

fn succeed(command: &mut Command) -> String {
    let (status, said) = told(command);
    assert_eq!(status, Some(0), "{command:?}\n{said}");
    said
}

/// A binary that asks the store with these keys.
fn asking(name: &str, store: &Seaweed, key: &str, secret: &str) -> Command {
    let mut command = Command::new(binary(name));
    ask(&mut command, store, key, secret);
    command
}

fn ask(command: &mut Command, store: &Seaweed, key: &str, secret: &str) {
    command.env("AWS_ACCESS_KEY_ID", key);
    command.env("AWS_SECRET_ACCESS_KEY", secret);
    command.args(["--endpoint", &store.endpoint(), "--signed"]);
    command.env("OMP_NUM_THREADS", "1");
}

fn upload(store: &Seaweed, folder: &Path, address: &str) -> Result<Published, ShardError> {
    let address = Link::from(address);
    publish(
        folder,
        &Client::of(&address, &store.http(), RetryConfig::default()).unwrap(),
    )
}

/// How many shards and indexes lie in a folder.
fn shard_files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let files = names.filter(|name| name.ends_with(".arrow") || name.ends_with(".parquet"));
    files.count()
}

/// A few clips below `raw` of a folder, their labels below `source/Info`.
fn download_toy(folder: &Path) {
    let at = |name: &str| folder.join(name);
    let sizes = "--train 1 --validation 1 --test 1 --seconds 0.4 --size 16";
    let mut toy = Command::new(binary("incdec-toy"));
    toy.args(["write", "--out"])
        .arg(at("source"))
        .args(sizes.split(' '));
    succeed(&mut toy);
    let mut download = Command::new(binary("incdec-download"));
    download.arg("--source").arg(at("source"));
    download.arg("--labels").arg(at("source/Info"));
    download.arg("--out").arg(at("raw"));
    succeed(download.arg("--ledger").arg(at("downloads.parquet")));
}

#[test]
#[cfg_attr(
    not(seaweedfs),
    ignore = "SeaweedFS is not installed: `.ci/setup` installs it"
)]
fn training_and_features_from_a_store_are_those_from_disk_and_wrong_keys_are_named() {
    let store = Seaweed::start();
    let toy = Toy::new();
    let address = "s3://bucket/toy/shards";
    upload(&store, &toy.shards(), address).unwrap();
    let flags = "--approach ewc --epochs 2 --workers 2";
    let disk = toy.train("decremental", "disk", flags);
    let cache = toy.folder.path().join("cache");
    let from_store = |name: &str, key: &str, secret: &str| {
        let usual = toy.command("decremental", name, flags);
        let mut command = asking("incdec-train", &store, key, secret);
        let mut arguments: Vec<_> = usual.get_args().map(ToOwned::to_owned).collect();
        let shards = arguments
            .iter()
            .position(|word| word == "--shards")
            .unwrap();
        arguments[shards + 1] = address.into();
        command.args(arguments).arg("--cache").arg(&cache);
        command
    };
    succeed(&mut from_store("store", KEY, SECRET));
    assert_same_contents(&disk, &toy.run("store"));
    let (status, said) = told(&mut from_store("wrong", KEY, "guessed"));
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("403") && said.contains("the credentials in the environment"),
        "{said}"
    );
    assert!(!said.contains("guessed"), "{said}");
    assert!(!toy.run("wrong").join("settings.json").exists());

    let checkpoint = disk.join("checkpoints/task-0.safetensors");
    let features = |shards: &str, out: &str| {
        let mut command = asking("incdec-features", &store, KEY, SECRET);
        command.arg("--checkpoint").arg(&checkpoint);
        command.args(["--threads", "1", "--shards", shards, "--out"]);
        command.arg(toy.folder.path().join(out).join("features.parquet"));
        command.arg("--cache").arg(&cache);
        succeed(&mut command);
        fs::read(toy.folder.path().join(out).join("features.parquet")).unwrap()
    };
    let disk = features(toy.shards().to_str().unwrap(), "disk");
    assert!(disk == features(address, "store"));
}

#[test]
#[cfg_attr(
    not(seaweedfs),
    ignore = "SeaweedFS is not installed: `.ci/setup` installs it"
)]
fn a_store_that_is_killed_and_comes_back_is_waited_for() {
    let mut store = Seaweed::start();
    let fixture = Fixture::new(6, 3, 0);
    let address = format!("s3://{PREFIX}");
    assert_eq!(upload(&store, &fixture.shards(), &address).unwrap().sent, 7);
    let disk = list(Shards::open(&fixture.shards()).unwrap(), fixture.samples());
    let expected = epochs(&disk, 2).unwrap();
    let read_from = |cache: &str, tries| ShardStore {
        http: store.http(),
        retry: RetryConfig {
            tries,
            first_wait: Duration::from_millis(20),
        },
        ..fixture.store(&store.endpoint(), cache, AMPLE)
    };
    let (patient, other) = (open(read_from("patient", 20)), open(read_from("other", 2)));
    let patient = list(patient, fixture.samples());
    let impatient = list(other, fixture.samples());
    store.kill();
    let error = epochs(&impatient, 2).unwrap_err();
    assert_eq!(error.exit(), Exit::TryAgain, "{error}");
    assert!(error.hint().is_some());
    thread::scope(|scope| {
        let read = scope.spawn(|| epochs(&patient, 2).unwrap());
        thread::sleep(Duration::from_secs(10));
        store.resume();
        assert!(read.join().unwrap() == expected);
    });
}

#[test]
#[cfg_attr(
    not(seaweedfs),
    ignore = "SeaweedFS is not installed: `.ci/setup` installs it"
)]
fn a_cache_of_three_shards_gives_the_bytes_of_the_disk_and_a_replaced_shard_is_named() {
    let store = Seaweed::start();
    let fixture = Fixture::new(8, 3, 0);
    upload(&store, &fixture.shards(), &format!("s3://{PREFIX}")).unwrap();
    let disk = list(Shards::open(&fixture.shards()).unwrap(), fixture.samples());
    let expected = epochs(&disk, 2).unwrap();
    let (shard, index) = fixture.sizes();
    let read = |cache: &str| {
        let shards = open(ShardStore {
            http: store.http(),
            ..fixture.store(&store.endpoint(), cache, 3 * shard + index + 1000)
        });
        epochs(&list(shards, fixture.samples()), 2)
    };
    assert!(read("three").unwrap() == expected);
    let other = Fixture::new(8, 3, 1);
    let name = "train-00004.arrow";
    let path = format!("{PREFIX}/{name}");
    let (_, in_bucket) = path.split_once('/').unwrap();
    store.replace(in_bucket, &other.files()[&path]);
    let error = read("anew").unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains(name) && said.contains("is not the shard that the index describes"),
        "{said}"
    );
    assert_eq!(error.exit(), Exit::Failed);
}

#[test]
#[cfg_attr(
    not(seaweedfs),
    ignore = "SeaweedFS is not installed: `.ci/setup` installs it"
)]
fn a_page_with_frames_from_a_store_shows_those_from_disk() {
    let store = Seaweed::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = report::fake_run(folder.path());
    report::frames::write_shards(&run, &at("frames"));
    let address = "s3://bucket/report/frames";
    upload(&store, &at("frames"), address).unwrap();
    let images = |frames: &str, name: &str| -> Vec<String> {
        let mut command = asking("incdec-report", &store, KEY, SECRET);
        command
            .arg(&run)
            .args(["--permutations", "20", "--frames", frames]);
        command.arg("--cache").arg(at("cache"));
        succeed(command.arg("--out").arg(at(name)));
        let page = fs::read_to_string(at(name)).unwrap();
        let images = page.split("src=\"data:image/jpeg;base64,").skip(1);
        let bytes = images.map(|image| image.split('"').next().unwrap().to_owned());
        bytes.collect()
    };
    let disk = images(at("frames").to_str().unwrap(), "disk.html");
    assert_eq!(disk.len(), 36);
    assert_eq!(images(address, "store.html"), disk);
}

#[test]
#[cfg_attr(
    not(seaweedfs),
    ignore = "SeaweedFS is not installed: `.ci/setup` installs it"
)]
fn merged_parts_are_published_as_the_bytes_of_one_run() {
    let store = Seaweed::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    download_toy(folder.path());
    let decode = |out: &str, part: &[&str]| {
        let mut command = Command::new(binary("incdec-decode"));
        command.arg("--clips").arg(at("raw"));
        command.arg("--labels").arg(at("source/Info"));
        command.args(["--clips-per-shard", "20", "--out"]);
        succeed(command.arg(at(out)).args(part));
    };
    decode("whole", &[]);
    decode("work", &["--part", "0/2"]);
    let address = "s3://bucket/merged";
    let merge = || {
        let mut command = Command::new(binary("incdec-decode"));
        command.arg("merge").arg("--labels").arg(at("source/Info"));
        command.args(["--parts", "2", "--out", address, "--work"]);
        ask(command.arg(at("work")), &store, KEY, SECRET);
        command
    };
    // Nothing is published before all parts are there.
    assert_ne!(told(&mut merge()).0, Some(0));
    decode("work", &["--part", "1/2"]);
    let count = shard_files(&at("whole"));
    let said = succeed(&mut merge());
    assert!(
        said.contains(&format!("{count} files published, 0 there already")),
        "{said}"
    );
    let published = upload(&store, &at("whole"), address).unwrap();
    assert_eq!((published.sent, published.unchanged), (0, count));
    let said = succeed(&mut merge());
    assert!(
        said.contains(&format!("0 files published, {count} there already")),
        "{said}"
    );
}

#[test]
#[cfg_attr(
    not(seaweedfs),
    ignore = "SeaweedFS is not installed: `.ci/setup` installs it"
)]
fn decode_publishes_once_and_the_manifest_of_the_store_is_that_of_the_folder() {
    let store = Seaweed::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    download_toy(folder.path());
    let address = "s3://bucket/decoded";
    let decode = |work: &str, flags: &str| {
        let mut command = asking("incdec-decode", &store, KEY, SECRET);
        command.arg("--clips").arg(at("raw"));
        command.arg("--labels").arg(at("source/Info"));
        command.args(["--clips-per-shard", "20", "--out", address]);
        command.args(flags.split_whitespace());
        command.arg("--work").arg(at(work));
        command
    };
    let said = succeed(&mut decode("work", ""));
    let count = shard_files(&at("work"));
    assert!(count > 3, "{count}");
    assert!(
        said.contains(&format!("{count} files published, 0 there already")),
        "{said}"
    );
    let said = succeed(&mut decode("work", ""));
    assert!(
        said.contains(&format!("0 files published, {count} there already")),
        "{said}"
    );
    // Elsewhere the same bytes come out.
    let said = succeed(&mut decode("elsewhere", ""));
    assert!(
        said.contains(&format!("0 files published, {count} there already")),
        "{said}"
    );
    let (status, said) = told(&mut decode("other", "--quality 50"));
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("is there already, and is another file than"),
        "{said}"
    );
    assert!(said.contains("publish under another address"), "{said}");

    let manifest = |shards: &str, out: &str| {
        let mut command = asking("incdec-manifest", &store, KEY, SECRET);
        command.arg("--labels").arg(at("source/Info"));
        command
            .args(["--shards", shards, "--out"])
            .arg(at(out).join("clips.parquet"));
        command.arg("--cache").arg(at("cache"));
        succeed(&mut command);
        fs::read(at(out).join("clips.parquet")).unwrap()
    };
    let disk = manifest(at("work").to_str().unwrap(), "disk");
    assert!(disk == manifest(address, "store"));

    // A withdrawn clip leaves folder and store alike.
    let erase = |arguments: &[&str]| {
        let mut command = Command::new(binary("incdec-erase"));
        command.args(arguments).arg("--data").arg(folder.path());
        ask(&mut command, &store, KEY, SECRET);
        command.arg("--labels").arg(at("source/Info"));
        command.arg("--shards").arg(at("work"));
        command.args(["--store", address]);
        command
    };
    let shards = Shards::open(&at("work")).unwrap();
    let stored = shards.index().iter().find(|row| row.shard.is_some());
    let clip = stored.unwrap().clip_id.clone();
    succeed(&mut erase(&["apply", "--request", "R-1", &clip]));
    let said = succeed(&mut erase(&["verify"]));
    assert!(said.contains("0 places not searched"), "{said}");
    let disk = manifest(at("work").to_str().unwrap(), "disk");
    assert!(disk == manifest(address, "store"));
    let published = upload(&store, &at("work"), address).unwrap();
    assert_eq!((published.sent, published.unchanged), (0, count));
}
