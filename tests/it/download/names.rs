//! Clips that lie there already, and names of clips, classes and archives as people have them.

use std::fs;

use incdec::download::ledger::verify;
use incdec::download::{DownloadConfig, plan_only, run};

use super::field::{Members, folder, members};
use super::server::Server;
use super::source::{BASE, Source, archive, binary, fake_mp4, tree};
use super::{clip_states, ledger};

#[test]
fn clips_that_lie_in_the_folder_are_checked_counted_and_taken() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let mut names = source.clips.keys();
    let [own, cut] = [names.next().unwrap(), names.next_back().unwrap()];
    let bytes = fake_mp4(99, 500);
    for (name, bytes) in [(own, &bytes[..]), (cut, &source.clips[cut][..900])] {
        fs::create_dir_all(config.raw.join(name).parent().unwrap()).unwrap();
        fs::write(config.raw.join(name), bytes).unwrap();
    }
    let (_, planned) = plan_only(&config).unwrap();
    assert_eq!(
        (planned.present, planned.adopted, planned.missing),
        (1, 1, 8)
    );
    let summary = run(&config).unwrap();
    assert_eq!(
        (summary.present, summary.adopted, summary.fetched),
        (9, 1, 8)
    );
    assert!(summary.to_string().contains("1 adopted as they lay there"));
    assert_eq!(fs::read(config.raw.join(own)).unwrap(), bytes);
    assert_eq!(fs::read(config.raw.join(cut)).unwrap(), source.clips[cut]);
    let states = clip_states(&config);
    assert_eq!(states.iter().filter(|(_, s)| s == "adopted").count(), 1);
    assert_eq!(verify(&config.raw, &config.ledger, 1).unwrap().sound, 9);
    // One that no archive has, and that a person brings as it is.
    let mut lacking = source.files.clone();
    let path = "train/k700_train_004.tar.gz";
    let mut rest = members(&source, "yawning");
    let lost = rest.pop().unwrap();
    lacking.insert(path.into(), archive(&rest));
    let server = Server::start(lacking);
    let config = DownloadConfig {
        max_missing: 0.2,
        ..source.config(&server.url(), "b")
    };
    assert_eq!(run(&config).unwrap().missing, 1);
    let brought = config.raw.join(&lost.0).with_extension("mkv");
    let mkv = [
        &[
            0x1a, 0x45, 0xdf, 0xa3, 0x81, 0, 0x18, 0x53, 0x80, 0x67, 0x84,
        ][..],
        &[0; 4],
    ]
    .concat();
    fs::write(&brought, &mkv).unwrap();
    let summary = run(&config).unwrap();
    assert_eq!((summary.missing, summary.adopted), (0, 1));
    assert_eq!(fs::read(&brought).unwrap(), mkv);
    assert_eq!(verify(&config.raw, &config.ledger, 1).unwrap().sound, 9);
}

#[test]
fn videos_of_other_kinds_are_kept_under_their_endings_and_strange_names_are_listed() {
    let source = Source::new(3);
    let mut renamed = members(&source, "yawning");
    let mkv = [
        &[
            0x1a, 0x45, 0xdf, 0xa3, 0x81, 0, 0x18, 0x53, 0x80, 0x67, 0x84,
        ][..],
        &[7; 4],
    ]
    .concat();
    for ((name, bytes), ending) in renamed.iter_mut().zip(["MP4", "mkv", "webm"]) {
        *name = format!(
            "some_folder/{}",
            name.rsplit_once('/').unwrap().1.replace("mp4", ending)
        );
        if ending != "MP4" {
            bytes.clone_from(&mkv);
        }
    }
    renamed.push(("some_folder/abc_1_11.mp4".into(), b"x".to_vec()));
    let [beer, texting] = ["tasting beer", "texting"].map(|class| members(&source, class));
    // Classes with underscores for spaces, as many write them.
    let beer: Members = beer
        .into_iter()
        .map(|(n, b)| (n.replace(' ', "_"), b))
        .collect();
    let at = folder(
        &source,
        "mirror",
        &[
            ("tasting_beer.tar.gz", archive(&beer)),
            ("texting.tar.gz", archive(&texting)),
            ("some_folder.tar.gz", archive(&renamed)),
        ],
    );
    let config = source.config(&at, "a");
    let summary = run(&config).unwrap();
    assert_eq!((summary.present, summary.refused), (9, 1));
    let yawning: Vec<_> = tree(&config.raw.join("yawning")).into_keys().collect();
    for ending in ["mp4", "mkv", "webm"] {
        assert!(
            yawning.iter().any(|name| name.ends_with(ending)),
            "{yawning:?}"
        );
    }
    let rows = ledger(&config);
    let refused = rows.iter().find(|r| r.state == "refused").unwrap();
    assert!(refused.reason.as_ref().unwrap().contains("no clip id"));
    let beer = rows
        .iter()
        .find(|r| r.name == "tasting_beer.tar.gz")
        .unwrap();
    assert_eq!(beer.subcategory.as_deref(), Some("tasting beer"));
    assert_eq!(verify(&config.raw, &config.ledger, 1).unwrap().sound, 9);
    let again = run(&config).unwrap();
    assert_eq!((again.present, again.fetched, again.archives), (9, 0, 0));
}

#[test]
fn indexes_of_any_system_and_names_with_any_letter_work() {
    let mut source = Source::new(3);
    let names = ["a #b.tar.gz", "what?.tar.gz", "für 100%.tar.gz"];
    let mut index = "\u{feff}".to_owned();
    for (n, name) in (2..=4).zip(names) {
        let bytes = source
            .files
            .remove(&format!("train/k700_train_{n:03}.tar.gz"));
        source.files.insert(format!("train/{name}"), bytes.unwrap());
        index += &match n {
            2 => format!("\"{BASE}/train/{name}\"\r\n"),
            _ => format!("{name}\r\n"),
        };
    }
    let path = "train/k700_2020_train_path.txt";
    source.files.insert(path.into(), index.into_bytes());
    let server = Server::start(source.files.clone());
    run(&source.config(&server.url(), "a")).unwrap();
    source.assert_tree("a");
    let mirror = source.write("mirror");
    run(&source.config(mirror.to_str().unwrap(), "b")).unwrap();
    source.assert_tree("b");
    fs::remove_file(mirror.join(path)).unwrap();
    run(&source.config(mirror.to_str().unwrap(), "c")).unwrap();
    source.assert_tree("c");
}

#[test]
fn a_class_may_have_a_comma_in_its_name() {
    let source = Source::new(3);
    let class = "cutting, \"peeling\"";
    let info = source.folder.path().join("Info");
    for name in ["classes.csv", "train.csv", "validation.csv", "test.csv"] {
        let text = fs::read_to_string(info.join(name)).unwrap();
        let quoted = "\"cutting, \"\"peeling\"\"\"";
        fs::write(info.join(name), text.replace("yawning", quoted)).unwrap();
    }
    let clips: Members = members(&source, "yawning");
    let clips = clips
        .into_iter()
        .map(|(n, b)| (n.replace("yawning", class), b));
    let clips: Members = clips.collect();
    let at = folder(&source, "mirror", &[("x.tar.gz", archive(&clips))]);
    let mut command = binary(&source, &at, "a");
    let output = command.args(["--classes", class]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        tree(&source.out("a").join("raw"))
            .into_iter()
            .collect::<Members>(),
        clips
    );
}
