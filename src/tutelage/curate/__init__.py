"""Curation: which rows the model learns from, and why the others are left out.

| file | what |
|---|---|
| ``sieve`` | ``curate``: rows through a list of steps, with a ledger that adds up |
| ``step`` | the ``Step`` protocol; which of two alike rows is preferred |
| ``filters/validate`` | conversations that nothing can be learned from |
| ``filters/quality`` | answers that go round in circles |
| ``duplicates`` | exact and near duplicates |
| ``contamination`` | rows that share words with an evaluation item |
| ``selection`` | rows by their difficulty, and rows that are unlike one another |
| ``mix`` | caps on prompts, cells and replay |
| ``mixture`` | rows of several kinds in wanted shares |
| ``tokens`` | words and n-grams, in every script |
| ``build`` | the steps that a recipe asks for |
"""

from tutelage.curate.build import build_steps
from tutelage.curate.contamination import Contamination
from tutelage.curate.duplicates import ExactDuplicates, NearDuplicates
from tutelage.curate.filters.quality import Quality
from tutelage.curate.filters.validate import Validate
from tutelage.curate.mix import Mix
from tutelage.curate.sieve import Curated, curate
from tutelage.curate.step import Sifted, Step, drop

__all__ = [
    "Contamination",
    "Curated",
    "ExactDuplicates",
    "Mix",
    "NearDuplicates",
    "Quality",
    "Sifted",
    "Step",
    "Validate",
    "build_steps",
    "curate",
    "drop",
]
