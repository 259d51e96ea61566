"""Trainings that are stopped by signals and by kill -9, over the whole matrix: approaches, samplers, schedulers, from scratch."""

import itertools
import signal
import time

from pipeline import BY_NAME, NotSurvived, copy, difference, tree

DONE = 0
# What a run ends with after a signal, and whether it says how to go on.
STATUSES = {signal.SIGTERM: 143, signal.SIGUSR1: 143, signal.SIGINT: 130}
GO_ON = "give the same command again to go on"

APPROACHES = ["finetune", "lwf", "fd", "ewc", "ewc --fisher per-sample", "finetune --from-scratch"]
SAMPLERS = ["balanced", "imbalanced"]
SCHEDULERS = ["fixed", "multi-step", "reduce-on-plateau --patience 0"]
# Several epochs of several steps, so that there is something to stop.
MORE = "--epochs 3 --batch-size 4 --checkpoint-every 1"


def matrix():
    """The flags of every training that is stopped."""
    for approach, sampler, scheduler in itertools.product(APPROACHES, SAMPLERS, SCHEDULERS):
        yield f"--approach {approach} --sampler {sampler} --scheduler {scheduler} {MORE}"


class Stops:
    """Stops trainings of a reference's tasks; an undisturbed one of each is trained once."""

    def __init__(self, programs, reference):
        self.programs, self.reference = programs, reference
        self.wholes = {}

    def whole(self, flags, root):
        """The tree of an undisturbed training, and its seconds."""
        if flags not in self.wholes:
            copy(self.reference.before("train"), root)
            begun = time.monotonic()
            self.train(root, flags)
            self.wholes[flags] = (tree(root), time.monotonic() - begun)
        return self.wholes[flags]

    def train(self, root, flags):
        ended = self.programs.stage(root, BY_NAME["train"], flags).wait()
        if ended.status != DONE:
            raise NotSurvived(f"a training that goes on ends with {ended.status}: {ended.error()}")

    def trial(self, flags, rng, root):
        """Stopped one to four times, each time with other workers, a training ends with the bytes of an undisturbed one."""
        expected, seconds = self.whole(flags, root)
        copy(self.reference.before("train"), root)
        stops = 0
        for _ in range(rng.randint(1, 4)):
            running = self.programs.stage(root, BY_NAME["train"], f"{flags} --workers {rng.randint(0, 3)}")
            time.sleep(rng.uniform(0.1, 0.9) * seconds)
            if not running.runs():
                break
            which = rng.choice([signal.SIGKILL, *STATUSES])
            stops += 1
            if which == signal.SIGKILL:
                running.kill()
                continue
            running.process.send_signal(which)
            ended = running.wait()
            if ended.status == DONE:
                break
            if ended.status != STATUSES[which] or GO_ON not in ended.text:
                raise NotSurvived(f"{which.name} ends a training with {ended.status}: {ended.error()}")
        self.train(root, flags)
        differs = difference(tree(root), expected)
        if differs:
            raise NotSurvived(f"stopped {stops} times: {differs}")
        return "same bytes"
