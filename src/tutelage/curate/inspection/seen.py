"""A row of any kind as what is looked at: a prompt, one or two answers, and what is shown of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from tutelage.curate.step import answer_text, prompt_text
from tutelage.records import Example, Message, Preference, TextPart, UnpairedPreference
from tutelage.records.inspection import Excerpt

AnyRow = Example | Preference | UnpairedPreference
Show = Callable[[str], str]
"""What is shown of a text."""
SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True)
class Seen:
    """``row`` as it was read, ``whole`` as one conversation, of a pair with both answers in its last turn. ``views``
    are its answers by name, each as a row of its own. ``key`` sorts rows by what they say, as good as drawn by lot."""

    row: AnyRow
    whole: Example
    views: tuple[tuple[str, Example], ...]
    key: bytes


def see(rows: Sequence[AnyRow]) -> list[Seen]:
    """Return ``rows`` in the order of their keys, which is the same for the same rows in any order."""
    return sorted(map(_seen, rows), key=lambda row: (row.key, row.whole.id))


def excerpt(row: Seen, show: Show, note: str = "") -> Excerpt:
    """Return what is shown of a row."""
    answers = {name: show(answer_text(view)) for name, view in row.views}
    asked = prompt_text(row.whole)
    if len(row.whole.prompt) == 1:  # nothing but a question needs no role before it
        asked = asked.removeprefix("user: ")
    return Excerpt(id=row.whole.id, prompt=show(asked), answers=answers, note=note)


def cut(text: str) -> str:
    """Return the beginning of ``text``, and how much more there is."""
    more = len(text) - SHOWN_CHARS
    return text if more <= 0 else f"{text[:SHOWN_CHARS].rstrip()} … ({more:,} more characters)"


def _seen(row: AnyRow) -> Seen:
    match row:
        case Preference():
            views = tuple((name, _view(row, answer)) for name, answer in _answers(row).items())
            both = "\n".join(answer_text(view) for _, view in views)
            whole = _view(row, Message(role="assistant", content=(TextPart(kind="text", text=both),)))
        case UnpairedPreference():
            whole = _view(row, row.answer)
            views = (("wanted" if row.wanted else "unwanted", whole),)
        case _:
            whole, views = row, (("answer", row),)
    said = "\x00".join([prompt_text(whole), *(f"{name}: {answer_text(view)}" for name, view in views)])
    return Seen(row, whole, views, blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def _answers(row: Preference) -> dict[str, Message]:
    return {"chosen": row.chosen, "rejected": row.rejected}


def _view(row: Preference | UnpairedPreference, answer: Message) -> Example:
    return Example(
        id=row.id,
        messages=(*row.prompt, answer),
        lineage=row.lineage,
        task=row.task,
        dimension=row.dimension,
        level=row.level,
    )
