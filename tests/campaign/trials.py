"""What is done to the stages: kills, double starts, flipped bytes, removed outputs, closed ends. A trial gives how the stage
survived, in a few words, or raises NotSurvived."""

import os
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline import BY_NAME, GROWN, STAGES, NotSurvived, copy, difference, same_results, tree
from stops import Stops, matrix

DONE, FAILED, BUSY = 0, 1, 75

# A removal so shortly before the end is one after the end: nobody reads again what is finished.
LATE_SECONDS, LATE_SHARE = 0.05, 0.1
# Tries to remove something while a stage still runs.
REMOVAL_TRIES = 20

# A file's name without its ending names it in a message where it is longer than this; `index` and `run` are also words.
SHORTEST_STEM = 9

# The shards that an interrupted decode must have published before it counts as half done.
HALF_SHARDS = 2


@dataclass(frozen=True)
class Case:
    """What is done (`kind`) to what (`name`) of which stage, and the trial: a function of a random stream and a root."""

    kind: str
    stage: str
    name: str
    trial: object


class Trials:
    """All cases over one reference."""

    def __init__(self, programs, reference):
        self.programs, self.reference = programs, reference

    def cases(self):
        """Every case, in the order of the table."""
        for stage in [*STAGES, GROWN]:
            name = stage if stage == GROWN else stage.name
            yield Case("kills", "decode" if stage == GROWN else name, name, partial(self.kill, name))
        stops = Stops(self.programs, self.reference)
        for flags in matrix():
            yield Case("stops", "train", flags, partial(stops.trial, flags))
        yield from self.starts()
        yield from self.flips()
        for name in ("toy", "download", "decode", "train"):
            yield Case("removals", name, name, partial(self.remove, BY_NAME[name]))
        for stage in STAGES:
            for end in ENDS:
                yield Case("ends", stage.name, f"{stage.name}, {end}", partial(self.end, stage, end))

    # ---- kills -------------------------------------------------------------------------------------------------------
    def kill(self, name, rng, root):
        """Killed at one to three random moments and run again, a stage ends with the bytes of one that nobody killed."""
        stage = BY_NAME["decode" if name == GROWN else name]
        killed = 0
        while not killed:
            copy(self.reference.before(name), root)
            for _ in range(rng.randint(1, 3)):
                running = self.programs.stage(root, stage)
                time.sleep(rng.uniform(0, 0.95) * self.reference.seconds[name])
                # What ended before was not killed.
                killed += running.runs()
                running.kill()
        self.succeeds(stage, root)
        self.same(root, self.reference.after(name))
        return "same bytes"

    def succeeds(self, stage, root):
        ended = self.programs.stage(root, stage).wait()
        if ended.status != DONE:
            raise NotSurvived(f"the next run ends with {ended.status}: {ended.error()}")

    def same(self, root, expected):
        differs = difference(tree(root), self.reference.tree(expected))
        if differs:
            raise NotSurvived(differs)

    # ---- double starts -----------------------------------------------------------------------------------------------
    def starts(self):
        for stage in STAGES:
            yield Case("starts", stage.name, f"{stage.name}, twice", partial(self.start_two, stage, ""))
        for stage in STAGES:
            if stage.other:
                name = f"{stage.name}, two settings"
                yield Case("starts", stage.name, name, partial(self.start_two, stage, stage.other))
        yield Case("starts", "report", "report into a run in training", self.report_beside_train)

    def start_two(self, stage, other, rng, root):
        """Of two at once one is busy (75) or both are done; what is there is the work of one of them, or of one after the
        other. A training may also refuse to go on with one of other settings."""
        first = self.under_way(stage, rng, root)
        second = self.programs.stage(root, stage, other)
        ended = [first.wait(), second.wait()]
        allowed = {(DONE, DONE): [("",), (other,), ("", other), (other, "")], (DONE, BUSY): [("",)], (BUSY, DONE): [(other,)]}
        if other and stage.name == "train":
            allowed |= {(DONE, FAILED): [("",)], (FAILED, DONE): [(other,)]}
        statuses = tuple(e.status for e in ended)
        if statuses not in allowed:
            bad = max(ended, key=lambda e: e.status not in (DONE, BUSY))
            raise NotSurvived(f"exit statuses {statuses}: {bad.error()}")
        found = tree(root)
        differ = [difference(found, self.reference.variant(stage, *flags)) for flags in allowed[statuses]]
        if all(differ):
            raise NotSurvived(f"exit statuses {statuses}, and {differ[0]}")
        if FAILED in statuses:
            return "one refused"
        return "one was busy" if BUSY in statuses else "both done"

    def under_way(self, stage, rng, root):
        """A stage at a random moment before its end."""
        while True:
            copy(self.reference.before(stage.name), root)
            running = self.programs.stage(root, stage)
            time.sleep(rng.uniform(0, 0.9) * self.reference.seconds[stage.name])
            if running.runs():
                return running

    def report_beside_train(self, rng, root):
        """A report that is written into the folder of a run in training disturbs nothing."""
        training = self.under_way(BY_NAME["train"], rng, root)
        report = self.programs.start(root, "incdec-report", "--out run/report.html run").wait()
        ended = training.wait()
        if ended.status != DONE:
            raise NotSurvived(f"the training ends with {ended.status}: {ended.error()}")
        (root / "run/report.html").unlink(missing_ok=True)
        self.same(root, self.reference.after("train"))
        return "a page" if report.status == DONE else "no page yet"

    # ---- flipped bytes -----------------------------------------------------------------------------------------------
    def flips(self):
        """Every published file, each with every command that reads it."""
        before, after = self.reference.before, self.reference.after
        readings = [
            (before("download"), "source/train/*.tar.gz", "download", after("download")),
            (after("download"), "downloads.parquet", "download", after("download")),
            (after("download"), "downloads.parquet", VERIFY_CLIPS, after("download")),
            (after("download"), "raw/*/*.mp4", VERIFY_CLIPS, None),
            (before("train"), "shards/*.arrow", VERIFY_SHARDS, after("train")),
            (after("decode"), "shards/index.parquet", "decode", after("decode")),
            (before("manifest"), "shards/index.parquet", "manifest", after("manifest")),
            (before("tasks"), "manifests/clips.parquet", "tasks", after("tasks")),
            (before("train"), "shards/*.arrow", "train", after("train")),
            (before("train"), "shards/index.parquet", "train", after("train")),
            (before("train"), "tasks/availability.parquet", "train", after("train")),
            (before("train"), "tasks/schedule.parquet", "train", after("train")),
            (after("report"), "report.html", "report", after("report")),
        ]
        for start, pattern, reader, expected in readings:
            yield self.flip_case(start, pattern, reader, expected, "")
        yield self.flip_case(self.half_decode, "shards/*.arrow", "decode", after("decode"), " of a stopped decode")
        for pattern in RUN_FILES:
            if pattern != "run/run.json":
                yield self.flip_case(self.half_train, pattern, "train", after("train"), " of a stopped run")
        for pattern in RUN_FILES:
            yield self.flip_case(after("train"), pattern, "report", after("report"), "")
            # A complete run does nothing, so what is not said here is never said.
            yield self.flip_case(after("train"), pattern, "train", None, " of a complete run")

    def half_decode(self):
        """A folder of shards that a decode was publishing when it was killed."""
        return self.reference.half("decode", lambda root: len(list(root.glob("shards/*.arrow"))) >= HALF_SHARDS)

    def half_train(self):
        """A run that was killed after its first task."""
        return self.reference.half("train", lambda root: (root / "run/progress.json").exists())

    def flip_case(self, start, pattern, reader, expected, when):
        stage = reader if isinstance(reader, str) else reader[0].removeprefix("incdec-")
        name = reader if isinstance(reader, str) else f"{stage} verify"
        trial = partial(self.flip, start, pattern, reader, expected)
        return Case("flips", stage, f"{pattern}{when} -> {name}", trial)

    def flip(self, start, pattern, reader, expected, rng, root):
        """One flipped bit of a file: whoever reads it refuses it by name, or ends with what the whole file gives. Where
        `expected` is None it must be refused or mended, or be a table of the same rows: nobody looks again."""
        copy(start() if callable(start) else start, root)
        path = rng.choice(sorted(root.glob(pattern)))
        whole = path.read_bytes()
        at, bit = rng.randrange(len(whole)), rng.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        where = f"bit {bit} of byte {at} of {path.relative_to(root)}"
        try:
            ended = self.read(reader, root)
            if ended.status == DONE and reader == VERIFY_SHARDS:
                # Not every bit of a shard is a frame's; what nobody stores must not matter to training either.
                ended = self.read("train", root)
            return self.after_flip(ended, path, whole, expected, root)
        except NotSurvived as failure:
            raise NotSurvived(f"{where}: {failure}") from None

    def read(self, reader, root):
        if isinstance(reader, str):
            return self.programs.stage(root, BY_NAME[reader]).wait()
        return self.programs.start(root, *reader).wait()

    def after_flip(self, ended, path, whole, expected, root):
        if ended.status != DONE:
            # A clip's or a shard's name without its ending will do.
            if path.name in ended.text or len(path.stem) > SHORTEST_STEM and path.stem in ended.text:
                return "refused by name"
            raise NotSurvived(f"refused ({ended.status}) without its name: {ended.error()}")
        healed = path.exists() and path.read_bytes() == whole
        relative = str(path.relative_to(root))
        if expected is None:
            table = path.suffix == ".parquet" and path.exists()
            if healed or table and same_results(path.name, path.read_bytes(), whole):
                return "mended" if healed else "same results"
            raise NotSurvived("nothing is said")
        found, rest = tree(root), dict(self.reference.tree(expected))
        if not healed:
            found.pop(relative, None)
            rest.pop(relative, None)
        differs = difference(found, rest, same_results)
        if differs:
            named = "named, but it went on" if path.name in ended.text else "silent"
            raise NotSurvived(f"{named}: {differs}")
        return "mended" if healed else "same results"

    # ---- removed outputs ---------------------------------------------------------------------------------------------
    def remove(self, stage, rng, root):
        """Outputs removed in mid-run: an error, or everything is there at the end all the same. The next run ends with
        everything or names what is missing."""
        for _ in range(REMOVAL_TRIES):
            removed, ended, late = self.remove_once(stage, rng, root)
            if not late:
                break
        else:
            return "nothing to remove in time"
        expected = self.reference.tree(self.reference.after(stage.name))
        differs = difference(tree(root), expected)
        if ended.status == DONE and differs:
            raise NotSurvived(f"{removed} was removed, the stage ends with 0, and {differs}")
        again = self.programs.stage(root, stage).wait()
        if again.status != DONE and Path(removed).name not in again.text:
            raise NotSurvived(f"{removed} was removed, the next run ends with {again.status}: {again.error()}")
        if again.status == DONE:
            self.same(root, self.reference.after(stage.name))
        return "done all the same" if ended.status == DONE else "an error"

    def remove_once(self, stage, rng, root):
        """Starts the stage and removes something of its outputs; gives what, how it ended, and whether that was too late."""
        copy(self.reference.before(stage.name), root)
        seconds = self.reference.seconds[stage.name]
        running = self.programs.stage(root, stage)
        time.sleep(rng.uniform(0.05, 0.85) * seconds)
        output = root / rng.choice(stage.outputs)
        files = sorted(p for p in output.rglob("*") if p.is_file() and not p.name.startswith(".")) if output.is_dir() else []
        victim = rng.choice(files) if files and rng.random() < 0.5 else output
        there = victim.exists()
        if victim.is_dir():
            shutil.rmtree(victim, ignore_errors=True)
        else:
            victim.unlink(missing_ok=True)
        removed = time.monotonic()
        ended = running.wait()
        late = time.monotonic() - removed < max(LATE_SECONDS, LATE_SHARE * seconds)
        return str(victim.relative_to(root)), ended, late or not there

    # ---- closed ends -------------------------------------------------------------------------------------------------
    def end(self, stage, end, _rng, root):
        """A stage whose stdout or stderr is closed or full does its work all the same."""
        copy(self.reference.before(stage.name), root)
        stream, opened = ENDS[end]
        with opened() as file:
            ended = self.programs.stage(root, stage, **{stream: file}).wait()
        if ended.status != DONE:
            raise NotSurvived(f"ends with {ended.status}: {ended.error()}")
        self.same(root, self.reference.after(stage.name))
        return "done"


def unread():
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return open(writer, "wb")


def full():
    """A device that is always full."""
    return open("/dev/full", "wb")


ENDS = {
    "stdout closed": ("stdout", unread),
    "stdout full": ("stdout", full),
    "stderr closed": ("stderr", unread),
    "stderr full": ("stderr", full),
}

# Commands that read again what is published: program and flags.
VERIFY_CLIPS = ("incdec-download", "verify --dry-run --labels source/Info --source source --out raw --ledger downloads.parquet")
VERIFY_SHARDS = ("incdec-decode", "verify shards")

# What a run publishes, but for what holds times.
RUN_FILES = [
    "run/settings.json",
    "run/progress.json",
    "run/run.json",
    "run/availability.parquet",
    "run/schedule.parquet",
    "run/history.parquet",
    "run/metrics.parquet",
    "run/predictions.parquet",
    "run/checkpoints/task-?.safetensors",
    "run/checkpoints/task-?-state.safetensors",
]
