"""Times incdec-download beside Python's tarfile and tar on the same archives.

    incdec-toy write --out build/bench-toy --train 1 --validation 0 --test 0 --seconds 5 --size 256 --fps 20
    python3 tests/bench/unpack.py build/bench-toy --work build/bench-unpack --bytes 2e9

The toy's clips are repeated under other names until the archives, one for each of eight classes, have --bytes in all; a
fifth of the clips is in the label tables. Three programs then unpack them: incdec-download from the local folder (gunzip,
untar, hash and keep the labelled clips), Python's tarfile (the same, with blake2b from its standard library), and
`tar xzf` (everything, for it cannot choose by clip name without listing). Prints a table of CPU seconds, wall seconds, peak
memory, clips and bytes written, and what each costs in multiples of ours; `--json FILE` writes the same figures. Fails where
ours and tarfile keep different clips. Standard library alone.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

CLASSES = 8
BASE = "https://s3.amazonaws.com/kinetics/700_2020"


def clips_of(toy):
    """The bytes of the toy's clips."""
    clips = []
    for archive in sorted((toy / "train").glob("*.tar.gz")):
        with tarfile.open(archive) as tar:
            clips += [tar.extractfile(m).read() for m in tar if m.isfile()]
    return clips


def generate(toy, work, total):
    """Writes archives, index, annotations and label tables; returns the number of labelled clips."""
    source, info = work / "source", work / "Info"
    done = work / "generated.json"
    if done.exists() and json.loads(done.read_text())["bytes"] == total:
        return json.loads(done.read_text())["labelled"]
    shutil.rmtree(work, ignore_errors=True)
    for folder in (source / "train", source / "annotations", info):
        folder.mkdir(parents=True)
    clips = clips_of(toy)
    names = [f"class {c}" for c in range(CLASSES)]
    rows = ["label,youtube_id,time_start,time_end,split"]
    labelled = []
    for c, name in enumerate(names):
        path = source / f"train/k700_train_{c + 1:03}.tar.gz"
        with gzip.GzipFile(path, "wb", compresslevel=6, mtime=0) as packed, tarfile.open(
            fileobj=packed, mode="w", format=tarfile.GNU_FORMAT
        ) as tar:
            written = k = 0
            while written < total / CLASSES:
                # A byte of its own in each copy, so that no two clips are equal.
                clip = clips[(c + k * CLASSES) % len(clips)][:-4] + k.to_bytes(4, "big")
                youtube_id = f"c{c}k{k:08}"
                member = tarfile.TarInfo(f"{name}/{youtube_id}_000001_000011.mp4")
                member.size = len(clip)
                tar.addfile(member, io.BytesIO(clip))
                rows.append(f"{name},{youtube_id},1,11,train")
                if k % 5 == 0:
                    labelled.append(rows[-1])
                written += len(clip)
                k += 1
    (source / "annotations/train.csv").write_text("\n".join(rows) + "\n")
    index = [f"{BASE}/train/k700_train_{c + 1:03}.tar.gz" for c in range(CLASSES)]
    (source / "train/k700_2020_train_path.txt").write_text("\n".join(index) + "\n")
    (info / "classes.csv").write_text("Category,Subcategory\n" + "".join(f"all,{n}\n" for n in names))
    (info / "train.csv").write_text("\n".join([rows[0], *labelled]) + "\n")
    for split in ("validation", "test"):
        (info / f"{split}.csv").write_text(rows[0] + "\n")
    done.write_text(json.dumps({"bytes": total, "labelled": len(labelled)}))
    return len(labelled)


def unpack_with_tarfile(source, info, out):
    """What the download stage does, with Python's means. Runs in a process of its own."""
    lines = (info / "train.csv").read_text().splitlines()[1:]
    wanted = {f"{line.split(',')[1]}_000001_000011.mp4" for line in lines}
    for archive in sorted((source / "train").glob("*.tar.gz")):
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                name = member.name.rsplit("/", 1)[-1]
                if not member.isfile() or name not in wanted:
                    continue
                target = out / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                body, digest = tar.extractfile(member), hashlib.blake2b()
                with open(target, "wb") as file:
                    while piece := body.read(1 << 16):
                        digest.update(piece)
                        file.write(piece)


def measure(what, command, out):
    """Runs a command into an empty folder and says what it cost."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if status:
        sys.exit(f"{what} failed: {command}")
    files = list(out.rglob("*.mp4"))
    figures = {
        "what": what,
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "user_s": round(usage.ru_utime, 2),
        "wall_s": round(wall, 2),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
        "clips": len(files),
        "bytes_written": sum(f.stat().st_size for f in files),
    }
    shutil.rmtree(out)
    return figures


def show(runs, archive_bytes):
    """Prints the figures as a table."""
    print(f"{archive_bytes / 1e9:.2f} GB of archives, one after the other")
    print(f"{'':16}{'CPU s':>8}{'user s':>8}{'wall s':>8}{'peak MiB':>10}{'clips':>8}{'MB written':>12}{'CPU / ours':>12}")
    for run in runs:
        print(
            f"{run['what']:16}{run['cpu_s']:8.2f}{run['user_s']:8.2f}{run['wall_s']:8.2f}{run['peak_mib']:10.1f}"
            f"{run['clips']:8}{run['bytes_written'] / 1e6:12.1f}{run['cpu_over_ours']:12.2f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("toy", type=Path, help="folder written by incdec-toy")
    parser.add_argument("--work", type=Path, required=True, help="folder for archives and output")
    parser.add_argument("--bytes", type=float, default=2e9, help="size of all archives together")
    parser.add_argument("--program", default="target/release/incdec-download")
    parser.add_argument("--jobs", default="1", help="archives at once in incdec-download")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--tarfile-only", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    source, info = args.work / "source", args.work / "Info"
    if args.tarfile_only:
        return unpack_with_tarfile(source, info, args.tarfile_only)
    labelled = generate(args.toy, args.work, args.bytes)
    out = args.work / "out"
    ours = measure(
        "incdec-download",
        [args.program, "--labels", info, "--out", out, "--ledger", args.work / "downloads.parquet", "--source", source]
        + ["--jobs", args.jobs],
        out,
    )
    (args.work / "downloads.parquet").unlink()
    command = [sys.executable, __file__, args.toy, "--work", args.work, "--tarfile-only", out]
    python = measure("python tarfile", command, out)
    # GNU tar counts gzip's time as its child's, and waits for it.
    loop = 'for a in "$1"/train/*.tar.gz; do tar xzf "$a" -C "$2"; done'
    tar = measure("tar xzf", ["bash", "-c", loop, "tar", source, out], out)
    assert ours["clips"] == python["clips"] == labelled
    assert ours["bytes_written"] == python["bytes_written"]
    runs = [ours, python, tar]
    for run in runs:
        run["cpu_over_ours"] = round(run["cpu_s"] / ours["cpu_s"], 2)
    archive_bytes = sum(f.stat().st_size for f in (source / "train").glob("*.tar.gz"))
    show(runs, archive_bytes)
    if args.json:
        args.json.write_text(json.dumps({"archive_bytes": archive_bytes, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
