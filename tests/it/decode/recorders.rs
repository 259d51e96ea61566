//! Recordings of cameras, broadcasts and old programs, and files that are none: the frames that the `ffmpeg` command line
//! gives, or the reason why not.

use std::fs;
use std::path::Path;

use incdec::decode::clip::{DecodedClip, decode_video};
use incdec::decode::{ClipSettings, probe};
use incdec::media::frame_size::FrameSize;
use incdec::media::limits::Limits;
use incdec::shard::Codec;
use incdec::tables::ClipStatus;

use super::files::{MOVING, NUMBERED, by_ffmpeg, ffmpeg, frames_by_ffmpeg, make};
use crate::support;

fn raw(width: u32, height: u32) -> ClipSettings {
    ClipSettings {
        codec: Codec::Raw,
        frame_size: FrameSize::Exact { width, height },
        ..ClipSettings::default()
    }
}

fn decode(file: &Path, settings: &ClipSettings) -> DecodedClip {
    decode_video(file, settings, Limits::default())
}

/// The numbers of the stored frames of a clip made from [`NUMBERED`].
fn numbers(clip: &DecodedClip) -> Vec<i64> {
    let level = |frame: &Vec<u8>| i64::from(frame[frame.len() / 2]);
    // 16 + 2 n of luma is 255 / 219 as much of RGB.
    clip.frames
        .iter()
        .map(|f| (level(f) * 219 / 255 + 1) / 2)
        .collect()
}

fn reason(file: &Path) -> String {
    probe(file, Limits::default()).reason.unwrap_or_default()
}

fn distance(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

/// Ten frames of an H.264 conformance stream (HCAFF1_HHI), some of two packets with a field each.
#[test]
fn pictures_of_two_fields_are_frames_in_any_container() {
    let folder = tempfile::tempdir().unwrap();
    let fields = support::root().join("tests/fixtures/field-pictures.mts");
    let theirs = by_ffmpeg(&fields, "select='eq(n,0)+eq(n,5)'");
    for name in ["a.mts", "a.mkv", "a.mp4", "a.h264"] {
        let file = folder.path().join(name);
        let [from, to] = [&fields, &file].map(|p| p.to_str().unwrap());
        ffmpeg(&["-i", from, "-map", "0:v:0", "-c", "copy", to]);
        let clip = decode(&file, &raw(352, 288));
        let source = &clip.head.source;
        assert_eq!(
            clip.head.status,
            ClipStatus::Ok,
            "{name}: {:?}",
            clip.head.error
        );
        assert_eq!(source.frames_decoded, 10, "{name}");
        assert!(source.frames_expected.is_none_or(|n| n == 10), "{name}");
        let ours = clip.frames.concat();
        assert_eq!(clip.frames.len(), 2, "{name}");
        assert!(
            distance(&ours, &theirs) < 1.5,
            "{name}: {}",
            distance(&ours, &theirs)
        );
        // Enough frames are there before the end: the rest is counted as frames, too.
        let two = ClipSettings {
            max_frames: 1,
            ..raw(352, 288)
        };
        assert_eq!(decode(&file, &two).head.source.frames_decoded, 10, "{name}");
    }
}

#[test]
fn pieces_of_a_broadcast_that_were_joined_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let piece = make(
        folder.path(),
        "piece.ts",
        NUMBERED,
        &["-c:v", "libx264", "-bf", "2"],
    );
    let later = ["-c:v", "libx264", "-bf", "2", "-output_ts_offset", "5000"];
    let later = make(folder.path(), "later.ts", NUMBERED, &later);
    let settings = ClipSettings {
        max_frames: 100,
        ..raw(64, 48)
    };
    let one = numbers(&decode(&piece, &settings));
    assert_eq!(one.len(), 20);
    for second in [&piece, &later] {
        for (first, second) in [(&piece, second), (second, &piece)] {
            let joined = folder.path().join("joined.ts");
            fs::write(
                &joined,
                [fs::read(first).unwrap(), fs::read(second).unwrap()].concat(),
            )
            .unwrap();
            let clip = decode(&joined, &settings);
            // The demuxer calls the packet at the join damaged, as it cannot count on.
            assert!(clip.head.status.is_usable(), "{:?}", clip.head.error);
            assert_eq!(numbers(&clip), [one.clone(), one.clone()].concat());
            assert_eq!(
                probe(&joined, Limits::default()).frames,
                frames_by_ffmpeg(&joined)
            );
        }
    }
}

