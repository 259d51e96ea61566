//! The toy source: its layout, its bytes, and its way through the download stage.

use std::fs;
use std::path::Path;

use incdec::clip::Split;
use incdec::download::{self, DownloadConfig};
use incdec::labels::Labels;
use incdec::toy::ToyError;
use incdec::toy::serve::{Server, ask};
use incdec::toy::{Layout, ToyConfig, run};

fn small(out: &Path) -> ToyConfig {
    ToyConfig {
        out: out.to_owned(),
        train: 1,
        validation: 1,
        test: 1,
        seconds: 0.4,
        size: 16,
        fps: 5,
        ..ToyConfig::default()
    }
}

fn bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file())
        .map(|e| {
            let below = e.path().strip_prefix(folder).unwrap();
            (below.display().to_string(), fs::read(e.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| small(&folder.path().join(name));
    let summary = run(&at("a")).unwrap();
    assert_eq!((summary.archives, summary.labelled), (39, 37 * 3));
    assert!(!summary.unchanged);
    assert!(run(&at("a")).unwrap().unchanged);
    run(&at("b")).unwrap();
    assert!(bytes(&folder.path().join("a")) == bytes(&folder.path().join("b")));
    run(&ToyConfig { seed: 1, ..at("b") }).unwrap();
    let (a, b) = (
        bytes(&folder.path().join("a")),
        bytes(&folder.path().join("b")),
    );
    assert_eq!(a.len(), b.len());
    assert!(a != b);
}

#[test]
fn two_programs_write_the_same_bytes_whatever_memory_and_threads_they_have() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let sizes = "--train 1 --validation 0 --test 0 --seconds 1 --size 34";
    for (name, cores, fill) in [("a", "0", "1"), ("b", "0-1", "200")] {
        // Memory that was never written holds something else in each of them.
        let status = Command::new("taskset")
            .args(["-c", cores, env!("CARGO_BIN_EXE_incdec-toy"), "write"])
            .args(sizes.split(' '))
            .arg("--out")
            .arg(folder.path().join(name))
            .env("MALLOC_PERTURB_", fill)
            .output()
            .unwrap()
            .status;
        assert!(status.success());
    }
    assert!(bytes(&folder.path().join("a")) == bytes(&folder.path().join("b")));
}

#[test]
fn a_server_is_known_by_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = [0, 0].map(|port| Server::start(folder.path(), port).unwrap());
    assert_ne!(one.token(), other.token());
    ask(&one.url(), one.token()).unwrap();
    for (url, token, why) in [
        (other.url(), one.token(), "something else answers"),
        (
            "http://127.0.0.1:1".to_owned(),
            one.token(),
            "http://127.0.0.1:1",
        ),
        (
            "http://192.0.2.1:80".to_owned(),
            one.token(),
            "it is no http://127.0.0.1:port",
        ),
        (
            "https://127.0.0.1".to_owned(),
            one.token(),
            "it is no http://127.0.0.1:port",
        ),
    ] {
        let refused = ask(&url, token).unwrap_err();
        assert!(matches!(refused, ToyError::Stranger { .. }));
        assert!(refused.to_string().contains(why), "{refused}");
    }
}

#[test]
fn the_command_says_its_address_and_token_and_refuses_a_taken_port() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().unwrap();
    let toy = env!("CARGO_BIN_EXE_incdec-toy");
    let serve = |port: &str| {
        let mut command = Command::new(toy);
        command
            .arg("serve")
            .arg(folder.path())
            .args(["--port", port]);
        command
    };
    let mut server = serve("0").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let [url, token] = [0, 1].map(|_| lines.next().unwrap().unwrap());
    let asked = Command::new(toy)
        .args(["ask", &url, &token])
        .output()
        .unwrap();
    assert!(asked.status.success(), "{asked:?}");
    let asked = Command::new(toy)
        .args(["ask", &url, "0123"])
        .output()
        .unwrap();
    assert_eq!(asked.status.code(), Some(1));
    let port = url.rsplit(':').next().unwrap();
    let second = serve(port).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("--port"),
        "{second:?}"
    );
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn its_layout_is_the_official_one_and_its_labels_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("toy");
    run(&small(&root)).unwrap();
    let index = fs::read_to_string(root.join("train/k700_2020_train_path.txt")).unwrap();
    let lines: Vec<_> = index.lines().collect();
    assert_eq!(lines.len(), 39);
    assert_eq!(
        lines[1],
        "https://s3.amazonaws.com/kinetics/700_2020/train/k700_train_002.tar.gz"
    );
    let labels = Labels::read(&root.join("Info")).unwrap();
    assert!(Split::ALL.into_iter().all(|s| labels.of(s).len() == 37));
    let mut classes: Vec<_> = labels.taxonomy.subcategories().map(|(_, s)| s).collect();
    classes.extend(["abseiling", "zumba"]);
    classes.sort_unstable();
    for (i, class) in classes.iter().enumerate() {
        let path = root.join(format!("train/k700_train_{:03}.tar.gz", i + 1));
        let gzip = flate2::read::GzDecoder::new(fs::File::open(path).unwrap());
        for entry in tar::Archive::new(gzip).entries().unwrap() {
            let entry = entry.unwrap();
            assert!(entry.path().unwrap().starts_with(class), "{class}");
        }
    }
}

#[test]
fn its_clips_come_through_the_download_stage_in_both_layouts() {
    let folder = tempfile::tempdir().unwrap();
    for (name, layout) in [("official", Layout::Official), ("flat", Layout::Flat)] {
        let root = folder.path().join(name);
        run(&ToyConfig {
            layout,
            ..small(&root)
        })
        .unwrap();
        let server = Server::start(&root, 0).unwrap();
        let data = folder.path().join(format!("{name}-data"));
        let config = DownloadConfig {
            labels: root.join("Info"),
            raw: data.join("raw"),
            ledger: data.join("downloads.parquet"),
            source: Some(server.url().into()),
            ..DownloadConfig::default()
        };
        let summary = download::run(&config).unwrap();
        assert_eq!(
            (summary.present, summary.missing, summary.archives),
            (111, 0, 37)
        );
        let labels = Labels::read(&root.join("Info")).unwrap();
        for (_, _, label) in labels.iter() {
            let path = data
                .join("raw")
                .join(&label.subcategory)
                .join(label.clip.file_name());
            assert_eq!(&fs::read(path).unwrap()[4..8], b"ftyp");
        }
    }
}

#[test]
fn settings_out_of_range_and_foreign_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = small(&folder.path().join("toy"));
    for bad in [
        ToyConfig {
            train: 0,
            validation: 0,
            test: 0,
            ..good.clone()
        },
        ToyConfig {
            seconds: 0.0,
            ..good.clone()
        },
        ToyConfig {
            size: 33,
            ..good.clone()
        },
        ToyConfig {
            fps: 0,
            ..good.clone()
        },
    ] {
        assert!(
            matches!(run(&bad), Err(ToyError::Setting { .. })),
            "{bad:?}"
        );
    }
    fs::create_dir(&good.out).unwrap();
    fs::write(good.out.join("thesis.tex"), "mine").unwrap();
    assert!(matches!(run(&good), Err(ToyError::Occupied { .. })));
    let absent = folder.path().join("absent");
    assert!(matches!(
        Server::start(&absent, 0),
        Err(ToyError::NoFolder { .. })
    ));
}
