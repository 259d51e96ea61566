//! Files made for the tests by the `ffmpeg` command line, a trap each, and what the command line decodes from them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A moving test picture, 25 frames a second, muted so that no colour is cut off at black or white.
pub(super) const MOVING: &str =
    "testsrc2=size=96x64:rate=25:duration=2,eq=contrast=0.7:saturation=0.6";
/// Grey frames whose brightness is 16 + 2 x their number: a frame tells its own number.
pub(super) const NUMBERED: &str =
    "color=gray:size=64x48:rate=25:duration=4,geq=lum='16+2*N':cb=128:cr=128";

/// Runs the command line to make a file.
pub(super) fn ffmpeg(args: &[&str]) {
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

/// What the command line writes to its output for the first video stream of a file.
fn first_video_by_ffmpeg(before: &[&str], file: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "quiet"])
        .args(before)
        .arg("-i")
        .arg(file)
        .args(["-map", "0:v:0"])
        .args(args)
        .arg("-")
        .stdin(Stdio::null())
        .output();
    output.unwrap().stdout
}

/// Frames that the command line decodes.
pub(super) fn frames_by_ffmpeg(file: &Path) -> i64 {
    let args = ["-fps_mode", "passthrough", "-f", "framemd5"];
    let text = String::from_utf8(first_video_by_ffmpeg(&[], file, &args)).unwrap();
    text.lines().filter(|l| !l.starts_with('#')).count() as i64
}

/// All frames in the stream's own pixel format, as they are coded.
pub(super) fn pictures_by_ffmpeg(file: &Path) -> Vec<u8> {
    let args = ["-fps_mode", "passthrough", "-f", "rawvideo"];
    first_video_by_ffmpeg(&["-noautorotate"], file, &args)
}

/// RGB frames as the filters leave them, none repeated to keep a rate.
pub(super) fn by_ffmpeg(file: &Path, filters: &str) -> Vec<u8> {
    let passed_on = ["-fps_mode", "passthrough", "-f", "rawvideo"];
    let args = [&["-vf", filters, "-pix_fmt", "rgb24"], &passed_on[..]].concat();
    first_video_by_ffmpeg(&[], file, &args)
}

/// An RGB picture: width, height, bytes.
pub(super) type Rgb = (usize, usize, Vec<u8>);

/// RGB frames at 5 per second, turned for display, at their own size. Chroma samples count for all pixels that they cover.
pub(super) fn full_size_by_ffmpeg(file: &Path, filters: &str) -> Vec<Rgb> {
    let filters = format!("{filters}fps=5:round=up,scale=flags=bilinear,format=rgb24");
    let args = ["-vf", &filters, "-f", "image2pipe", "-c:v", "ppm"];
    let output = first_video_by_ffmpeg(&[], file, &args);
    let mut rest = output.as_slice();
    let mut frames = Vec::new();
    while !rest.is_empty() {
        // P6, width and height, largest value: three lines of text before the pixels.
        let header = rest.splitn(4, |&b| b == b'\n').take(3);
        let header: Vec<&str> = header.map(|l| std::str::from_utf8(l).unwrap()).collect();
        let (width, height) = header[1].split_once(' ').unwrap();
        let (width, height): (usize, usize) = (width.parse().unwrap(), height.parse().unwrap());
        let start: usize = header.iter().map(|l| l.len() + 1).sum();
        let end = start + width * height * 3;
        frames.push((width, height, rest[start..end].to_vec()));
        rest = &rest[end..];
    }
    frames
}

/// Makes a file from a lavfi source.
pub(super) fn make(folder: &Path, name: &str, source: &str, args: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let mut all = vec!["-f", "lavfi", "-i", source];
    all.extend(args);
    all.push(file.to_str().unwrap());
    ffmpeg(&all);
    file
}

/// Copies the streams of files into another.
fn remux(folder: &Path, name: &str, before: &[&str], files: &[&Path], args: &[&str]) -> PathBuf {
    let out = folder.join(name);
    let mut all = before.to_vec();
    for file in files {
        all.extend(["-i", file.to_str().unwrap()]);
    }
    all.extend(["-c", "copy"]);
    all.extend(args);
    all.push(out.to_str().unwrap());
    ffmpeg(&all);
    out
}

/// x264 with reordered frames, some of them references themselves.
const X264: [&str; 6] = ["-c:v", "libx264", "-bf", "3", "-g", "24"];

