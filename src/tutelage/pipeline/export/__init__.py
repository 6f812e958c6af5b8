"""A tuned model as a folder for other programs, written whole or not at all, and proved before it gets its name.

| file | what |
|---|---|
| ``writing`` | ``export``: write, read again, compare, describe |
| ``source`` | which weights of a run or a tuning are meant, and what they are put on |
| ``parity`` | what a model computes on fixed rows and prompts, and how far two are apart |
| ``records`` | ``export.json`` |
| ``serving`` | the lines that load or serve a folder |
| ``push`` | a folder to a hub |
"""

from tutelage.pipeline.export.records import Exported
from tutelage.pipeline.export.writing import Wanted, export

__all__ = ["Exported", "Wanted", "export"]
