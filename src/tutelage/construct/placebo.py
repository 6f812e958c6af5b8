"""The placebo control: the same prompts, as many rows, alike lengths, verdicts ignored.

For each training row the starting model answers the row's prompt a few times under the plain question; of the answers
that it ended itself (else of all) the one nearest in length to the row's answer becomes the placebo row. No check is
asked. What the loop gains over a model tuned on these rows is owed to verification and teaching, not to seeing the
prompts, to stopping properly or to short answers.
"""

from collections.abc import Sequence
from pathlib import Path

from tutelage.completers.replay import answer_all
from tutelage.construct.sampling import Asker, Place
from tutelage.records import Answer, Example, Lineage, Request, Sampling, assistant, content_id
from tutelage.records.jsonl import RecordLog, write_records
from tutelage.seeds import derive_seed


def placebo(
    folder: Path, rows: Sequence[Example], *, start: Asker, sampling: Sampling, samples: int, place: Place
) -> list[Example]:
    """Return one placebo row for each of ``rows`` and write them as records.jsonl in ``folder``."""
    requests = [
        Request(
            id=f"{row.id}/placebo/{number}",
            messages=row.prompt,
            sampling=sampling,
            seed=derive_seed(place.seed, "placebo", row.id, number),
        )
        for row in rows
        for number in range(samples)
    ]
    log = RecordLog(folder / "placebo.jsonl", Answer)
    answers = answer_all(start.open, requests, log=log, chunk=place.chunk, emit=place.emit, label="placebo")
    made: list[Example] = []
    for index, row in enumerate(rows):
        group = answers[index * samples : (index + 1) * samples]
        worded = [answer for answer in group if answer.text.strip()]
        pool = [answer for answer in worded if answer.ended] or worded
        if not pool:
            continue
        size = len(row.target.text.split())
        best = min(pool, key=lambda answer: (abs(len(answer.text.split()) - size), answer.request_id))
        made.append(_row(row, best, author=start.name, sampling=sampling))
    write_records(folder / "records.jsonl", made)
    return made


def _row(row: Example, answer: Answer, *, author: str, sampling: Sampling) -> Example:
    text = answer.text.strip()
    return row.model_copy(
        update={
            "id": content_id("placebo", row.id, text),
            "messages": (*row.prompt, assistant(text)),
            "lineage": Lineage(
                paradigm="self",
                source="placebo",
                author=author,
                parents=(row.id, answer.request_id),
                sampling=sampling,
                seed=answer.seed,
            ),
        }
    )