/// Name, lavfi source and encoder of the files that need nothing else.
fn encoded() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let x264 = |more: &[&'static str]| [X264.as_slice(), more].concat();
    let vp9 = [
        "-c:v",
        "libvpx-vp9",
        "-auto-alt-ref",
        "1",
        "-lag-in-frames",
        "12",
    ];
    vec![
        ("reordered.mp4", MOVING, x264(&[])),
        ("name with: colon.mp4", MOVING, x264(&[])),
        (
            "pyramid.mkv",
            MOVING,
            vec![
                "-c:v",
                "libx264",
                "-bf",
                "7",
                "-x264-params",
                "b-pyramid=normal:b-adapt=0",
            ],
        ),
        // No frame is reordered: here the decoder cannot know its delay from the header.
        (
            "baseline.mp4",
            MOVING,
            vec!["-c:v", "libx264", "-profile:v", "baseline"],
        ),
        (
            "interlaced.mp4",
            MOVING,
            x264(&["-flags", "+ildct+ilme", "-vf", "interlace"]),
        ),
        ("ten_bit.mp4", MOVING, x264(&["-pix_fmt", "yuv420p10le"])),
        (
            "ten_bit_2020.mp4",
            MOVING,
            x264(&["-pix_fmt", "yuv420p10le", "-colorspace", "bt2020nc"]),
        ),
        ("full_range.mp4", MOVING, x264(&["-pix_fmt", "yuvj420p"])),
        ("full_chroma.mp4", MOVING, x264(&["-pix_fmt", "yuv444p"])),
        ("half_chroma.mp4", MOVING, x264(&["-pix_fmt", "yuv422p"])),
        ("bt709.mp4", MOVING, x264(&["-colorspace", "bt709"])),
        ("rgb.mp4", MOVING, vec!["-c:v", "libx264rgb", "-crf", "4"]),
        ("palette.gif", MOVING, vec![]),
        (
            "variable_rate.mkv",
            MOVING,
            x264(&["-vf", "select='not(mod(n,3))+lt(n,9)'", "-fps_mode", "vfr"]),
        ),
        ("late_start.ts", MOVING, x264(&["-output_ts_offset", "8.2"])),
        ("no_pts.avi", MOVING, vec!["-c:v", "mpeg4", "-bf", "2"]),
        ("no_times.h264", MOVING, x264(&[])),
        ("no_times.avi", MOVING, x264(&[])),
        (
            "odd.webm",
            // The source itself rounds odd sizes down, and so would a crop of 4:2:0.
            "testsrc2=size=98x66:rate=25:duration=1,eq=contrast=0.7:saturation=0.6,format=rgb24,crop=97:65,format=yuv420p",
            vp9.to_vec(),
        ),
        ("wide_pixels.mp4", MOVING, x264(&["-vf", "setsar=2/1"])),
    ]
}

/// Files that decode completely, each with a trap.
pub(super) fn sound_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = encoded()
        .into_iter()
        .map(|(name, source, args)| make(folder, name, source, &args))
        .collect();
    let plain = files[0].clone();
    let small = "testsrc2=size=64x48:rate=25:duration=1";
    let second = make(folder, "second.mp4", small, &X264);
    let beeps = make(
        folder,
        "beeps.m4a",
        "sine=beep_factor=4:duration=2",
        &["-c:a", "aac"],
    );
    let picture = make(
        folder,
        "cover.png",
        "testsrc2=size=32x32",
        &["-frames:v", "1"],
    );
    let cover = ["-map", "1", "-map", "0", "-disposition:v:0", "attached_pic"];
    let change = folder.join("size_change.h264");
    let large = fs::read(folder.join("no_times.h264")).unwrap();
    let after = fs::read(make(folder, "small.h264", small, &X264)).unwrap();
    fs::write(&change, [large, after].concat()).unwrap();
    files.extend([
        remux(folder, "edit_list.mp4", &["-ss", "0.5"], &[&plain], &[]),
        remux(
            folder,
            "container_aspect.mp4",
            &[],
            &[&plain],
            &["-aspect", "3:1"],
        ),
        remux(
            folder,
            "two_streams.mkv",
            &[],
            &[&plain, &second],
            &["-map", "0", "-map", "1"],
        ),
        remux(
            folder,
            "with_sound.mp4",
            &[],
            &[&beeps, &plain],
            &["-map", "0", "-map", "1"],
        ),
        remux(folder, "cover.mp4", &[], &[&plain, &picture], &cover),
        fragmented(folder, &plain),
        packed(folder),
        change,
    ]);
    files
}

