"""A data set's card, in the form that hubs read: facts at the top, then where its rows come from and what they are."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

import yaml

from tutelage.records import Example, Ledger
from tutelage.report.artifact import OWN_KINDS
from tutelage.report.contamination import contamination
from tutelage.report.names import PARADIGMS, title
from tutelage.report.numbers import plural, rate, share
from tutelage.report.reading import RunData
from tutelage.text.language import detect

LANGUAGE_ROWS = 2000
"""So many rows, evenly spaced, are looked at for their language."""
SURE = 0.9
"""Probability from which on a language counts as told."""
TEXTS = "back_translation"
"""The source whose answers people wrote, in documents."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_COLUMNS = (
    ("id", "the row's own"),
    ("messages", "turns of `role` and `content`; the last one, of the assistant, is to be learned"),
    ("task, dimension, level, facet, group", "where the row belongs; null where that is not said"),
    ("paradigm, source, author", "how the row was made, and who wrote its answer"),
    ("score", "of the last verdict on the answer, 0 to 1; null: nobody judged it"),
    ("lineage", "JSON: parents, prompt, sampling, seed, verdicts with their reasons, evidence, cost"),
    ("turns", "JSON of all turns where they hold more than text, else null"),
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a data set comes from: what people call it; of a run what it holds, and the round."""

    source: str
    data: RunData | None = None
    round: int = 0


def dataset_card(name: str, rows: Sequence[Example], *, origin: Origin, license: str = "") -> str:
    """Return the card of ``rows``. No text of a row stands in it. ``license`` is an SPDX id; empty: not known."""
    found = languages(rows)
    head = {
        **({"license": license.lower()} if license else {}),
        **({"language": [code for code in found if code]} if any(found) else {}),
        "task_categories": ["text-generation"],
        "tags": ["instruction-tuning", "tutelage"],
        "size_categories": [next((said for most, said in _SIZES if len(rows) < most), "n>1M")],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    }
    parts = [f"---\n{yaml.safe_dump(head, sort_keys=False)}---", f"# {name}", _what(rows, origin)]
    parts += ["## Where the rows come from", _sources(rows), "## What they are about", _cells(rows)]
    parts += [_languages(found, len(rows)), "## How they were curated", *_curated(origin)]
    parts += ["## Columns", _table(("column", "what it holds"), _COLUMNS), "## Load it", _LOAD]
    return "\n\n".join([*parts, "## License", *_license(rows, license, origin)]) + "\n"


_LOAD = """```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder", split="train")
```

`tutelage tune --data path/to/this/folder/data` and `tutelage curate` read it with its lineage."""


def languages(rows: Sequence[Example]) -> dict[str, float]:
    """Return the share of answers in each language that is told with some certainty, of at most ``LANGUAGE_ROWS`` rows,
    the most frequent first; "" is the share of those that are not told."""
    step = max(1, -(-len(rows) // LANGUAGE_ROWS))
    seen = rows[::step]
    told = Counter(code if sure >= SURE else "" for code, sure in (detect(row.target.text) for row in seen))
    return {code: count / len(seen) for code, count in sorted(told.items(), key=lambda pair: (-pair[1], pair[0]))}


def _what(rows: Sequence[Example], origin: Origin) -> str:
    turns = sum(len(row.messages) > 2 + (row.messages[0].role == "system") for row in rows)
    several = f", {turns:,} of them with more turns than a question and an answer" if turns else ""
    of = f"round {origin.round} of the run {origin.source}" if origin.data is not None else origin.source
    return f"{plural(len(rows), 'conversation')}{several}. The last turn of each is to be learned. Source: {of}."


def _sources(rows: Sequence[Example]) -> str:
    key = attrgetter("lineage.paradigm", "lineage.source", "lineage.author")
    lines = []
    for (paradigm, source, author), group in groupby(sorted(rows, key=key), key=key):
        found = list(group)
        last = [row.lineage.verdicts[-1] for row in found if row.lineage.verdicts]
        scores = [verdict.score for verdict in last if verdict.score is not None]
        mean = rate(sum(scores) / len(scores)) if scores else "nobody judged them"
        lines.append((PARADIGMS[paradigm], source, author, f"{len(found):,}", f"{len(scores):,}", mean))
    return _table(("paradigm", "method", "answers by", "rows", "judged", "mean score"), lines)


def _cells(rows: Sequence[Example]) -> str:
    cells = Counter((row.dimension, row.level or "") for row in rows)
    lines = [
        (title(dimension) if dimension else "not said", level or "not said", f"{count:,}")
        for (dimension, level), count in sorted(cells.items())
    ]
    return _table(("dimension", "level", "rows"), lines)


def _languages(found: Mapping[str, float], rows: int) -> str:
    seen = "" if rows <= LANGUAGE_ROWS else f" (of at most {LANGUAGE_ROWS:,} rows, evenly spaced)"
    said = ", ".join(f"{code or 'not told'} {share(part)}" for code, part in found.items())
    return f"Languages of the answers, by program{seen}: {said}."


def _curated(origin: Origin) -> list[str]:
    ledger = _ledger(origin)
    if ledger is None or origin.data is None:
        return ["Not known here: the rows were taken as they are."]
    lines = [f"{ledger.rows_in:,} rows came in, {ledger.kept:,} were kept."]
    if ledger.dropped:
        dropped = sorted(ledger.dropped.items(), key=lambda pair: (-pair[1], pair[0]))
        lines.append(_table(("dropped because", "rows"), [(reason, f"{count:,}") for reason, count in dropped]))
    leak = contamination(replace(origin.data, shown=f"round {origin.round}"))
    return [*lines, *([leak] if leak else [])]


def _ledger(origin: Origin) -> Ledger | None:
    if origin.data is None:
        return None
    return next((found.ledger for found in origin.data.rounds if found.number == origin.round), None)


def _license(rows: Sequence[Example], license: str, origin: Origin) -> list[str]:
    said = f"{license}, as stated by who released it." if license else "Not stated: whoever releases it must say it."
    lines = []
    found = [row for row in rows if row.lineage.source == TEXTS]
    if found:
        lines.append(f"- {plural(len(found), 'answer')}: passages of documents as they stand, by whoever wrote these.")
    others = [row for row in rows if row.lineage.source != TEXTS]
    models = sorted({row.lineage.author for row in others if row.lineage.paradigm not in ("expert", "rehearsal")})
    if models:
        lines.append(f"- Answers by {', '.join(models)}: the terms of these models may bind what is made with them.")
    kinds = [task.kind for task in origin.data.recipe.tasks] if origin.data is not None else []
    if made := [kind for kind in kinds if kind not in OWN_KINDS]:
        lines.append(f"- Items and demonstrations of {', '.join(made)}: made by tutelage, Apache-2.0.")
    if not kinds or len(made) < len(kinds):
        lines.append("- Rows of people: their license is not recorded; whoever brought them must know it.")
    return [said, "\n".join(lines)]


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    written = [head, ["---"] * len(head), *lines]
    rows = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in written]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
