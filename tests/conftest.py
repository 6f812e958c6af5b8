"""No test is timed: how long an example takes depends on what else the machine does."""

import gc

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """Let no later search for garbage walk through what was imported and collected: that stays until the end.

    A run searches whenever it closes a model (``release_memory``), some twenty times.
    """
    gc.collect()
    gc.freeze()