/// An MP4 whose header tells nothing about its frames.
fn fragmented(folder: &Path, plain: &Path) -> PathBuf {
    let flags = ["-movflags", "frag_keyframe+empty_moov"];
    remux(folder, "fragmented.mp4", &[], &[plain], &flags)
}

/// Where `word` stands in `bytes`.
fn position(bytes: &[u8], word: &[u8]) -> usize {
    bytes.windows(word.len()).position(|w| w == word).unwrap()
}

/// MPEG-4 in AVI as DivX packs it: a B-frame lies in one chunk with the P-frame that it is shown before, and an empty chunk
/// stands in its place. FFmpeg writes no such files, so the chunks of an ordinary one are packed here.
fn packed(folder: &Path) -> PathBuf {
    const VOP: [u8; 4] = [0, 0, 1, 0xb6];
    // A P-frame of seven bytes at most that says "not coded".
    const EMPTY: [u8; 7] = [0, 0, 1, 0xb6, 0b0101_0000, 0b0100_1111, 0x7f];
    let args = ["-c:v", "mpeg4", "-bf", "1", "-vtag", "DX50", "-g", "12"];
    let plain = fs::read(make(folder, "unpacked.avi", MOVING, &args)).unwrap();
    let movie = position(&plain, b"movi") + 4;
    let length = |at: usize| u32::from_le_bytes(plain[at..at + 4].try_into().unwrap()) as usize;
    let end = movie - 4 + length(movie - 8);
    let mut frames: Vec<&[u8]> = Vec::new();
    let mut at = movie;
    while at < end {
        frames.push(&plain[at + 8..at + 8 + length(at + 4)]);
        at += 8 + length(at + 4).next_multiple_of(2);
    }
    let kind = |frame: &[u8]| frame[position(frame, &VOP) + 4] >> 6;
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut i = 0;
    while i < frames.len() {
        let mut chunk = frames[i].to_vec();
        if kind(frames[i]) == 0 {
            let first = position(&chunk, &VOP);
            chunk.splice(first..first, *b"\0\0\x01\xb2DivX503b1393p");
        }
        let followed = frames.get(i + 1).is_some_and(|next| kind(next) == 2);
        if followed {
            chunk.extend(frames[i + 1]);
        }
        chunks.push(chunk);
        chunks.extend(followed.then(|| EMPTY.to_vec()));
        i += 1 + usize::from(followed);
    }
    assert_eq!(chunks.len(), frames.len());
    assert!(chunks.iter().any(|c| c == &EMPTY), "B-frames are needed");
    let mut out = plain[..movie].to_vec();
    for chunk in chunks {
        out.extend(b"00dc");
        out.extend((chunk.len() as u32).to_le_bytes());
        out.extend(&chunk);
        out.resize(out.len().next_multiple_of(2), 0);
    }
    let (all, list) = ((out.len() - 8) as u32, (out.len() - movie + 4) as u32);
    out[4..8].copy_from_slice(&all.to_le_bytes());
    out[movie - 8..movie - 4].copy_from_slice(&list.to_le_bytes());
    let file = folder.join("packed.avi");
    fs::write(&file, out).unwrap();
    file
}

/// One file for each way to turn and mirror a picture, with the degrees clockwise that it is turned by.
pub(super) fn turned_files(folder: &Path) -> Vec<(PathBuf, i32)> {
    let plain = fs::read(make(folder, "plain.mp4", MOVING, &X264)).unwrap();
    // The display matrix (a, b, u, c, d, v, x, y, w) stands 44 bytes behind the name of the track header of version 0.
    let matrix = position(&plain, b"tkhd") + 44;
    let turns = [
        ([1, 0, 0, 1], 0),
        ([0, 1, -1, 0], 90),
        ([-1, 0, 0, -1], 180),
        ([0, -1, 1, 0], 270),
        ([-1, 0, 0, 1], 180),
        ([1, 0, 0, -1], 0),
        ([0, 1, 1, 0], 90),
        ([0, -1, -1, 0], 270),
    ];
    let mut files = Vec::new();
    for ([a, b, c, d], degrees) in turns {
        let mut bytes = plain.clone();
        let entries: [i32; 9] = [a, b, 0, c, d, 0, 0, 0, 1 << 14].map(|x: i32| x << 16);
        for (i, entry) in entries.into_iter().enumerate() {
            bytes[matrix + 4 * i..][..4].copy_from_slice(&entry.to_be_bytes());
        }
        let file = folder.join(format!("turned_{a}_{b}_{c}_{d}.mp4"));
        fs::write(&file, bytes).unwrap();
        files.push((file, degrees));
    }
    files
}
