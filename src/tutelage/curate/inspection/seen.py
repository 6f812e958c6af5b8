"""A row of any kind as what is looked at: a prompt, one or two answers, and what is shown of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from tutelage.curate.step import answer_text, by_id, prompt_text
from tutelage.records import Example, Message, Preference, TextPart, UnpairedPreference, with_answer
from tutelage.records.inspection import Excerpt

AnyRow = Example | Preference | UnpairedPreference
SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True)
class Show:
    """What is shown of rows. ``redacted``: what stands in the place of a text; None: its beginning does."""

    redacted: Callable[[str], str] | None = None

    def text(self, text: str) -> str:
        """Return what is shown of a text."""
        return cut(text) if self.redacted is None else self.redacted(text)

    def id(self, id: str) -> str:
        """Return what a row is called; ids of a user's own may be names of people."""
        return id if self.redacted is None else _digest(id.encode(errors="surrogatepass")).hex()[:16]

    def quote(self, said: str) -> str:
        """Return what a step says of a row, or nothing where it may quote the row."""
        return said if self.redacted is None else ""


@dataclass(frozen=True, slots=True)
class Seen:
    """``row`` as it was read, ``whole`` as one conversation, of a pair with both answers in its last turn. ``views``
    are its answers by name, each as a row of its own. ``key`` sorts rows as good as drawn by lot: by what they say,
    and of rows that say the same by how many were before."""

    row: AnyRow
    whole: Example
    views: tuple[tuple[str, Example], ...]
    key: bytes


def see(rows: Sequence[AnyRow]) -> list[Seen]:
    """Return ``rows`` in the order of their keys, which is the same for the same rows in any order."""
    before: Counter[bytes] = Counter()
    found = []
    for row in sorted(map(_seen, rows), key=lambda row: (row.key, *by_id(row.whole))):
        found.append(replace(row, key=_digest(row.key + before[row.key].to_bytes(8))))
        before[row.key] += 1
    return sorted(found, key=lambda row: row.key)


def excerpt(row: Seen, show: Show, note: str = "") -> Excerpt:
    """Return what is shown of a row."""
    answers = {name: show.text(answer_text(view)) for name, view in row.views}
    asked = prompt_text(row.whole)
    if len(row.whole.prompt) == 1:  # nothing but a question needs no role before it
        asked = asked.removeprefix("user: ")
    return Excerpt(id=show.id(row.whole.id), prompt=show.text(asked), answers=answers, note=note)


def cut(text: str) -> str:
    """Return the beginning of ``text``, and how much more there is."""
    more = len(text) - SHOWN_CHARS
    return text if more <= 0 else f"{text[:SHOWN_CHARS].rstrip()} … ({more:,} more characters)"


def _seen(row: AnyRow) -> Seen:
    match row:
        case Preference():
            views = tuple((name, with_answer(row, answer)) for name, answer in _answers(row).items())
            both = "\n".join(answer_text(view) for _, view in views)
            whole = with_answer(row, Message(role="assistant", content=(TextPart(kind="text", text=both),)))
        case UnpairedPreference():
            whole = with_answer(row, row.answer)
            views = (("wanted" if row.wanted else "unwanted", whole),)
        case _:
            whole, views = row, (("answer", row),)
    said = "\x00".join([prompt_text(whole), *(f"{name}: {answer_text(view)}" for name, view in views)])
    return Seen(row, whole, views, _digest(said.encode("utf-8", "surrogatepass")))


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def _answers(row: Preference) -> dict[str, Message]:
    return {"chosen": row.chosen, "rejected": row.rejected}