#[test]
fn a_picture_is_no_video_and_a_cover_that_nobody_marked_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let video = make(folder.path(), "video.mp4", MOVING, &["-c:v", "libx264"]);
    let one = ["-frames:v", "1", "-f", "mjpeg"];
    let jpeg = make(folder.path(), "picture.mp4", MOVING, &one);
    assert!(
        reason(&jpeg).contains("single picture (mjpeg)"),
        "{}",
        reason(&jpeg)
    );
    let clip = decode(&jpeg, &raw(64, 48));
    assert_eq!(
        (clip.head.status, clip.frames.len()),
        (ClipStatus::Failed, 0)
    );
    for name in ["cover.mkv", "cover.mp4"] {
        let out = folder.path().join(name);
        let [jpeg, video, out_name] = [&jpeg, &video, &out].map(|p| p.to_str().unwrap());
        ffmpeg(&[
            "-i", jpeg, "-i", video, "-map", "0", "-map", "1", "-c", "copy", out_name,
        ]);
        let row = probe(&out, Limits::default());
        assert_eq!((row.frames, row.status), (50, ClipStatus::Ok), "{row}");
    }
    // A video of such pictures is one all the same, and stays the first.
    let moving = make(folder.path(), "moving.avi", MOVING, &["-c:v", "mjpeg"]);
    let both = folder.path().join("both.mkv");
    let [moving, video, both_name] = [&moving, &video, &both].map(|p| p.to_str().unwrap());
    ffmpeg(&[
        "-i", moving, "-i", video, "-map", "0", "-map", "1", "-c", "copy", both_name,
    ]);
    assert_eq!(
        decode(&both, &raw(64, 48)).head.source.codec.as_deref(),
        Some("mjpeg")
    );
}

#[test]
fn what_is_no_video_is_called_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let video = make(folder.path(), "video.mp4", MOVING, &["-c:v", "libx264"]);
    let bytes = fs::read(&video).unwrap();
    let cut = bytes.windows(4).position(|w| w == b"moov").unwrap() - 4;
    for (content, what) in [
        (&b""[..], "is empty"),
        (b"<!DOCTYPE html><html>404</html>", "HTML page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n",
            "git lfs pull",
        ),
        (b"nothing here\n", "a text"),
        (&bytes[..cut], "no moov box"),
    ] {
        let file = folder.path().join("clip.mp4");
        fs::write(&file, content).unwrap();
        assert!(reason(&file).contains(what), "{}", reason(&file));
    }
    // The header states a size that no file of this length has.
    let video = folder.path().join("large.avi");
    let plain = make(
        folder.path(),
        "plain.avi",
        "color=size=16x16:duration=1",
        &["-c:v", "rawvideo"],
    );
    let mut header = fs::read(plain).unwrap();
    let format = header.windows(4).position(|w| w == b"strf").unwrap() + 8;
    header[format + 4..format + 12].copy_from_slice(&[0, 0x24, 0, 0, 0, 0x24, 0, 0]);
    fs::write(&video, header).unwrap();
    assert!(
        reason(&video).contains("9216 x 9216 pixels"),
        "{}",
        reason(&video)
    );
}

