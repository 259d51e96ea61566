"""Times one run on two processes beside two runs that know nothing of each other, on the toy data of `make demo`.

    python3 tests/bench/ranks.py target/release/incdec-train demo/tasks/substitution/seed-0 demo/shards

Prints, for A0 on one thread a process and for each round in turn: the clips a second that both independent runs train on
together, those that the two processes of one run train on, their ratio, and the seconds that each process has spent in
gathering, waiting for the slower one included. Then the medians, and what gathering costs a batch.
"""

import argparse
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile

PROCESSES = 2
# A0 with five classes: 32-bit floats of its parameters.
GRADIENT_BYTES = 7.6e6
FLAGS = "--stop-after-first-task --epochs 1 --threads 1 --workers 1 --device cpu --checkpoint-every 0 --profile -v".split()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["program", "availability", "shards"]:
        parser.add_argument(name)
    for name, default in [("rounds", 3), ("frames", 50), ("size", 172), ("batch-size", 4), ("accumulation", 8)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Trainings:
    """Starts trainings of the same task."""

    def __init__(self, asked, folder):
        resize = round(asked.size * 200 / 172)
        numbers = {"frames": asked.frames, "size": asked.size, "resize": resize, "batch-size": asked.batch_size, "accumulation": asked.accumulation}
        flags = [word for name, number in numbers.items() for word in (f"--{name}", str(number))]
        self.command = [asked.program, "--availability", asked.availability, "--shards", asked.shards, *FLAGS, *flags]
        self.folder = pathlib.Path(folder)

    def start(self, name, **variables):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        command = [*self.command, "--out", self.folder / name]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def pace(self, name):
        """Clips a second of the run's epoch, validation left out."""
        lines = map(json.loads, (self.folder / name / "log.jsonl").read_text().splitlines())
        return [line["fields"]["clips_per_second"] for line in lines if "clips_per_second" in line["fields"]][-1]


def said(trainings):
    """What trainings under way have said when all have ended."""
    texts = [training.communicate()[1] for training in trainings]
    for training, text in zip(trainings, texts):
        if training.returncode:
            sys.exit(text)
    return texts


def gathered(text):
    """Seconds of gathering, and of all that the profile of a task lists."""
    return float(re.search(r"gathering\s+([0-9.]+) s", text).group(1)), float(re.search(r"where ([0-9.]+) s went", text).group(1))


def apart(trainings, number):
    names = [f"apart-{number}-{i}" for i in range(PROCESSES)]
    said([trainings.start(name) for name in names])
    return sum(trainings.pace(name) for name in names)


def together(trainings, number):
    name, port = f"together-{number}", str(free_port())
    group = {"WORLD_SIZE": str(PROCESSES), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    texts = said([trainings.start(name, RANK=str(rank), **group) for rank in range(PROCESSES)])
    # The table of the task, and that of the run, which has begun earlier.
    seconds = [gathered(text) for text in texts]
    return trainings.pace(name), seconds, texts[0]


def main():
    asked = arguments()
    rates, costs, batches = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(asked, folder)
        for number in range(asked.rounds):
            alone = apart(trainings, number)
            joined, seconds, text = together(trainings, number)
            rates.append((alone, joined))
            clips = int(re.search(r"([0-9]+) clips to train on", text).group(1))
            batches = -(-clips // asked.batch_size)
            costs.append(min(cost for cost, _ in seconds))
            waits = ", ".join(f"{cost:.2f} of {total:.1f} s" for cost, total in seconds)
            print(f"round {number + 1}: two runs {alone:.3f} clips/s, two processes {joined:.3f}, ratio {joined / alone:.3f}; gathering: {waits}")
    alone, joined = (statistics.median(column) for column in zip(*rates))
    ratio = statistics.median(joined / alone for alone, joined in rates)
    cost = statistics.median(costs) / batches
    print(f"medians: two runs {alone:.3f} clips/s, two processes {joined:.3f}, ratio {ratio:.3f}")
    print(f"gathering, of the process that waits less: {cost * 1e3:.1f} ms a batch of {GRADIENT_BYTES / 1e6} MB, {GRADIENT_BYTES / cost / 1e9:.2f} GB/s")


if __name__ == "__main__":
    main()
