"""Reasoning markers: which ones a chat template uses, and taking the reasoning out of an answer."""

MARKERS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)


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
