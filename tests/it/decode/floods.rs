//! Files that claim more than they hold, names that are no text, and damage: what one clip may cost.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use incdec::decode::verify;
use incdec::shard::{Cause, Shards};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::files::{ffmpeg, make};
use super::stage::Data;

#[test]
fn a_picture_whose_header_claims_gigabytes_costs_its_clip_only() {
    let data = Data::new(3);
    let frames = data.path("Videos/id_gone_000000_000001/jpgs");
    fs::create_dir_all(&frames).unwrap();
    let file = frames.join("image_00001.jpg");
    let picture = "testsrc2=size=16x16:rate=1:duration=1";
    ffmpeg(&["-f", "lavfi", "-i", picture, file.to_str().unwrap()]);
    let mut bytes = fs::read(&file).unwrap();
    // The frame header: length, precision, height, width.
    let header = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    bytes[header + 5..header + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    fs::write(&file, bytes).unwrap();
    let videos = data.path("Videos");
    for isolate in [&[][..], &["--isolate", "process"]] {
        let args = [&["--frame-folders", videos.to_str().unwrap()], isolate].concat();
        let summary = data.decode("a", &args);
        assert!(summary.contains("3 ok, 0 partial, 2 failed"), "{summary}");
        let shards = Shards::open(&data.path("a")).unwrap();
        let row = shards
            .index()
            .iter()
            .find(|r| r.clip_id.starts_with("gone"));
        let row = row.unwrap();
        assert_eq!(row.cause, Some(Cause::Damaged));
        let error = row.error.as_deref().unwrap();
        assert!(error.contains("65500 x 65500 pixels"), "{error}");
        fs::remove_dir_all(data.path("a")).unwrap();
    }
}

#[test]
fn a_sparse_file_of_a_terabyte_costs_no_time() {
    let data = Data::new(3);
    let clip = data.path("raw/yawning/gone_000000_000001.mp4");
    fs::File::create(clip).unwrap().set_len(1 << 40).unwrap();
    let summary = data.decode("a", &[]);
    assert!(summary.contains("3 ok, 0 partial, 2 failed"), "{summary}");
}

#[test]
fn a_path_that_is_no_text_is_decoded_in_threads_and_in_processes() {
    let data = Data::new(2);
    let raw = data.path("").join(OsStr::from_bytes(b"raw \xff \xe4"));
    fs::rename(data.path("raw"), &raw).unwrap();
    let mut trees = Vec::new();
    for args in [&[][..], &["--isolate", "process"]] {
        let mut command = data.command("a", args);
        let args: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
        let program = command.get_program().to_owned();
        command = std::process::Command::new(program);
        let clips = data.path("raw");
        command.args(args.iter().map(|arg| match arg {
            arg if arg == clips.as_os_str() => raw.as_os_str(),
            arg => arg,
        }));
        let output = command.output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains("2 ok, 0 partial, 1 failed"), "{output:?}");
        trees.push(data.files("a"));
        fs::remove_dir_all(data.path("a")).unwrap();
    }
    assert!(trees[0] == trees[1]);
}

/// Some bytes of the file changed, or its end cut off.
fn mutate(file: &Path, random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = fs::read(file).unwrap();
    for _ in 0..[1, 3, 10, 40][random.random_range(0..4)] {
        let at = random.random_range(0..bytes.len());
        bytes[at] = random.next_u32() as u8;
    }
    if random.random_range(0..5) == 0 {
        bytes.truncate(random.random_range(1..bytes.len()));
    }
    bytes
}

#[test]
fn damaged_clips_give_the_same_bytes_in_threads_and_in_processes() {
    let data = Data::new(0);
    let source = "testsrc2=size=96x64:rate=30000/1001:duration=2";
    let fixtures = data.path("fixtures");
    fs::create_dir(&fixtures).unwrap();
    let sound = [
        make(&fixtures, "a.mp4", source, &["-c:v", "libx264", "-bf", "2"]),
        make(&fixtures, "b.avi", source, &["-c:v", "mpeg4"]),
        make(&fixtures, "c.mkv", source, &["-c:v", "libx264"]),
        make(&fixtures, "d.mpg", source, &["-c:v", "mpeg2video"]),
    ];
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let names: Vec<String> = (0..100).map(|n| format!("damaged{n}")).collect();
    for (name, file) in names.iter().zip(sound.iter().cycle()) {
        let ending = file.extension().unwrap().to_str().unwrap();
        let clip = data.path(&format!("raw/yawning/{name}_000000_000002.{ending}"));
        fs::write(clip, mutate(file, &mut random)).unwrap();
    }
    let rows: String = names
        .iter()
        .map(|name| format!("yawning,{name},0,2,train\n"))
        .collect();
    let table = format!("label,youtube_id,time_start,time_end,split\n{rows}");
    fs::write(data.path("Info/train.csv"), table).unwrap();
    for split in ["validation", "test"] {
        let header = "label,youtube_id,time_start,time_end,split\n";
        fs::write(data.path(&format!("Info/{split}.csv")), header).unwrap();
    }
    let summary = data.decode("a", &["--jobs", "1"]);
    assert!(summary.contains(" partial"), "{summary}");
    data.decode("b", &["--jobs", "2", "--isolate", "process"]);
    assert!(data.files("a") == data.files("b"));
    assert_eq!(verify(&data.path("b")).unwrap().damaged, []);
}
