"""The families of constraints, in the order in which an item draws their parameters.

| family | file | demand | only in test |
|---|---|---|---|
| ``choice`` | ``openings`` | one of the given answers, alone or on the first line | |
| ``repeat`` | ``openings`` | the request first, word for word | |
| ``title`` | ``edges`` | a title in <<double angle brackets>> | |
| ``start`` | ``edges`` | first words | |
| ``end`` | ``edges`` | last words | |
| ``postscript`` | ``edges`` | a line that begins with P.S. | yes |
| ``json`` | ``shapes`` | only a JSON object with given keys | |
| ``sections`` | ``shapes`` | given headers | |
| ``paragraphs`` | ``shapes`` | a number of paragraphs with a separator | yes |
| ``quotation`` | ``shapes`` | the whole answer in double quotation marks | |
| ``bullets`` | ``lists`` | a number of bullets | |
| ``numbered`` | ``lists`` | a numbered list of given length | yes |
| ``sentences`` | ``lengths`` | a number of sentences | |
| ``language`` | ``language`` | Spanish, French, German, Italian, Portuguese | |
| ``letter_case`` | ``characters`` | all lower or all upper case | |
| ``no_commas`` | ``characters`` | no comma | |
| ``letters`` | ``characters`` | a letter at least so many times | yes |
| ``highlights`` | ``marks`` | parts between asterisks | yes |
| ``placeholders`` | ``marks`` | placeholders in square brackets | yes |
| ``keywords_in`` | ``keywords`` | given words occur | |
| ``keywords_out`` | ``keywords`` | given words do not occur | |
| ``words`` | ``lengths`` | a number of words | |

What depends on the rest comes last: forbidden words must not be demanded elsewhere, and a limit on words must leave
room for everything else.
"""

from tutelage.tasks.constraints.constraint import Constraint
from tutelage.tasks.constraints.families.characters import LetterCase, Letters, NoCommas
from tutelage.tasks.constraints.families.edges import End, Postscript, Start, Title
from tutelage.tasks.constraints.families.keywords import KeywordsIn, KeywordsOut
from tutelage.tasks.constraints.families.language import Language
from tutelage.tasks.constraints.families.lengths import Sentences, Words
from tutelage.tasks.constraints.families.lists import Bullets, Numbered
from tutelage.tasks.constraints.families.marks import Highlights, Placeholders
from tutelage.tasks.constraints.families.openings import Choice, Repeat
from tutelage.tasks.constraints.families.shapes import JsonShape, Paragraphs, Quotation, Sections

FAMILIES: dict[str, type[Constraint]] = {
    "choice": Choice,
    "repeat": Repeat,
    "title": Title,
    "start": Start,
    "end": End,
    "postscript": Postscript,
    "json": JsonShape,
    "sections": Sections,
    "paragraphs": Paragraphs,
    "quotation": Quotation,
    "bullets": Bullets,
    "numbered": Numbered,
    "sentences": Sentences,
    "language": Language,
    "letter_case": LetterCase,
    "no_commas": NoCommas,
    "letters": Letters,
    "highlights": Highlights,
    "placeholders": Placeholders,
    "keywords_in": KeywordsIn,
    "keywords_out": KeywordsOut,
    "words": Words,
}


def compatible(one: str, other: str) -> bool:
    """Whether the two families can be asked together: no common slot, and neither excludes the other."""
    left, right = FAMILIES[one], FAMILIES[other]
    if one == other or (left.slot and left.slot == right.slot):
        return False
    return other not in left.excludes and one not in right.excludes