#[test]
fn matroska_that_ends_in_the_middle_is_partial() {
    let folder = tempfile::tempdir().unwrap();
    for (name, args) in [
        ("a.mkv", &["-c:v", "libx264"][..]),
        ("a.webm", &["-c:v", "libvpx", "-b:v", "200k"]),
        // As browsers record: without lengths.
        (
            "live.webm",
            &["-c:v", "libvpx", "-b:v", "200k", "-live", "1"],
        ),
    ] {
        let whole = make(folder.path(), name, MOVING, args);
        let row = probe(&whole, Limits::default());
        assert_eq!((row.frames, row.status), (50, ClipStatus::Ok), "{row}");
        let bytes = fs::read(&whole).unwrap();
        let cut = folder.path().join(format!("cut_{name}"));
        fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let clip = decode(&cut, &raw(64, 48));
        assert_eq!(clip.head.status, ClipStatus::Partial, "{name}");
        assert!(clip.head.error.unwrap().contains("of the file are missing"));
        assert!(!clip.frames.is_empty());
    }
}

#[test]
fn an_avi_with_dropped_frames_is_whole_and_one_that_was_cut_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for codec in ["mjpeg", "mpeg4", "libx264"] {
        let drop = "select='not(between(n,10,20))'";
        let args = ["-c:v", codec, "-vf", drop, "-fps_mode", "passthrough"];
        let file = make(folder.path(), &format!("{codec}.avi"), MOVING, &args);
        let row = probe(&file, Limits::default());
        assert_eq!((row.frames, row.status), (39, ClipStatus::Ok), "{row}");
        let clip = decode(&file, &raw(64, 48));
        let source = &clip.head.source;
        assert_eq!(
            (source.frames_expected, source.frames_decoded),
            (Some(39), 39)
        );
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() * 2 / 3]).unwrap();
        assert_eq!(decode(&file, &raw(64, 48)).head.status, ClipStatus::Partial);
    }
}

#[test]
fn white_is_white_in_few_bits_and_grey_without_a_range_is_full() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["rgb555le", "rgb565le", "bgr565le"] {
        let args = ["-c:v", "rawvideo", "-pix_fmt", format];
        let file = make(
            folder.path(),
            &format!("{format}.nut"),
            "color=white:size=64x48:duration=1",
            &args,
        );
        let clip = decode(&file, &raw(64, 48));
        assert!(clip.frames[0].iter().all(|&level| level == 255), "{format}");
        let moving = make(
            folder.path(),
            &format!("moving_{format}.nut"),
            MOVING,
            &args,
        );
        let ours = decode(&moving, &raw(96, 64)).frames.concat();
        let levels = distance(&ours, &by_ffmpeg(&moving, "fps=5:round=up"));
        assert!(levels < 1.0, "{format}: {levels}");
    }
    let ramp = "color=gray:size=64x48:rate=25:duration=1,format=gray,geq=lum='X*4'";
    let args = ["-c:v", "rawvideo", "-pix_fmt", "gray"];
    let file = make(folder.path(), "y800.avi", ramp, &args);
    let ours = decode(&file, &raw(64, 48)).frames.concat();
    let levels = distance(&ours, &by_ffmpeg(&file, "fps=5:round=up"));
    assert!(levels < 0.5, "{levels}");
}

/// Interlaced pictures whose two fields are of different grey, another one in each.
const FIELDS: &str = "color=gray:size=96x64:rate=50:duration=2,geq=lum='40+mod(N*37,160)':cb=128:cr=128,interlace=lowpass=0";

#[test]
fn interlaced_pictures_are_said_and_made_whole_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "-c:v",
        "libx264",
        "-flags",
        "+ildct+ilme",
        "-x264-params",
        "tff=1",
    ];
    let file = make(folder.path(), "interlaced.mp4", FIELDS, &args);
    let clip = decode(&file, &raw(96, 64));
    assert_eq!(clip.head.source.scan.as_deref(), Some("interlaced"));
    // Lines of two instants lie between each other.
    let lines = |clip: &DecodedClip| {
        let frame = &clip.frames[2];
        frame[96 * 3 * 20].abs_diff(frame[96 * 3 * 21])
    };
    assert!(lines(&clip) > 30, "{}", lines(&clip));
    let whole = ClipSettings {
        deinterlace: true,
        ..raw(96, 64)
    };
    let treated = decode(&file, &whole);
    assert_eq!(
        treated.frames.len(),
        clip.frames.len(),
        "{:?}",
        treated.head.error
    );
    assert!(lines(&treated) < 10, "{}", lines(&treated));

    let plain = make(folder.path(), "plain.mp4", MOVING, &["-c:v", "libx264"]);
    assert_eq!(decode(&plain, &raw(96, 64)).head.source.scan, None);
    assert!(decode(&plain, &whole).frames == decode(&plain, &raw(96, 64)).frames);
    assert_ne!(whole.provenance(), raw(96, 64).provenance());
}

