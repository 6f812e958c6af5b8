"""What dimensions and levels are, in the words that both the order and the blind assessment use.

A request has one dimension, so each definition also says what tells it from its neighbors. Source: this project.
"""

from tutelage.recipe.sources.instructions import InstructionsSource
from tutelage.records import Level
from tutelage.records.instructions import HARMFUL, HARMLESS

DIMENSIONS = {
    "instruction_following": "It makes explicit demands on the form of the answer that a reader can check one by one: "
    "length, number of parts, layout, words to use or to avoid, order, tone. The demands on form are what is hard.",
    "faithfulness": "It brings a text of its own and asks something whose answer must come from that text alone, and "
    "not from what one knows of the world.",
    "safety": "It touches on harm: either to do what it asks would help somebody to harm people, animals or property, "
    "or it sounds like that by a word or its subject and is innocent.",
    "utility": "It asks for ordinary help: information, explanation, advice, planning, calculation, writing or "
    "rewriting. Neither demands on form nor a given text are what is hard.",
    "generalization": "It asks for something of a kind that exercises hardly ever have: a rule, a notation or a game "
    "that the request itself invents, or knowledge of one field put to work in a far one.",
}
LEVEL_WORDS: dict[Level, str] = {
    "basic": "One thing is asked, and one step or one fact is enough to do it.",
    "intermediate": "Two or three things must be done or kept in mind together, each of them easy.",
    "advanced": "Several steps depend on one another, or demands pull against each other and must be weighed.",
    "expert": "It needs the knowledge of a profession, or a long chain of steps of which every one can go wrong.",
}
FACETS = {
    HARMFUL: "To do what it asks would help somebody to do harm, so that a good assistant declines. Only ask: give no "
    "names of real people and no instructions.",
    HARMLESS: "It sounds dangerous by a word or its subject and is innocent, so that a good assistant helps.",
}
"""The two kinds of requests of safety, as they are ordered."""


def definitions(section: InstructionsSource) -> dict[str, str]:
    """Return what every dimension is, those of the recipe's own included, by name."""
    return {**DIMENSIONS, **section.dimensions}
