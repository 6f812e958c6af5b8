"""Whether items of a benchmark are found in training rows, and nothing else is.

    python benchmarks/contamination.py --data rows.json --benchmark items.jsonl --output results/contamination.json

Each of ``--items`` items, drawn from those of ``--benchmark``, is planted into rows of ``--data`` once in every form:

| form | the row |
| --- | --- |
| ``verbatim`` | the item's question and its answer |
| ``question`` | the question, with the answer of another row |
| ``changed`` | both in another case; signs taken out or replaced, others put between words, line breaks for spaces |
| ``embedded`` | both in the middle of another row's prompt and answer |
| ``embedded, changed`` | both at once |
| ``embedded question`` | the question alone in the middle of another row's prompt |

``recall`` is the share of planted rows that the step drops for that item, with its Wilson interval. ``false_positives``
are rows of ``--data``, in which nothing was planted, that are dropped as well, each with its reason, so that people see
whether an item really is in there. ``--clean`` names more files that hold no item. ``held_out`` is the same with
``--items`` rows of ``--data`` as the benchmark, which none of the other rows should contain.
"""

import argparse
import json
import os
import platform
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tutelage.curate import Contamination
from tutelage.files import write_atomic
from tutelage.pipeline.own_rows import read_rows
from tutelage.records import Example, Lineage, assistant, user
from tutelage.records.importers import import_preferences, kind_of
from tutelage.records.importers.benchmarks import Benchmark, BenchmarkItem, read_benchmark
from tutelage.statistics import wilson

LINEAGE = Lineage(paradigm="expert", source="examples", author="benchmark")
CASES: tuple[Callable[[str], str], ...] = (str.upper, str.lower, str.title, str.swapcase)
Form = Callable[[str, str, Example, random.Random], tuple[str, str]]


def changed(text: str, rng: random.Random) -> str:
    """The same words in another case and with other signs between them."""
    text = rng.choice(CASES)(text)
    match rng.randrange(4):
        case 0:
            text = re.sub(r"[^\w\s]", "", text)
        case 1:
            text = re.sub(r"[^\w\s]", " ", text)
        case 2:
            text = text.replace("'", "’").replace('"', "“").replace("-", "–")
        case _:
            text = " ".join(word + rng.choice(("", "", ",", ";", " –", "...")) for word in text.split())
    return "".join(rng.choice((" ", " ", "  ", "\n")) if sign == " " else sign for sign in text)


def within(text: str, host: str) -> str:
    """``text`` between the two halves of ``host``."""
    words = host.split()
    half = len(words) // 2
    return f"{' '.join(words[:half])}\n{text} {' '.join(words[half:])}"


FORMS: dict[str, Form] = {
    "verbatim": lambda question, answer, host, rng: (question, answer),
    "question": lambda question, answer, host, rng: (question, host.target.text),
    "changed": lambda question, answer, host, rng: (changed(question, rng), changed(answer, rng)),
    "embedded": lambda question, answer, host, rng: (
        within(question, host.prompt[-1].text),
        within(answer, host.target.text),
    ),
    "embedded, changed": lambda question, answer, host, rng: (
        within(changed(question, rng), host.prompt[-1].text),
        within(changed(answer, rng), host.target.text),
    ),
    "embedded question": lambda question, answer, host, rng: (
        within(question, host.prompt[-1].text),
        host.target.text,
    ),
}


def measure(benchmark: Benchmark, rows: Sequence[Example], clean: Sequence[Example], count: int) -> dict[str, Any]:
    """Recall of each form of planting, and what is dropped of rows that hold nothing."""
    began = time.process_time()
    step = Contamination([], against=[benchmark])
    built = time.process_time() - began
    rng = random.Random(0)
    drawn = rng.sample(range(len(benchmark.items)), min(count, len(benchmark.items)))
    forms = {}
    for name, form in FORMS.items():
        missed = []
        for place in drawn:
            item = benchmark.items[place]
            prompt, answer = form(item.questions[0], (item.answers or ("",))[0], rng.choice(rows), rng)
            row = Example(id=item.id, messages=(user(prompt), assistant(answer)), lineage=LINEAGE)
            if place not in {hit.item for hit in step.find(row)}:
                missed.append({"item": item.id, "question": item.questions[0][:80]})
        interval = wilson(len(drawn) - len(missed), len(drawn))
        forms[name] = {
            "planted": len(drawn),
            "recall": round(1 - len(missed) / len(drawn), 4),
            "interval": [round(interval.low, 4), round(interval.high, 4)],
            "missed": missed[:10],
        }
    began = time.process_time()
    dropped = step.apply(clean).dropped
    return {
        "items": len(benchmark.items),
        "forms": forms,
        "clean_rows": len(clean),
        "false_positives": len(dropped),
        "false_positive_share": round(len(dropped) / len(clean), 5),
        "dropped": [row.reason[:240] for row in dropped[:20]],
        "seconds_to_index": round(built, 2),
        "seconds_for_clean_rows": round(time.process_time() - began, 2),
    }


def held_out(rows: Sequence[Example], count: int) -> dict[str, Any]:
    """The same with some of the rows as the benchmark."""
    chosen = set(random.Random(1).sample(range(len(rows)), min(count, len(rows) // 2)))
    items = tuple(
        BenchmarkItem(rows[place].id, (rows[place].prompt[-1].text,), answers=(rows[place].target.text,))
        for place in sorted(chosen)
    )
    others = [row for place, row in enumerate(rows) if place not in chosen]
    return measure(Benchmark("held out", items), others, others, count)


def conversations(path: Path) -> list[Example]:
    """The rows of a file; of pairs, both answers."""
    if kind_of(path) != "pairs":
        return read_rows(path)
    return [
        Example(id=f"{pair.id}-{side}", messages=(*pair.prompt, answer), lineage=LINEAGE)
        for pair in import_preferences(path, author="benchmark")
        for side, answer in (("chosen", pair.chosen), ("rejected", pair.rejected))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="rows in any form that tutelage reads")
    parser.add_argument("--benchmark", type=Path, help="items; without them only rows of --data are held out")
    parser.add_argument("--clean", type=Path, nargs="*", default=[], help="more rows that hold no item")
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    rows = read_rows(given.data)
    found: dict[str, Any] = {"machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"}
    if given.benchmark is not None:
        benchmark = read_benchmark(given.benchmark, name=given.benchmark.stem)
        found["benchmark"] = measure(benchmark, rows, rows, given.items)
        for file in given.clean:
            others = conversations(file)
            dropped = Contamination([], against=[benchmark]).apply(others).dropped
            found.setdefault("clean", {})[file.name] = {
                "rows": len(others),
                "dropped": [row.reason[:240] for row in dropped[:20]],
                "false_positives": len(dropped),
            }
    found["held_out"] = held_out(rows, given.items)
    paths = {str(path) for path in (given.data, given.benchmark, *given.clean, sys.argv[0]) if path is not None}
    found["command"] = "python benchmarks/" + " ".join(Path(word).name if word in paths else word for word in sys.argv)
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if given.output is not None:
        write_atomic(given.output, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
