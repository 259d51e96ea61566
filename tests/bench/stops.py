"""Times what it costs to stop trainings, and to be ready for it, on the toy data of `make demo`.

    python3 tests/bench/stops.py target/release/incdec-train demo/tasks/substitution/seed-0 demo/shards

Prints, for EWC on one thread: the seconds of a checkpoint inside a task and their share of 300 seconds of training, the
seconds from the start of a program that goes on to where its first step begins, from a SIGTERM in each part of a task to the end, and the total time of
a run that is killed six times beside that of one that is not.
"""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

# The default of --checkpoint-every.
EVERY_SECONDS = 300
EPOCHS = 8
KILLS = 6
SIGNALS = 150
TIMES_A_PART = 3
# Parts of a run as its last words name them, those with longer names first.
PARTS = ["best-validation", "best-test", "validation", "training", "closing", "between tasks"]
FLAGS = "--approach ewc --frames 8 --resize 72 --size 64 --batch-size 8 --threads 1 --workers 1".split()


class Trainings:
    """Starts trainings of the same tasks."""

    def __init__(self, program, availability, shards, folder):
        self.command = [program, "--availability", availability, "--shards", shards, *FLAGS]
        self.folder = pathlib.Path(folder)

    def start(self, name, *flags):
        command = [*self.command, "--out", self.folder / name, *flags]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def train(self, name, *flags):
        """Trains to the end; gives the seconds, and what was said."""
        begun = time.monotonic()
        training = self.start(name, *flags)
        said = training.communicate()[1]
        if training.returncode:
            sys.exit(said)
        return time.monotonic() - begun, said

    def checkpoints(self, name):
        folder = self.folder / name / "checkpoints"
        return sorted(folder.glob("task-*-epoch-*")) if folder.exists() else []


def spent():
    """Processor seconds of the programs that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def price(trainings):
    """Seconds of a checkpoint inside a task: what the profile says of a run with many, beside one with none."""
    seconds = []
    for name, every in [("without", "0"), ("with", "300")]:
        _, said = trainings.train(name, "--epochs", str(EPOCHS), "--stop-after-first-task", "--checkpoint-every", every, "--profile")
        lines = [line for line in said.splitlines() if re.search(r"\bcheckpoint\b.* s", line)]
        seconds.append(float(re.search(r"checkpoint\s+([0-9.]+)", lines[-1]).group(1)))
    # One at the end of each epoch.
    each = (seconds[1] - seconds[0]) / EPOCHS
    print(f"a checkpoint inside a task: {each:.3f} s, {100 * each / EVERY_SECONDS:.3f} % of {EVERY_SECONDS} s")


def going_on(trainings):
    """Seconds from the program's start until its log tells the position that it goes on from, and until a checkpoint follows."""
    flags = ["--epochs", "400", "--stop-after-first-task", "--checkpoint-every", "1"]
    training = trainings.start("going-on", *flags)
    while not trainings.checkpoints("going-on"):
        time.sleep(0.01)
    training.kill()
    training.wait()
    log = trainings.folder / "going-on" / "log.jsonl"
    before = len(log.read_text().splitlines())
    begun = time.time()
    training = trainings.start("going-on", *flags)
    while True:
        lines = [json.loads(line) for line in log.read_text().splitlines()[before:] if line.endswith("}")]
        told = [line for line in lines if "going on in" in line["fields"].get("message", "")]
        if told:
            break
        time.sleep(0.005)
    print(f"from the program's start to where the first step begins: {time.time() - begun:.2f} s")
    training.kill()
    training.wait()


def ended(trainings):
    """The longest time from a SIGTERM to the end with 143, for each part of a run; each part is met a few times, or the last signal sent."""
    flags = ["--epochs", "2", "--checkpoint-every", "1"]
    rng = random.Random(1)
    longest, met, run = {}, {part: 0 for part in PARTS}, 0
    for _ in range(SIGNALS):
        if min(met.values()) >= TIMES_A_PART:
            break
        log = trainings.folder / f"ended-{run}" / "log.jsonl"
        before = len(log.read_text()) if log.exists() else 0
        training = trainings.start(f"ended-{run}", *flags)
        while not (log.exists() and "going on" in log.read_text()[before:]) and before and training.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 3.0) if before else 1.0)
        begun = time.monotonic()
        training.terminate()
        said = training.communicate()[1]
        seconds = time.monotonic() - begun
        if training.returncode == 0:
            run += 1
            continue
        # One that has not begun yet ends by the signal itself.
        if training.returncode == -signal.SIGTERM:
            continue
        if training.returncode != 143 or "give the same command again" not in said:
            sys.exit(said)
        place = re.search(r"stopped by SIGTERM.*", said).group(0)
        part = next((part for part in PARTS if part in place), place)
        met[part] = met.get(part, 0) + 1
        longest[part] = max(seconds, longest.get(part, 0))
    print("SIGTERM: a run has ended, with how to go on, within")
    for part, seconds in longest.items():
        print(f"    {seconds:.2f} s {part} ({met[part]} times)")


def killed(trainings):
    """A run that is killed six times, beside one that is not."""
    flags = ["--epochs", "4", "--checkpoint-every", "1"]
    before = spent()
    whole, _ = trainings.train("whole", *flags)
    of_whole = spent() - before
    rng = random.Random(0)
    begun, before = time.monotonic(), spent()
    for _ in range(KILLS):
        training = trainings.start("killed", *flags)
        time.sleep(whole / (KILLS + 1) * rng.uniform(0.8, 1.2))
        training.kill()
        training.wait()
    trainings.train("killed", *flags)
    total, of_total = time.monotonic() - begun, spent() - before
    print(f"{KILLS} kills: {total:.1f} s, {total / whole:.2f} times the {whole:.1f} s of a run without any; ", end="")
    print(f"{of_total:.1f} processor seconds, {of_total / of_whole:.2f} times {of_whole:.1f}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(*sys.argv[1:4], folder)
        price(trainings)
        going_on(trainings)
        ended(trainings)
        killed(trainings)


if __name__ == "__main__":
    main()
