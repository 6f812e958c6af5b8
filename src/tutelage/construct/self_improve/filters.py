"""The filters of Self-Instruct (Wang et al. 2023, section 2.2 and the published code), by program.

Deviations: words are counted as in :func:`tutelage.text.rouge.units`, so that languages without spaces are counted too;
that an instruction begins with ASCII is asked of English alone, others are told by their language; of instances without
an input the first is kept, where the published code lets one request have several answers; an instruction keeps its
capitals. The words that a model of text cannot serve are English, and find nothing in other languages.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from tutelage.construct.instructions.form import other_language
from tutelage.records.seed_tasks import Instance
from tutelage.text.languages import NAMES
from tutelage.text.rouge import units

Fault = tuple[str, str]
FEWEST_WORDS, MOST_WORDS = 4, 150
UNSERVED = ("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot")
"""Words of what a model of text cannot see or make; "go to" beside them."""

_UNSERVED = re.compile(rf"\b(?:{'|'.join(UNSERVED)}|go to)\b", re.IGNORECASE)
_PROGRAM = re.compile(r"\s*write a program\b", re.IGNORECASE)
_OPENING = "¿¡"


def faults_of_instruction(text: str, language: str) -> Iterator[Fault]:
    """Yield what is wrong with an instruction: a reason to count by, and details."""
    said = text.strip()
    number = len(units(said))
    if not number:
        yield "the instruction is empty", ""
        return
    if number < FEWEST_WORDS:
        yield "the instruction is too short", f"{number} words, at least {FEWEST_WORDS}"
    if number > MOST_WORDS:
        yield "the instruction is too long", f"{number} words, at most {MOST_WORDS}"
    if match := _UNSERVED.search(said):
        yield "the instruction names what a model of text cannot serve", repr(match[0])
    if match := _PROGRAM.match(said):
        yield "the instruction asks for a program", repr(match[0].strip())
    if unicodedata.category(said[0])[0] in "PS" and said[0] not in _OPENING:
        yield "the instruction starts with punctuation", repr(said[0])
    elif language == "en" and not said[0].isascii():
        yield "the instruction does not start in English", repr(said[0])
    if found := other_language(said, language):
        yield "the instruction is in another language", f"it reads as {found}, and {NAMES[language]} was asked for"


def sift_instances(instances: Sequence[Instance], most: int) -> list[tuple[Instance, str]]:
    """Return each instance of one instruction with why it is dropped; "" where it is kept.

    Dropped are invalid ones, then all of them if one input has several outputs, then repetitions, then those beyond
    ``most``.
    """
    bare = [Instance(input=one.input.strip(), output=one.output.strip()) for one in instances]
    reasons = [_invalid(one) for one in bare]
    outputs: dict[str, set[str]] = {}
    for one, reason in zip(bare, reasons, strict=True):
        if not reason and one.input:
            outputs.setdefault(one.input, set()).add(one.output)
    torn = any(len(different) > 1 for different in outputs.values())
    seen: set[str] = set()
    for place, one in enumerate(bare):
        if reasons[place]:
            continue
        if torn:
            reasons[place] = "an input of the instruction has different outputs"
        elif one.input in seen:
            reasons[place] = (
                "the input was there before" if one.input else "the instruction without input has an output"
            )
        elif len(seen) == most:
            reasons[place] = "there are enough"
        else:
            seen.add(one.input)
    return list(zip(bare, reasons, strict=True))


def _invalid(one: Instance) -> str:
    if one.input == one.output and one.output:
        return "the output is the input"
    if not one.output:
        return "the output is empty"
    if one.input.endswith(":") or one.output.endswith(":"):
        return "it ends with a colon, as what is not finished does"
    return ""
