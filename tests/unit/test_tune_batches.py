"""Packing, micro-batches and the order of rows, against values worked out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tutelage.models.template import Encoded
from tutelage.tune.training.batches import micro_batches, pack, rows_of_step, steps_an_epoch, target_count, unusable


def encoded(ids: list[int], targets: list[int]) -> Encoded:
    return Encoded(ids=np.array(ids, dtype=np.int32), targets=np.array(targets, dtype=bool))


def test_documents_are_laid_end_to_end() -> None:
    packed = pack([encoded([5, 6, 7], [0, 1, 1]), encoded([8, 9], [1, 1])], torch.device("cpu"))
    assert packed.ids.tolist() == [[5, 6, 7, 8, 9]]
    assert packed.positions.tolist() == [[0, 1, 2, 0, 1]]
    assert packed.lengths == (3, 2)
    assert packed.offsets.tolist() == [0, 3, 5]
    # 6 and 7 are predicted from the places of 5 and 6; 8 has nothing before it in its document; 9 comes from 8.
    assert packed.targets.tolist() == [6, 7, 9]
    assert packed.sources.tolist() == [0, 1, 3]
    assert packed.owners.tolist() == [0, 0, 1]


def test_first_token_is_no_target() -> None:
    assert target_count(encoded([1, 2, 3], [1, 0, 1])) == 1


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (encoded([1, 2, 3, 4], [0, 0, 0, 1]), "4 tokens; max_tokens is 3"),
        (encoded([1, 2, 3], [1, 0, 0]), "no target tokens"),
        (encoded([1, 2, 3], [0, 0, 1]), ""),
    ],
)
def test_what_cannot_be_trained_on_is_named(document: Encoded, reason: str) -> None:
    assert unusable(document, 3) == reason


def test_micro_batches_fill_up_in_order() -> None:
    assert micro_batches([4, 4, 3, 20, 1, 9], 10) == [[0, 1], [2], [3], [4, 5]]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 100))
def test_micro_batches_hold_every_row_once_and_keep_the_limit(sizes: list[int], limit: int) -> None:
    batches = micro_batches(sizes, limit)
    assert [index for batch in batches for index in batch] == list(range(len(sizes)))
    assert all(len(batch) == 1 or sum(sizes[index] for index in batch) <= limit for batch in batches)


@given(st.integers(1, 50), st.integers(1, 12), st.integers(0, 2**31 - 1))
def test_every_epoch_sees_every_row_once(rows: int, batch_size: int, seed: int) -> None:
    steps = steps_an_epoch(rows, batch_size)
    for epoch in range(2):
        seen = [
            row
            for step in range(epoch * steps, (epoch + 1) * steps)
            for row in rows_of_step(step, rows=rows, batch_size=batch_size, seed=seed)
        ]
        assert sorted(seen) == list(range(rows))


def test_epochs_and_seeds_differ_in_order() -> None:
    first = rows_of_step(0, rows=50, batch_size=50, seed=1)
    assert first == rows_of_step(0, rows=50, batch_size=50, seed=1)
    assert first != rows_of_step(1, rows=50, batch_size=50, seed=1)
    assert first != rows_of_step(0, rows=50, batch_size=50, seed=2)
