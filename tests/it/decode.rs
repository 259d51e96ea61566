//! The decode stage and its probe on files made here, a trap each, with the `ffmpeg` command line as the judge.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use incdec::decode::clip::{DecodedClip, decode_video};
use incdec::decode::{ClipSettings, Fps, Resample, probe, verify};
use incdec::media::decode::Limits;
use incdec::media::scale::{FrameSize, SampleAspect};
use incdec::shard::{Codec, Shards};
use incdec::stage_tables::ClipStatus;

use crate::support::root;

/// A moving test picture, 25 frames a second.
const MOVING: &str = "testsrc2=size=96x64:rate=25:duration=2";
/// Grey frames whose brightness is 16 + 2 x their number: a frame tells its own number.
const NUMBERED: &str = "color=gray:size=64x48:rate=25:duration=4,geq=lum='16+2*N':cb=128:cr=128";

fn ffmpeg(args: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-bitexact"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the ffmpeg command line makes the fixtures (apt install ffmpeg)");
    assert!(
        output.status.success(),
        "ffmpeg {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Frames that the command line decodes from the first video stream.
fn frames_by_ffmpeg(file: &Path) -> i64 {
    let output = Command::new("ffmpeg")
        .args(["-v", "quiet", "-i"])
        .arg(file)
        .args([
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-f",
            "framemd5",
            "-",
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    i64::try_from(text.lines().filter(|l| !l.starts_with('#')).count()).unwrap()
}

/// RGB frames of 64x48 as the command line gives them.
fn rgb_by_ffmpeg(file: &Path, filters: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "quiet", "-i"])
        .arg(file)
        .args([
            "-map", "0:v:0", "-vf", filters, "-pix_fmt", "rgb24", "-f", "rawvideo", "-",
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    output.stdout
}

/// Makes a file from a lavfi source.
fn make(folder: &Path, name: &str, source: &str, args: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let mut all = vec!["-f", "lavfi", "-i", source];
    all.extend(args);
    all.push(file.to_str().unwrap());
    ffmpeg(&all);
    file
}

fn raw(size: FrameSize) -> ClipSettings {
    ClipSettings {
        codec: Codec::Raw,
        frame_size: size,
        ..ClipSettings::default()
    }
}

const SMALL: FrameSize = FrameSize::Exact {
    width: 64,
    height: 48,
};

fn decode(file: &Path, settings: &ClipSettings) -> DecodedClip {
    decode_video(file, settings, Limits::default())
}

/// Files that decode completely, each with a trap.
fn sound_files(folder: &Path) -> Vec<PathBuf> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let x264 = ["-c:v", "libx264", "-bf", "3", "-g", "24"];
    let with = |more: &[&'static str]| [x264.as_slice(), more].concat();
    let plain = make(folder, "reordered.mp4", MOVING, &x264);
    let mut files = vec![
        plain.clone(),
        make(
            folder,
            "interlaced.mp4",
            MOVING,
            &with(&["-flags", "+ildct+ilme", "-vf", "interlace"]),
        ),
        make(
            folder,
            "ten_bit.mp4",
            MOVING,
            &with(&["-pix_fmt", "yuv420p10le"]),
        ),
        make(
            folder,
            "full_range.mp4",
            MOVING,
            &with(&["-pix_fmt", "yuvj420p"]),
        ),
        make(
            folder,
            "variable_rate.mkv",
            MOVING,
            &with(&["-vf", "select='not(mod(n,3))+lt(n,9)'", "-fps_mode", "vfr"]),
        ),
        make(
            folder,
            "late_start.ts",
            MOVING,
            &with(&["-output_ts_offset", "8.3"]),
        ),
        make(folder, "no_pts.avi", MOVING, &["-c:v", "mpeg4", "-bf", "2"]),
        make(
            folder,
            "odd.webm",
            "testsrc2=size=97x65:rate=25:duration=1",
            &[
                "-c:v",
                "libvpx-vp9",
                "-auto-alt-ref",
                "1",
                "-lag-in-frames",
                "12",
            ],
        ),
        make(
            folder,
            "wide_pixels.mp4",
            MOVING,
            &with(&["-vf", "setsar=2/1"]),
        ),
        make(
            folder,
            "bt709.mp4",
            MOVING,
            &with(&["-colorspace", "bt709"]),
        ),
        make(folder, "name with: colon.mp4", MOVING, &x264),
    ];
    let turned = path("turned.mp4");
    ffmpeg(&[
        "-i",
        plain.to_str().unwrap(),
        "-c",
        "copy",
        "-metadata:s:v:0",
        "rotate=90",
        &turned,
    ]);
    let cut = path("edit_list.mp4");
    ffmpeg(&[
        "-ss",
        "0.5",
        "-i",
        plain.to_str().unwrap(),
        "-c",
        "copy",
        &cut,
    ]);
    let two = path("two_streams.mkv");
    let second = make(
        folder,
        "second.mp4",
        "testsrc2=size=64x48:rate=25:duration=1",
        &x264,
    );
    let size = make(
        folder,
        "small.h264",
        "testsrc2=size=64x48:rate=25:duration=1",
        &x264,
    );
    ffmpeg(&[
        "-i",
        plain.to_str().unwrap(),
        "-i",
        second.to_str().unwrap(),
        "-map",
        "0",
        "-map",
        "1",
        "-c",
        "copy",
        &two,
    ]);
    let large = make(folder, "large.h264", MOVING, &x264);
    let change = PathBuf::from(path("size_change.h264"));
    fs::write(
        &change,
        [fs::read(large).unwrap(), fs::read(size).unwrap()].concat(),
    )
    .unwrap();
    files.extend([
        PathBuf::from(turned),
        PathBuf::from(cut),
        PathBuf::from(two),
        change,
    ]);
    files
}

#[test]
fn every_frame_that_the_command_line_gives_is_there_whatever_the_trap() {
    let folder = tempfile::tempdir().unwrap();
    for file in sound_files(folder.path()) {
        let row = probe(&file, Limits::default());
        assert_eq!(row.frames, frames_by_ffmpeg(&file), "{row}");
        assert_eq!(row.status, ClipStatus::Ok, "{row}");
    }
}

#[test]
fn frames_that_nobody_wants_may_be_dropped_without_changing_the_others() {
    let folder = tempfile::tempdir().unwrap();
    for file in sound_files(folder.path()) {
        for fps in [5, 7] {
            let settings = ClipSettings {
                fps: Fps::whole(fps),
                ..raw(SMALL)
            };
            let all = ClipSettings {
                decode_all: true,
                ..settings.clone()
            };
            let (some, all) = (decode(&file, &settings), decode(&file, &all));
            assert!(!some.frames.is_empty());
            assert!(some == all, "{} at {fps} per second", file.display());
        }
    }
}

#[test]
fn sampled_frames_are_those_on_display_as_the_command_line_picks_them() {
    let folder = tempfile::tempdir().unwrap();
    let x264 = ["-c:v", "libx264", "-crf", "4", "-bf", "3"];
    let sources = [
        ("steady.mp4", NUMBERED.to_owned()),
        ("ntsc.mp4", NUMBERED.replace("rate=25", "rate=30000/1001")),
        ("slow.mp4", NUMBERED.replace("rate=25", "rate=3")),
        (
            "gaps.mkv",
            format!("{NUMBERED},select='not(between(n,20,43))*not(eq(mod(n,7),3))'"),
        ),
        ("late.ts", NUMBERED.to_owned()),
    ];
    for (name, source) in sources {
        let mut args = x264.to_vec();
        if name == "late.ts" {
            args.extend(["-output_ts_offset", "5"]);
        }
        if name == "gaps.mkv" {
            args.extend(["-fps_mode", "vfr"]);
        }
        let file = make(folder.path(), name, &source, &args);
        let ours: Vec<u8> = decode(&file, &raw(SMALL))
            .frames
            .iter()
            .map(|f| f[0])
            .collect();
        let theirs = rgb_by_ffmpeg(&file, "fps=5:round=up");
        let theirs: Vec<u8> = theirs.chunks(64 * 48 * 3).map(|f| f[0]).collect();
        assert_eq!(ours.len(), theirs.len(), "{name}: {ours:?} {theirs:?}");
        // Two levels of luma apart are more than two of RGB.
        assert!(
            ours.iter().zip(&theirs).all(|(a, b)| a.abs_diff(*b) <= 1),
            "{name}: {ours:?} {theirs:?}"
        );
    }
}

#[test]
fn colours_sizes_and_turns_are_those_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    for file in sound_files(folder.path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let ours = decode(&file, &raw(SMALL)).frames.concat();
        // The command line counts from zero, we from the first frame on display; where they differ the two are made one.
        let shift = if name == "no_pts.avi" {
            "setpts=PTS-STARTPTS,"
        } else {
            ""
        };
        let theirs = rgb_by_ffmpeg(
            &file,
            &format!(
                "{shift}fps=5:round=up,scale=64:48:flags=bilinear+accurate_rnd+full_chroma_int"
            ),
        );
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let sum: u64 = ours
            .iter()
            .zip(&theirs)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        let mean = sum / (ours.len() as u64 / 10);
        // A wrong matrix, range, turn or frame is tens of levels; two scalers differ by one or two.
        assert!(
            mean < 60,
            "{name}: the mean difference is {}.{} levels",
            mean / 10,
            mean % 10
        );
    }
}

#[test]
fn the_aspect_of_pixels_and_the_turn_count_where_the_size_keeps_the_aspect() {
    let folder = tempfile::tempdir().unwrap();
    let files = sound_files(folder.path());
    let size = |name: &str, aspect| {
        let file = files.iter().find(|f| f.ends_with(name)).unwrap();
        let settings = ClipSettings {
            sample_aspect: aspect,
            ..raw(FrameSize::Short(32))
        };
        let clip = decode(file, &settings);
        (clip.width, clip.height, clip.source.rotation)
    };
    assert_eq!(size("reordered.mp4", SampleAspect::Squash), (48, 32, 0));
    let (width, height, degrees) = size("turned.mp4", SampleAspect::Squash);
    assert_eq!((width, height, degrees % 180), (32, 48, 90));
    assert_eq!(size("wide_pixels.mp4", SampleAspect::Squash), (48, 32, 0));
    assert_eq!(size("wide_pixels.mp4", SampleAspect::Honour), (96, 32, 0));
}

#[test]
fn what_cannot_be_decoded_is_refused_with_the_reason_and_what_can_in_part_is_partial() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let x264 = ["-c:v", "libx264"];
    let sound = make(folder.path(), "sound.mp4", MOVING, &x264);
    let front = make(
        folder.path(),
        "front.mp4",
        MOVING,
        &["-c:v", "libx264", "-movflags", "+faststart"],
    );
    let bytes = fs::read(&sound).unwrap();
    fs::write(path("cut.mp4"), &bytes[..bytes.len() / 3]).unwrap();
    fs::write(path("empty.mp4"), b"").unwrap();
    fs::write(
        path("text.mp4"),
        "#EXTM3U\n#EXTINF:1,\nsound.mp4\n#EXT-X-ENDLIST\n",
    )
    .unwrap();
    make(
        folder.path(),
        "audio.mp4",
        "sine=duration=1",
        &["-c:a", "aac"],
    );
    let key = [
        "-encryption_scheme",
        "cenc-aes-ctr",
        "-encryption_key",
        "76a6c65c5ea762046bd749a2e632ccbb",
    ];
    let kid = ["-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"];
    make(
        folder.path(),
        "encrypted.mp4",
        MOVING,
        &[x264.as_slice(), &key, &kid].concat(),
    );
    for (name, reason) in [
        ("cut.mp4", "cannot be opened"),
        ("empty.mp4", "cannot be opened"),
        ("text.mp4", "cannot be opened"),
        ("audio.mp4", "only audio"),
        ("encrypted.mp4", "is encrypted"),
    ] {
        let row = probe(&path(name), Limits::default());
        assert_eq!((row.frames, row.status), (0, ClipStatus::Failed), "{row}");
        assert!(row.reason.as_deref().unwrap().contains(reason), "{row}");
    }
    let bytes = fs::read(&front).unwrap();
    fs::write(path("front_cut.mp4"), &bytes[..bytes.len() * 2 / 3]).unwrap();
    let row = probe(&path("front_cut.mp4"), Limits::default());
    assert_eq!(row.status, ClipStatus::Partial, "{row}");
    assert!((1..50).contains(&row.frames), "{row}");
    assert!(row.reason.unwrap().contains("of 50 frames"));
    let clip = decode(&path("front_cut.mp4"), &raw(SMALL));
    assert_eq!(
        (clip.status, clip.source.frames_expected),
        (ClipStatus::Partial, Some(50))
    );
    assert!(!clip.frames.is_empty());
    let none = probe(
        &sound,
        Limits {
            seconds: 0,
            ..Limits::default()
        },
    );
    assert!(none.reason.unwrap().contains("took longer than 0 s"));
}

#[test]
fn motion_interpolation_gives_the_seeds_number_of_frames() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(folder.path(), "a.mp4", MOVING, &["-c:v", "libx264"]);
    let settings = ClipSettings {
        resample: Resample::Minterpolate,
        ..raw(FrameSize::Short(240))
    };
    let clip = decode(&file, &settings);
    let theirs = rgb_by_ffmpeg(&file, "scale=-1:240,minterpolate=5");
    assert_eq!((clip.width, clip.height), (360, 240));
    assert_eq!(clip.frames.concat().len(), theirs.len());
}

