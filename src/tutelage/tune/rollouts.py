"""What the model answered while it was tuned: ``rollouts.jsonl``, one answer a line, for people and for resuming.

Answers are on the disk before anything is learned from them. A run that was killed takes them from there, so that it
learns from the same answers again and asks for nothing twice.
"""

from collections.abc import Sequence
from pathlib import Path

from tutelage.records import Record
from tutelage.records.jsonl import RecordLog, write_records

FILE = "rollouts.jsonl"


class Sampled(Record):
    """One answer. ``run`` is the fingerprint of the tuning; rollouts are counted from 0, as are their waves: the
    prompts of the step, then those that were asked in place of groups of which nothing could be learned. ``of``:
    answers of its wave.

    ``prompt`` is the item's id, or the key of the row (``reference.key_of``) that the answer stands for. ``reward`` is
    the check's score (None: unscored) and ``reason`` its words. ``tokens`` hold
    the end token, if the answer ``ended``. Of each token: ``sampler`` is log p as the decoder had it and ``trainer`` as
    the network that learns has it, in nats, at temperature 1; ``old`` the latter at the temperature of sampling, where
    that is another. ``entropy`` is the mean over its tokens, at the temperature of sampling. Numbers are those of
    float32, written as short as they can be.
    """

    run: str
    rollout: int
    wave: int = 0
    of: int
    prompt: str
    seed: int
    answer: str
    reasoning: str = ""
    ended: bool
    reward: float | None
    reason: str = ""
    entropy: float
    tokens: tuple[int, ...]
    sampler: tuple[float, ...]
    trainer: tuple[float, ...]
    old: tuple[float, ...] = ()


class RolloutLog:
    """The answers of one tuning by rollout and wave. Of other tunings and of a wave that a kill cut off, nothing stays.

    Raises
    ------
    DataError: a line is no answer. StorageError: the file cannot be read or written.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.run = fingerprint
        self._log = RecordLog(folder / FILE, Sampled)
        self._waves: dict[tuple[int, int], list[Sampled]] = {}
        found = self._log.load()
        for one in found:
            if one.run == fingerprint:
                self._waves.setdefault((one.rollout, one.wave), []).append(one)
        self._waves = {place: wave for place, wave in self._waves.items() if len(wave) == wave[0].of}
        whole = [one for wave in self._waves.values() for one in wave]
        if len(whole) < len(found):
            write_records(folder / FILE, whole)

    def wave(self, rollout: int, wave: int) -> list[Sampled]:
        """Return the answers of a wave; none if it was not sampled yet."""
        return self._waves.get((rollout, wave), [])

    def add(self, answers: Sequence[Sampled]) -> None:
        """Keep the answers of a wave, durably. Raises :class:`StorageError`."""
        self._log.append(*answers)
