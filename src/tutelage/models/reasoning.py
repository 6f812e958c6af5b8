"""Reasoning markers: which ones a chat template uses, and taking the reasoning out of an answer."""

from dataclasses import dataclass

MARKERS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)


@dataclass(frozen=True, slots=True)
class Thoughts:
    """How a model writes its reasoning before an answer; ``opened``: the prompt ends with the opening marker."""

    opening: str
    closing: str
    opened: bool


def names_markers(template: str) -> bool:
    """Whether the text of a chat template names the markers of any reasoning."""
    return any(closing in template for _, closing in MARKERS)


def markers_of(template: str) -> tuple[str, str]:
    """Return the markers that the text of a chat template names; ``<think>``, ``</think>`` when it names none."""
    return next((pair for pair in MARKERS if pair[1] in template), MARKERS[0])


def split_reasoning(text: str, markers: tuple[str, str], *, opened: bool) -> tuple[str, str]:
    """Return (reasoning, answer) of a completion.

    ``opened`` says that the prompt itself already ended with the opening marker, so that the completion starts inside
    the reasoning. Reasoning that was begun and never closed (a completion cut at its token limit) leaves an empty
    answer. Text without reasoning comes back unchanged; markers in the middle of an answer are part of it.
    """
    opening, closing = markers
    body = text.lstrip()
    if body.startswith(opening):
        body = body[len(opening) :]
    elif not opened:
        return "", text
    reasoning, closed, answer = body.partition(closing)
    return reasoning.strip("\n"), answer.lstrip("\n") if closed else ""


def split_unknown(text: str) -> tuple[str, str]:
    """Return (reasoning, answer) of a completion whose chat template is not known, as an endpoint's.

    Any of ``MARKERS`` may open it. A closing marker without its opening one says that the prompt had opened it.
    """
    body = text.lstrip()
    for markers in MARKERS:
        if body.startswith(markers[0]):
            return split_reasoning(text, markers, opened=False)
    closed = [(at, pair) for pair in MARKERS if (at := text.find(pair[1])) >= 0 and pair[0] not in text[:at]]
    return split_reasoning(text, min(closed)[1], opened=True) if closed else ("", text)