/// A folder of labelled clips and what the stage makes of it.
struct Data {
    folder: tempfile::TempDir,
}

impl Data {
    /// `clips` clips of one second, every third in validation and test; one labelled clip is missing, one is empty.
    fn new(clips: usize) -> Self {
        let data = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(data.path("raw/yawning")).unwrap();
        fs::create_dir_all(data.path("Info")).unwrap();
        fs::write(
            data.path("Info/classes.csv"),
            "Category,Subcategory\nfatigue,yawning\n",
        )
        .unwrap();
        for n in 0..clips {
            let source = format!("testsrc=size=96x64:rate=25:duration=1:decimals={n}");
            make(
                &data.path("raw/yawning"),
                &format!("clip{n}_000000_000001.mp4"),
                &source,
                &["-c:v", "libx264", "-bf", "2"],
            );
        }
        fs::write(data.path("raw/yawning/empty_000000_000001.mp4"), b"").unwrap();
        let names = (0..clips)
            .map(|n| format!("clip{n}"))
            .chain(["empty".into(), "gone".into()]);
        data.label(&names.collect::<Vec<_>>());
        data
    }

    fn label(&self, names: &[String]) {
        for (i, split) in ["train", "validation", "test"].into_iter().enumerate() {
            let rows: String = names
                .iter()
                .enumerate()
                .filter(|(n, _)| {
                    if i == 0 {
                        n % 3 == 0 || *n > 5
                    } else {
                        n % 3 == i && *n <= 5
                    }
                })
                .map(|(_, name)| format!("yawning,{name},0,1,train\n"))
                .collect();
            let table = format!("label,youtube_id,time_start,time_end,split\n{rows}");
            fs::write(self.path(&format!("Info/{split}.csv")), table).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, out: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-decode"));
        command.args([
            "--clips",
            self.path("raw").to_str().unwrap(),
            "--labels",
            self.path("Info").to_str().unwrap(),
        ]);
        command.args([
            "--out",
            self.path(out).to_str().unwrap(),
            "--max-failed",
            "0.5",
            "--frame-size",
            "64x48",
        ]);
        command.args(["--shard-bytes", "12000"]).args(args);
        command
    }

    /// Runs the stage and gives its summary.
    fn decode(&self, out: &str, args: &[&str]) -> String {
        let output = self.command(out, args).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn files(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(self.path(out))
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| {
                (
                    e.file_name().to_string_lossy().into_owned(),
                    fs::read(e.path()).unwrap(),
                )
            })
            .collect()
    }
}

#[test]
fn the_stage_gives_the_same_bytes_for_any_jobs_in_threads_or_processes_and_after_a_kill() {
    let data = Data::new(9);
    let summary = data.decode("a", &["--jobs", "1"]);
    assert!(
        summary.starts_with(
            "11 clips: 9 ok, 0 partial, 1 failed, 1 missing; 45 frames stored; 10 decoded"
        ),
        "{summary}"
    );
    let files = data.files("a");
    assert!(files.len() > 5, "{:?}", files.keys());
    data.decode("b", &["--jobs", "3", "--isolate", "process"]);
    assert!(data.files("b") == files);

    // Killed as soon as a shard is there, twice.
    for _ in 0..2 {
        let mut child = data
            .command("c", &["--jobs", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let shards = |data: &Data| {
            fs::read_dir(data.path("c")).map_or(0, |d| {
                d.filter(|e| {
                    e.as_ref()
                        .unwrap()
                        .path()
                        .extension()
                        .is_some_and(|e| e == "arrow")
                })
                .count()
            })
        };
        let before = shards(&data);
        while shards(&data) == before && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    data.decode("c", &[]);
    assert!(
        data.files("c") == files,
        "a killed run's shards are taken over"
    );
    assert_eq!(verify(&data.path("c")).unwrap().damaged, []);
}

#[test]
fn a_second_run_rests_new_clips_add_shards_and_other_settings_decode_anew() {
    let data = Data::new(6);
    data.decode("a", &[]);
    let first = data.files("a");
    assert!(data.decode("a", &["--jobs", "1"]).contains("nothing to do"));
    assert!(data.files("a") == first);

    let more = make(
        &data.path("raw/yawning"),
        "gone_000000_000001.mp4",
        MOVING,
        &["-c:v", "libx264"],
    );
    let names: Vec<String> = (0..6)
        .map(|n| format!("clip{n}"))
        .chain(["empty".into(), "gone".into()])
        .collect();
    data.label(&names);
    assert!(
        data.decode("a", &[])
            .contains("1 decoded now into 1 new shards")
    );
    let second = data.files("a");
    assert!(
        first
            .iter()
            .filter(|(name, _)| name.ends_with("arrow"))
            .all(|(name, bytes)| second[name] == *bytes)
    );
    assert_eq!(second.len(), first.len() + 1);

    // Another file under the same name is noticed by its size.
    fs::copy(data.path("raw/yawning/clip0_000000_000001.mp4"), &more).unwrap();
    assert!(data.decode("a", &[]).contains("1 decoded now"));

    assert!(
        data.decode("a", &["--codec", "raw"])
            .contains("8 decoded now"),
        "what failed is tried again, too"
    );
    let shards = Shards::open(&data.path("a")).unwrap();
    assert!(
        shards
            .index()
            .iter()
            .filter(|r| r.status == ClipStatus::Ok)
            .all(|r| r.codec.as_deref() == Some("raw"))
    );
    assert_eq!(verify(&data.path("a")).unwrap().clips, 7);
}

#[test]
fn too_many_failures_fail_the_stage_but_keep_what_was_decoded() {
    let data = Data::new(2);
    let output = data.command("a", &["--max-failed", "0.4"]).output();
    // A flag given twice is a wrong usage.
    assert_eq!(output.unwrap().status.code(), Some(2));
    let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-decode"));
    command.args([
        "--clips",
        data.path("raw").to_str().unwrap(),
        "--labels",
        data.path("Info").to_str().unwrap(),
    ]);
    command.args([
        "--out",
        data.path("a").to_str().unwrap(),
        "--frame-size",
        "64x48",
        "--shard-bytes",
        "12000",
    ]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("hint: ") && stderr.contains("--max-failed 0.500"),
        "{stderr}"
    );
    assert!(stderr.contains("empty_000000_000001"), "{stderr}");
    assert!(!data.path("a/index.parquet").exists());
    assert!(
        data.decode("a", &[])
            .contains("2 ok, 0 partial, 1 failed, 1 missing")
    );
}

#[test]
fn a_folder_of_frames_stands_in_for_a_missing_video_and_keeps_frames_of_the_right_size() {
    let data = Data::new(1);
    let frames = data.path("Videos/id_gone_000000_000001/jpgs");
    fs::create_dir_all(&frames).unwrap();
    let pattern = frames.join("image_%05d.jpg");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=64x48:rate=5:duration=12",
        pattern.to_str().unwrap(),
    ]);
    let videos = data.path("Videos");
    let args = ["--frame-folders", videos.to_str().unwrap()];
    assert!(
        data.decode("a", &args)
            .contains("2 ok, 0 partial, 1 failed, 0 missing")
    );
    let shards = Shards::open(&data.path("a")).unwrap();
    let row = shards
        .index()
        .iter()
        .find(|r| r.clip_id == "gone_000000_000001")
        .unwrap();
    assert_eq!(
        (row.frames, row.source_codec.as_deref()),
        (50, Some("frames"))
    );
    let clip = shards
        .clip(row.shard.as_deref().unwrap(), row.shard_row.unwrap())
        .unwrap();
    assert_eq!(
        clip.frame(2),
        fs::read(frames.join("image_00003.jpg")).unwrap()
    );
}

#[test]
fn verify_names_the_damaged_clip() {
    let data = Data::new(3);
    data.decode("a", &["--codec", "raw"]);
    let path = data.path("a/test-00000.arrow");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_incdec-decode"))
        .arg("verify")
        .arg(data.path("a"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.starts_with("clip2_000000_000001\ttest-00000.arrow\t0\t"),
        "{stdout}"
    );
    assert!(
        stdout.contains("3 clips") && stdout.contains("1 damaged"),
        "{stdout}"
    );
}

#[test]
fn frame_counts_of_the_collected_files_agree_where_they_are_there() {
    let clips = root().join("../shared/clips");
    let Ok(expected) = fs::read_to_string(clips.join("traps/EXPECTED.tsv")) else {
        eprintln!("passed over: {} is not there", clips.display());
        return;
    };
    for line in expected.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let row = probe(&clips.join("traps").join(fields[0]), Limits::default());
        assert_eq!(row.frames.to_string(), fields[2], "{row}");
        assert_eq!(row.status == ClipStatus::Failed, fields[2] == "0", "{row}");
    }
    let list = fs::read_to_string(clips.join("LIST.tsv")).unwrap();
    for line in list.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let file = clips
            .join("raw")
            .join(fields[2])
            .join(format!("{}.mp4", fields[0]));
        if fields[5] != "?" && file.exists() {
            assert_eq!(
                probe(&file, Limits::default()).frames.to_string(),
                fields[5],
                "{}",
                fields[0]
            );
        }
    }
}