#[test]
fn high_dynamic_range_is_said_and_brought_down_on_request() {
    let folder = tempfile::tempdir().unwrap();
    for (transfer, name) in [("smpte2084", "pq"), ("arib-std-b67", "hlg")] {
        let tags = [
            "-color_trc",
            transfer,
            "-color_primaries",
            "bt2020",
            "-colorspace",
            "bt2020nc",
        ];
        let args = [&["-c:v", "libx265", "-pix_fmt", "yuv420p10le"], &tags[..]].concat();
        let file = make(folder.path(), &format!("{name}.mkv"), MOVING, &args);
        let clip = decode(&file, &raw(96, 64));
        assert_eq!(clip.head.source.transfer.as_deref(), Some(name));
        let mapped = ClipSettings {
            tone_map: true,
            ..raw(96, 64)
        };
        let mapped = decode(&file, &mapped);
        assert_eq!(
            mapped.frames.len(),
            clip.frames.len(),
            "{:?}",
            mapped.head.error
        );
        assert!(mapped.frames != clip.frames);
    }
}

#[test]
fn containers_that_are_not_read_are_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(
        folder.path(),
        "sound.ac3",
        "sine=duration=2",
        &["-c:a", "ac3"],
    );
    let said = reason(&file);
    assert!(
        said.contains("container, ac3") && said.contains("ffmpeg -i FILE"),
        "{said}"
    );
    // IP cameras send a JPEG file behind the other.
    let camera = make(folder.path(), "camera.mpjpeg", MOVING, &["-f", "mpjpeg"]);
    let row = probe(&camera, Limits::default());
    assert_eq!((row.frames, row.status), (50, ClipStatus::Ok), "{row}");
    let gxf = ["-s", "720x576", "-c:v", "mpeg2video", "-r", "25"];
    let row = probe(
        &make(folder.path(), "broadcast.gxf", MOVING, &gxf),
        Limits::default(),
    );
    assert_eq!((row.frames, row.status), (50, ClipStatus::Ok), "{row}");
}

#[test]
fn collected_recordings_come_out_right() {
    let Some(field) = support::optional_data("field") else {
        return;
    };
    for (name, count) in [
        ("abcdefghijk_000000_000010.mts", 10),
        ("bcdefghijkl_000000_000010.ts", 10),
        ("cdefghijklm_000000_000010.264", 10),
        ("defghijklmn_000000_000010.264", 10),
    ] {
        let file = field.join("video-01-field-pictures/raw/x").join(name);
        let clip = decode(&file, &raw(352, 288));
        assert_eq!(clip.head.source.frames_decoded, count, "{name}");
        let theirs = by_ffmpeg(&file, "select='eq(n,0)+eq(n,5)'");
        let ours = clip.frames.concat();
        assert!(
            distance(&ours, &theirs) < 1.5,
            "{name}: {}",
            distance(&ours, &theirs)
        );
    }
    for (name, count) in [
        ("abcdefghijk_000000_000010.dav", 75),
        ("bcdefghijkl_000000_000010.mp4", 45),
    ] {
        let row = probe(
            &field.join("video-03-dahua-dav/raw/x").join(name),
            Limits::default(),
        );
        assert_eq!(row.frames, count, "{row}");
    }
    let file = field.join("video-05-rgb16/raw/x/abcdefghijk_000000_000010.avi");
    let clip = decode(&file, &raw(148, 148));
    assert_eq!(clip.frames.concat().iter().max(), Some(&255));
    let levels = distance(&clip.frames.concat(), &by_ffmpeg(&file, "fps=5:round=up"));
    assert!(levels < 0.5, "{levels}");
}
