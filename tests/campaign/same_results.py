"""Whether two builds give the same results: the proof that a change of the code's structure changed nothing else.

    .venv/bin/python tests/campaign/same_results.py BEFORE AFTER [--work build/same-results]

BEFORE and AFTER are folders of binaries. Each runs the toy pipeline from the source to the page. Every published file is then
compared: by its bytes; where those differ, tables by their rows and their schema, checkpoints (also .pth) by their tensors,
JSON without its hashes, which leaves lineage alone to differ. Prints what differs and ends with 1 where results do. Logs, timings and TensorBoard
events hold times and are not compared. Needs pyarrow.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline import same_results

SCHEDULE = Path(__file__).parents[2] / "Kinetics/Info/subcategories_to_remove.csv"
TIMED = {"timing.parquet", "avg_time.csv"}
TRAINING = "--device cpu --threads 1 --frames 4 --resize 36 --size 32 --geometry tf --epochs 1 --batch-size 8 --seed-outputs"


def pipeline(binaries, work):
    """Runs every stage in the empty folder `work`."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)

    def stage(name, line, *paths):
        command = [binaries / f"incdec-{name}", *line.split(), *paths]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True)

    stage("toy", "write --out src --train 2 --validation 1 --test 1 --seconds 1 --size 48")
    stage("download", "--labels src/Info --source src --out raw --ledger downloads.parquet")
    stage("decode", "--clips raw --labels src/Info --out shards --frame-size 36x36")
    stage("manifest", "--labels src/Info --shards shards --out clips.parquet")
    stage("tasks", "--manifest clips.parquet --scenario substitution --tasks 3 --out tasks-substitution")
    stage("tasks", "--manifest clips.parquet --scenario decremental --out tasks-decremental --schedule", SCHEDULE)
    for approach in ["finetune", "ewc"]:
        inputs = f"--availability tasks-substitution --shards shards --out run-{approach} --approach {approach}"
        stage("train", f"{inputs} {TRAINING}")
    stage("report", "--out report.html run-finetune run-ewc --table report.parquet")


def files(root):
    found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    timed = lambda name: name.endswith(".jsonl") or "tensorboard" in name or Path(name).name.startswith("std")
    return {name: path for name, path in found.items() if not timed(name) and Path(name).name not in TIMED}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/same-results"), help="folder for everything; emptied first")
    arguments = parser.parse_args()
    before, after = arguments.work / "before", arguments.work / "after"
    pipeline(arguments.before.resolve(), before)
    pipeline(arguments.after.resolve(), after)
    ours, theirs = files(after), files(before)
    same, lineage, differ = 0, [], sorted(set(ours) ^ set(theirs))
    for name in sorted(set(ours) & set(theirs)):
        if ours[name].read_bytes() == theirs[name].read_bytes():
            same += 1
        elif same_results(name, ours[name].read_bytes(), theirs[name].read_bytes()):
            lineage.append(name)
        else:
            differ.append(name)
    print(f"{same} files have the same bytes, {len(lineage)} the same rows or tensors:", *lineage, sep="\n  ")
    print(f"{len(differ)} differ:", *differ, sep="\n  ")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
