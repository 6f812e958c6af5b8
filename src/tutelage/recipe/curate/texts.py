"""Steps that look at the text of a row: how it is written, in which language, what it gives away."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tutelage.recipe.base import Section
from tutelage.text.languages import NAMES
from tutelage.text.personal import KINDS, Kind

Share = Annotated[float, Field(ge=0, le=1)]


class NormalizeStep(Section):
    """Write turns in one way: line ends, Unicode form C, no unseen characters, no white space at ends. Fenced code
    stays as it is. Verdicts stay those on the text before."""

    kind: Literal["normalize"]

    mojibake: bool = False
    """Repair text that was read in a wrong encoding ("â€™" for an apostrophe); needs ``tutelage[curate]``."""


class LanguageStep(Section):
    """Drop rows whose prompt or answer is in another language than those to keep."""

    kind: Literal["language"]

    keep: tuple[str, ...]
    """Languages to keep (ISO 639-1), such as ``[en, de]``."""

    min_letters: int = Field(default=30, ge=1)
    """Letters that a text needs to be told; a shorter one is undetermined: kept and counted."""

    min_probability: float = Field(default=0.9, gt=0, le=1)
    """Probability that its language needs; a text below is undetermined."""

    answer_as_prompt: bool = False
    """Also drop rows whose answer is in another language than their prompt; translations go with them."""

    @field_validator("keep")
    @classmethod
    def _are_known(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        if not keep or len(set(keep)) < len(keep):
            raise ValueError("name one or more languages, each once")
        if unknown := [code for code in keep if code not in NAMES]:
            raise ValueError(f"unknown: {', '.join(unknown)}; write codes of ISO 639-1, such as en, de, zh")
        return keep


class PiiStep(Section):
    """Find personal data that has a form: addresses and numbers. Names, postal addresses and dates of birth are not
    found."""

    kind: Literal["pii"]

    action: Literal["mask", "drop", "flag"] = "mask"
    """mask: write [EMAIL], [IBAN], [CARD], [ID], [IP], [PHONE] in its place; drop: leave the row out; flag: keep it and
    list it in the ledger."""

    find: tuple[Kind, ...] = KINDS
    """What to look for: email, iban, card, national_id (US, UK), ip, phone. Phone numbers need ``tutelage[curate]``."""

    regions: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...] = ()
    """Countries (ISO 3166) whose phone numbers are found without a country code; those with one always are."""

    @field_validator("find")
    @classmethod
    def _finds_something(cls, find: tuple[Kind, ...]) -> tuple[Kind, ...]:
        if not find or len(set(find)) < len(find):
            raise ValueError("name one or more kinds, each once")
        return find


class HeuristicsStep(Section):
    """Drop answers that look like debris of the web, by what can be counted. Numbers are Gopher's (Rae et al. 2021,
    table A1) where no other source is named; fenced code and marks of Markdown do not count."""

    kind: Literal["heuristics"]

    from_words: int = Field(default=50, ge=0)
    """Shorter answers are asked for ``min_words`` and placeholders alone; Gopher drops all below 50."""

    min_words: int = Field(default=0, ge=0)
    """Fewest words; a short answer may be a good one."""

    max_words: int = Field(default=100_000, ge=1)
    """Most words."""

    min_mean_word_length: float = Field(default=3.0, ge=0)
    """Shortest mean length of words, in characters."""

    max_mean_word_length: float = Field(default=10.0, gt=0)
    """Longest mean length of words."""

    max_symbol_ratio: float = Field(default=0.1, ge=0)
    """Most # or ellipses a word."""

    max_bullet_lines: Share = 1.0
    """Largest share of lines that begin with a bullet; Gopher: 0.9, but an answer may be a list."""

    max_ellipsis_lines: Share = 0.3
    """Largest share of lines that end with an ellipsis. Shares of lines count from 5 lines on."""

    min_alphabetic: Share = 0.5
    """Smallest share of words with a letter; Gopher: 0.8, which an answer with a sum does not reach."""

    min_stop_words: int = Field(default=0, ge=0, le=8)
    """Fewest of the, be, to, of, and, that, have, with; Gopher: 2, for English alone."""

    max_duplicate_lines: Share = 0.3
    """Largest share of lines that occurred before."""

    max_duplicate_line_chars: Share = 0.2
    """The same of characters; FineWeb (Penedo et al. 2024): 0.01."""

    max_duplicate_paragraphs: Share = 0.3
    """Largest share of paragraphs that occurred before."""

    max_duplicate_paragraph_chars: Share = 0.2
    """The same of characters."""

    max_top_ngrams: tuple[Share, Share, Share] = (0.20, 0.18, 0.16)
    """Largest share of characters in the commonest run of 2, 3 and 4 words."""

    max_duplicate_ngrams: tuple[Share, Share, Share, Share, Share, Share] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    """Largest share of characters in runs of 5, 6, 7, 8, 9 and 10 words that occurred before."""

    min_ended_lines: Share = 0.0
    """Smallest share of lines that end in punctuation; FineWeb: 0.12, but a list has none."""

    max_short_lines: Share = 1.0
    """Largest share of lines of at most 30 characters; FineWeb: 0.67."""

    placeholders: bool = False
    """Keep answers with "lorem ipsum" (C4: Raffel et al. 2020)."""

    @model_validator(mode="after")
    def _leaves_lengths(self) -> Self:
        if self.min_mean_word_length > self.max_mean_word_length:
            raise ValueError("min_mean_word_length is larger than max_mean_word_length: no answer could be kept")
        if self.min_words > self.max_words:
            raise ValueError("min_words is larger than max_words: no answer could be kept")
        return self
