"""How fast near duplicates are found, in how much memory, and whether they are the right ones.

    python benchmarks/duplicates.py --data rows.json --rows 10000 1000000 --output benchmarks/results/duplicates.json

Rows are made of the sentences of real ones: a prompt of one and an answer of several, drawn from all answers of
``--data``. Each fifth row is made of one of the four before it by changing words, from none to a third of them. A
number of rows and of ``--workers`` is measured in a process of its own, which makes the rows first; its peak memory
holds these too.

Of a sample of the changed rows, ``precision`` is the share of those dropped whose Jaccard similarity with the row that
they are said to be like reaches the threshold by exact comparison, in whole and in the answer; ``recall`` the share
dropped of those that reach it with a row before them. ``kept`` is a digest of what was kept: equal for all workers.

``--peer PYTHON`` names the interpreter of an environment for ``peers/datatrove_peer.py``. That gets the
same rows, each prompt and answer as one text, with its defaults, in as many workers. Its time begins when its files
are written and ends when it has written its own; ours holds the rows in memory and also compares candidates exactly.
Where several rows are alike, datatrove keeps one of them at random, so its ``recall`` is the share of changed rows
that are dropped or whose like is, and its ``precision`` that of dropped rows with such a like among the four before
or after.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from tutelage.curate import NearDuplicates, curate
from tutelage.curate.step import answer_text, prompt_text
from tutelage.curate.tokens import jaccard, shingles, tokens
from tutelage.files import write_atomic
from tutelage.pipeline.own_rows import read_rows
from tutelage.records import Example, Lineage, assistant, user
from tutelage.text.words import sentences

PEER = Path(__file__).parent / "peers" / "datatrove_peer.py"
EVERY = 5
SAMPLE = 4000
THRESHOLD = 0.8
LINEAGE = Lineage(paradigm="expert", source="examples", author="benchmark")


def made(data: Path, count: int) -> Iterator[Example]:
    """Yield ``count`` rows; the ids of changed ones come after those of what they were made of."""
    rng = random.Random(0)
    pool = sorted({one for row in read_rows(data) for one in sentences(row.target.text) if 4 <= len(one.split()) <= 40})
    recent: list[Example] = []
    for number in range(count):
        if number % EVERY == EVERY - 1:
            prompt, answer = changed(rng.choice(recent), rng)
        else:
            prompt, answer = rng.choice(pool), " ".join(rng.choices(pool, k=rng.randint(3, 9)))
        row = Example(id=f"{number:09}", messages=(user(prompt), assistant(answer)), lineage=LINEAGE)
        recent = [*recent[-(EVERY - 2) :], row]
        yield row


def changed(row: Example, rng: random.Random) -> tuple[str, str]:
    """The same prompt, and the answer with other words in the place of some."""
    words = row.target.text.split()
    for place in rng.sample(range(len(words)), round(rng.random() ** 2 * len(words) / 3)):
        words[place] = f"w{rng.randrange(10**6)}"
    return row.prompt[0].text, " ".join(words)


def likeness(left: Example, right: Example) -> float:
    """The lesser of the exact similarities of whole rows and of answers."""
    sides = []
    for row in (left, right):
        answer = answer_text(row)
        sides.append([shingles(tokens(text), 5) for text in (f"{prompt_text(row)} {answer}", answer)])
    return min(jaccard(one, other) for one, other in zip(*sides, strict=True))


def measure(data: Path, count: int, workers: int) -> dict[str, Any]:
    """Figures of one number of rows; made for a process of its own."""
    rows = list(made(data, count))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.monotonic(), time.process_time()
    sifted = curate(rows, [NearDuplicates(threshold=THRESHOLD)], workers=workers)
    seconds, own = time.monotonic() - began, time.process_time() - cpu
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {row.id: int(row.reason.rpartition(" ")[2]) for row in sifted.dropped}
    changed_rows = range(EVERY - 1, count, EVERY)
    sample = random.Random(1).sample(changed_rows, min(SAMPLE, len(changed_rows)))
    right = [likeness(rows[at], rows[found[rows[at].id]]) >= THRESHOLD for at in sample if rows[at].id in found]
    close = [at for at in sample if any(likeness(rows[at], rows[at - back]) >= THRESHOLD for back in range(1, EVERY))]
    return {
        "rows": count,
        "workers": workers,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(own + helpers.ru_utime + helpers.ru_stime, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "peak_of_rows_gb": round(before / 2**20, 2),
        "dropped": len(sifted.dropped),
        "sample": len(sample),
        "precision": round(sum(right) / max(1, len(right)), 4),
        "recall": round(sum(rows[at].id in found for at in close) / max(1, len(close)), 4),
        "kept": sha256("".join(row.id for row in sifted.kept).encode()).hexdigest()[:16],
    }


def measure_peer(python: str, data: Path, count: int, workers: int, folder: Path) -> dict[str, Any]:
    """The same figures of datatrove but its memory: its processes are nobody's children."""
    rows = list(made(data, count))
    (folder / "rows").mkdir()
    for worker in range(workers):
        texts = ({"id": row.id, "text": f"{prompt_text(row)} {answer_text(row)}"} for row in rows[worker::workers])
        (folder / "rows" / f"{worker}.jsonl").write_text("".join(f"{json.dumps(text)}\n" for text in texts))
    asked = [python, str(PEER), str(folder / "rows"), str(folder / "work"), str(workers)]
    began = time.monotonic()
    said = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    seconds = time.monotonic() - began
    dropped = {int(name) for name in said["dropped"]}
    sample = random.Random(1).sample(range(EVERY - 1, count, EVERY), min(SAMPLE, count // EVERY))
    close = [pair for at in sample if (pair := {at, *_alike(rows, at, range(at - EVERY + 1, at))}) != {at}]
    found = random.Random(2).sample(sorted(dropped), min(SAMPLE, len(dropped)))
    right = [bool(_alike(rows, at, range(at - EVERY + 1, at + EVERY))) for at in found]
    return {
        "rows": count,
        "workers": workers,
        "by": "datatrove",
        "seconds": round(seconds, 1),
        "steps": said["seconds"],
        "dropped": len(dropped),
        "sample": len(sample),
        "precision": round(sum(right) / max(1, len(right)), 4),
        "recall": round(sum(bool(pair & dropped) for pair in close) / max(1, len(close)), 4),
    }


def _alike(rows: list[Example], at: int, others: range) -> list[int]:
    """Those of ``others`` whose whole text is like that of the row at ``at`` by exact comparison."""
    own = shingles(tokens(f"{prompt_text(rows[at])} {answer_text(rows[at])}"), 5)
    texts = {n: f"{prompt_text(rows[n])} {answer_text(rows[n])}" for n in others if 0 <= n < len(rows) and n != at}
    return [n for n, text in texts.items() if jaccard(own, shingles(tokens(text), 5)) >= THRESHOLD]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="rows in any form that tutelage reads")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[os.cpu_count() or 1])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--peer", metavar="PYTHON", help="the interpreter of an environment with datatrove")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        count, workers = given.one
        with tempfile.TemporaryDirectory() as folder:
            if given.peer:
                found = measure_peer(given.peer, given.data, count, workers, Path(folder))
            else:
                found = measure(given.data, count, workers)
        print(json.dumps(found))
        return
    runs = []
    for count in given.rows:
        for workers in given.workers:
            asked = [sys.executable, __file__, "--data", str(given.data), "--one", str(count), str(workers)]
            for more in ([], ["--peer", given.peer]) if given.peer else ([],):
                done = subprocess.run([*asked, *more], check=True, stdout=subprocess.PIPE, text=True)
                runs.append(json.loads(done.stdout))
                print(json.dumps(runs[-1]), flush=True)
    words = (Path(word).name if word in (str(given.data), sys.argv[0], given.peer) else word for word in sys.argv)
    found = {"machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}", "runs": runs}
    found["command"] = "python benchmarks/" + " ".join(words)
    if given.output is not None:
        write_atomic(given.output, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
