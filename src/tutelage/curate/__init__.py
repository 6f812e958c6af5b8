"""Curation: which rows the model learns from, and why the others are left out.

| file | what |
|---|---|
| ``sieve`` | ``curate``: rows through a list of steps, with a ledger that adds up |
| ``step`` | the ``Step`` protocol; which of two alike rows is preferred |
| ``batchwise`` | steps that see a batch of rows at a time, so that any number of rows fits |
| ``batches``, ``passage`` | what is done to one batch; all batches, and the way through all steps |
| ``workers`` | batches over processes |
| ``entries``, ``piles``, ``shelf`` | rows between two steps: in memory, or sorted and set aside on the disk |
| ``filters/validate`` | conversations that nothing can be learned from |
| ``filters/normalize`` | one way of writing what looks the same |
| ``filters/language`` | the languages of prompts and answers |
| ``filters/pii``, ``filters/phones`` | personal data that has a form |
| ``filters/quality`` | answers that go round in circles |
| ``filters/heuristics`` | answers that look like debris of the web |
| ``duplicates`` | exact and near duplicates |
| ``contamination`` | rows that share words with an evaluation item, or one of a public benchmark |
| ``overlap`` | the index of words that it asks |
| ``selection`` | rows by their difficulty, and rows that are unlike one another |
| ``pairs`` | pairs of answers through the steps that decide about one row by itself |
| ``inspection`` | figures of rows before they are curated |
| ``mix`` | caps on prompts, cells and replay |
| ``mixture`` | rows of several kinds in wanted shares |
| ``losses`` | how many rows may be dropped before that is an error |
| ``tokens`` | words and n-grams, in every script |
| ``build``, ``extras`` | the steps that a recipe asks for, and packages that only some need |
"""

from tutelage.curate.batchwise import Choice, Columns, Gone, Judged, RowWise, Tally, WholeSet
from tutelage.curate.build import build_steps
from tutelage.curate.contamination import Contamination
from tutelage.curate.duplicates import ExactDuplicates, NearDuplicates
from tutelage.curate.filters.heuristics import Heuristics
from tutelage.curate.filters.language import Language
from tutelage.curate.filters.normalize import Normalize
from tutelage.curate.filters.pii import Personal
from tutelage.curate.filters.quality import Quality
from tutelage.curate.filters.validate import Validate
from tutelage.curate.mix import Mix
from tutelage.curate.pairs import CuratedPairs, curate_pairs
from tutelage.curate.sieve import Curated, curate
from tutelage.curate.step import Sifted, Step, change, drop

__all__ = [
    "Choice",
    "Columns",
    "Contamination",
    "Curated",
    "CuratedPairs",
    "ExactDuplicates",
    "Gone",
    "Heuristics",
    "Judged",
    "Language",
    "Mix",
    "NearDuplicates",
    "Normalize",
    "Personal",
    "Quality",
    "RowWise",
    "Sifted",
    "Step",
    "Tally",
    "Validate",
    "WholeSet",
    "build_steps",
    "change",
    "curate",
    "curate_pairs",
    "drop",
]
