"""Topics and personas: from the recipe, from a file of one a line, or from the package."""

from pathlib import Path

from tutelage.construct.documents.decoding import decode
from tutelage.construct.documents.faults import Unreadable
from tutelage.errors import DataError, Problem
from tutelage.recipe.sources.instructions import InstructionsSource

_TOPICS = (
    "cooking|gardening|household repairs|personal money|buying and selling|travel|public transport|cars and bicycles|"
    "health and doctors|nutrition|sport and training|sleep and rest|children and school|studying|languages|"
    "work and colleagues|applying for a job|meetings and e-mail|small businesses|customer service|law in daily life|"
    "insurance|renting and neighbors|the city council|news and media|history|geography|biology|physics and chemistry|"
    "mathematics|statistics|computers|programming|telephones and the internet|music|films and books|"
    "painting and crafts|animals and pets|weather and nature|festivals and families"
)
TOPICS = tuple(_TOPICS.split("|"))


def topics_of(section: InstructionsSource, base: Path) -> tuple[str, ...]:
    """Return what requests are about; ``base`` is what a file is relative to. Raises :class:`DataError`."""
    if section.topics is None:
        return TOPICS
    return section.topics if isinstance(section.topics, tuple) else _lines(base, section.topics, "topics")


def personas_of(section: InstructionsSource, base: Path) -> tuple[str, ...]:
    """Return who asks, without those that the teacher is to write; empty: nobody in particular.

    Raises :class:`DataError`.
    """
    if isinstance(section.personas, str):
        return _lines(base, section.personas, "personas")
    return section.personas if isinstance(section.personas, tuple) else ()


def _lines(base: Path, name: str, key: str) -> tuple[str, ...]:
    """The lines of a text file that are not empty, each once."""
    try:
        text, _ = decode((base / name).read_bytes())
    except OSError as error:
        problem = Problem("the file cannot be read", name, str(error.strerror), "give a text file with one a line")
        raise DataError(key, [problem]) from error
    except Unreadable as fault:
        raise DataError(key, [fault.at(name)]) from fault
    found = tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not found:
        raise DataError(key, [Problem("the file has no line", name, remedy="write one a line")])
    return found
