"""A second implementation of the deal, for comparison: the rules written down once more, over numpy's own RandomState,
CPython's own random.Random and the order of CPython's own sets.

    splits.py <cases.json >answers.json

A case: scenario, seed, tasks, randomize, spread, arrivals, divisor, sizes (subcategories of each class), places (for train,
validation and test the [class, subcategory] of each row), counts (the schedule: a row for each task, an entry for each
class). An answer: current (subcategories by task and class), train, validation, test (rows by task).
"""
import json
import random
import sys

import numpy

SCHEDULED = ("decremental", "incremental-decremental")


def set_order(rows):
    """The rows as a set lists them that they were put into one by one."""
    members = set()
    for row in rows:
        members.add(row)
    return list(members)


class Rows:
    """The rows of one split by class and subcategory."""

    def __init__(self, places):
        self.places = [tuple(place) for place in places]

    def of(self, c, x):
        return [row for row, place in enumerate(self.places) if place == (c, x)]

    def of_class(self, c):
        return [row for row, place in enumerate(self.places) if place[0] == c]


def permuted(counts, numpys):
    """Each column's entries behind the first are shuffled."""
    counts = [list(row) for row in counts]
    for c in range(len(counts[0])):
        column = [row[c] for row in counts[1:]]
        numpys.shuffle(column)
        for row, entry in zip(counts[1:], column):
            row[c] = entry
    return counts


def removals(sizes, counts, pythons):
    current = [list(range(n)) for n in sizes]
    tasks = []
    for row in counts:
        for c, count in enumerate(row):
            for _ in range(count):
                i = pythons.randint(0, len(current[c]) - 1)
                if len(current[c]) > 1:
                    del current[c][i]
        tasks.append([list(names) for names in current])
    return tasks


def exchanges(sizes, counts, pythons):
    pool = [list(range(n)) for n in sizes]
    current = [[] for _ in sizes]
    tasks = []
    for c, count in enumerate(counts[0]):
        for _ in range(count):
            i = pythons.randint(0, len(pool[c]) - 1)
            if len(pool[c]) > 1:
                current[c].append(pool[c].pop(i))
    old = [list(names) for names in current]
    tasks.append([list(names) for names in current])
    for row in counts[1:]:
        for c, count in enumerate(row):
            for _ in range(count):
                if not pool[c]:
                    continue
                i = pythons.randint(0, len(pool[c]) - 1)
                if old[c]:
                    gone = old[c][pythons.randint(0, len(old[c]) - 1)]
                    if current[c] != [gone]:
                        current[c].remove(gone)
                        old[c].remove(gone)
                current[c].append(pool[c].pop(i))
        tasks.append([list(names) for names in current])
    return tasks


def moved(length, task, case):
    changes = case["tasks"] - 1
    if changes == 0:
        return 0
    return length * task // changes if case["spread"] else length // changes * task


def train_lists(case, rows, current, numpys):
    scenario, sizes, tasks = case["scenario"], case["sizes"], case["tasks"]
    if scenario == "joint-incremental" and tasks == 1:
        return [[row for c in range(len(sizes)) for row in rows.of_class(c)]]
    first = set()
    for c, size in enumerate(sizes):
        for x in range(size):
            shuffled = set_order(rows.of(c, x))
            numpys.shuffle(shuffled)
            first.update(shuffled[: int(len(shuffled) / case["divisor"])])
    lists = [[] for _ in range(tasks)]

    def deal(shuffled, present):
        numpys.shuffle(shuffled)
        a = [row for row in shuffled if row in first]
        b = [row for row in shuffled if row not in first]
        for task in range(tasks):
            if present(task):
                leaving = moved(len(a), task, case) if scenario == "substitution" else 0
                arriving = moved(len(b), task, case) if case["arrivals"] else 0
                lists[task] += a[leaving:] + b[:arriving]

    for c, size in enumerate(sizes):
        if scenario not in SCHEDULED:
            deal(rows.of_class(c), lambda task: True)
            continue
        for x in range(size):
            deal(set_order(rows.of(c, x)), lambda task: x in current[task][c])
    return lists


def answer(case):
    numpys, pythons = numpy.random.RandomState(case["seed"]), random.Random(case["seed"])
    scenario, sizes, tasks = case["scenario"], case["sizes"], case["tasks"]
    train, validation, test = (Rows(places) for places in case["places"])
    classes = range(len(sizes))
    current = [[list(range(n)) for n in sizes]] * tasks
    if scenario in SCHEDULED:
        counts = permuted(case["counts"], numpys) if case["randomize"] else case["counts"]
        current = (removals if scenario == "decremental" else exchanges)(sizes, counts, pythons)
    ascending = lambda rows: [row for c in classes for row in rows.of_class(c)]
    by_subcategory = lambda task: [row for c in classes for x in current[task][c] for row in set_order(validation.of(c, x))]
    return {
        "current": current,
        "train": train_lists(case, train, current, numpys),
        "validation": [by_subcategory(t) if scenario in SCHEDULED else ascending(validation) for t in range(tasks)],
        "test": [ascending(test)] * tasks,
    }


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
