"""Tutelage: instruction tuning as a closed loop, with evidence.

    import tutelage

    recipe = tutelage.load_recipe("recipe.yaml")
    outcome = tutelage.run(recipe)                            # the whole loop, resumable
    tutelage.construct(recipe, round=1)                       # one round's data
    kept = tutelage.curate("rows.jsonl").kept                 # any file of rows
    tutelage.curate_file("large.jsonl", out=Path("kept"))     # one that is larger than memory
    tutelage.tune(kept, out=Path("tuned"), model="default")   # weights in tuned/weights
    before = tutelage.evaluate("default")
    after = tutelage.evaluate("default", adapter=Path("tuned/weights"))
    print(tutelage.compare(before, after).macro)
    tutelage.open_run("runs/quickstart").best

These names are loaded when they are first used, so that ``import tutelage`` stays light. Four of them are also the
names of subpackages; as attributes of ``tutelage`` they are always the functions, and the parts of a subpackage are
imported from it by name: ``from tutelage.curate import Step``.
"""

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tutelage.pipeline.curating import curate_file
    from tutelage.pipeline.run import run
    from tutelage.pipeline.single import construct
    from tutelage.pipeline.standalone import compare, curate, evaluate, open_run, tune
    from tutelage.recipe import load_recipe

__all__ = ["compare", "construct", "curate", "curate_file", "evaluate", "load_recipe", "open_run", "run", "tune"]

# Before anything imports the hub's library: unless told not to, it asks its server who calls, and tells it.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

_HOMES = {
    "compare": "tutelage.pipeline.standalone",
    "construct": "tutelage.pipeline.single",
    "curate": "tutelage.pipeline.standalone",
    "curate_file": "tutelage.pipeline.curating",
    "evaluate": "tutelage.pipeline.standalone",
    "load_recipe": "tutelage.recipe",
    "open_run": "tutelage.pipeline.standalone",
    "run": "tutelage.pipeline.run",
    "tune": "tutelage.pipeline.standalone",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tutelage' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Importing a subpackage binds it in its parent; where a function has the name, the function stays."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
