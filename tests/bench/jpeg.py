#!/usr/bin/env python3
"""What JPEG costs at each quality and colour resolution: bytes, loss against the raw frames, and loading speed.

    python tests/bench/jpeg.py --bin target/release --clips clips/raw --labels clips/Info --work build/bench/jpeg

The clips are decoded once raw and once for each setting. Loss is the PSNR of each frame over its three colours, its mean and
its tenth percentile over all frames; speed is incdec-bench-load's, normalised float32 batches, the best of --rounds. The
python needs pyarrow, pillow and numpy.
"""

import argparse
import io
import json
from pathlib import Path

import numpy
import pyarrow.ipc
from PIL import Image

from load_peers import call, decode, list_all

QUALITIES = (80, 85, 90, 95)
SUBSAMPLINGS = ("420", "444")


def clips(folder):
    """Each clip's row, by id."""
    for shard in sorted(folder.glob("*.arrow")):
        with pyarrow.memory_map(str(shard)) as file:
            for row in pyarrow.ipc.open_file(file).read_all().to_pylist():
                yield row["clip_id"], row


def raw_frames(row):
    """[frames, height, width, 3] of a raw row."""
    pixels = numpy.frombuffer(b"".join(row["encoded_frames"]), numpy.uint8)
    return pixels.reshape(row["frames"], row["height"], row["width"], 3)


def loss(raw, stored):
    """Bytes of a frame and the frames' PSNR, in dB."""
    sizes, psnr = [], []
    for clip_id, row in clips(stored):
        for expected, encoded in zip(raw[clip_id], row["encoded_frames"], strict=True):
            sizes.append(len(encoded["bytes"]))
            error = numpy.asarray(Image.open(io.BytesIO(encoded["bytes"])).convert("RGB"), float) - expected
            psnr.append(10 * numpy.log10(255**2 / max(numpy.mean(error**2), 1e-9)))
    return numpy.mean(sizes), numpy.mean(psnr), numpy.percentile(psnr, 10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=Path("target/release"), help="folder of our programs")
    parser.add_argument("--clips", type=Path, required=True, help="folder of videos")
    parser.add_argument("--labels", type=Path, required=True, help="the label tables of the clips")
    parser.add_argument("--work", type=Path, required=True, help="folder for shards and tables")
    parser.add_argument("--rounds", type=int, default=3, help="how often loading is timed; the best counts")
    args = parser.parse_args()

    def store(name, *flags):
        return decode(args.bin, args.clips, args.labels, args.work / name, *flags)

    raw_folder = store("raw", "--codec", "raw")
    raw = {clip_id: raw_frames(row) for clip_id, row in clips(raw_folder)}
    settings = {(q, s): store(f"q{q}-{s}", "--quality", q, "--subsampling", s) for s in SUBSAMPLINGS for q in QUALITIES}
    tasks = list_all(args.bin, args.work, args.labels, raw_folder)
    speed = dict.fromkeys(settings, 0)
    for _ in range(args.rounds):
        for key, folder in settings.items():
            line = call([args.bin / "incdec-bench-load", "--availability", tasks, "--shards", folder, "--epochs", 4])
            speed[key] = max(speed[key], json.loads(line)["clips_per_cpu_s"])
    print(f"{'quality':>7} {'colour':>6} {'bytes a frame':>13} {'PSNR':>6} {'10th %':>6} {'clips per CPU s':>15}")
    for (quality, subsampling), folder in settings.items():
        size, mean, low = loss(raw, folder)
        print(f"{quality:>7} {subsampling:>6} {size:>13.0f} {mean:>6.1f} {low:>6.1f} {speed[quality, subsampling]:>15.1f}")


if __name__ == "__main__":
    main()
