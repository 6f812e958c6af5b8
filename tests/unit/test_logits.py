"""Readings of a model, row by row, and their distance."""

import math

import numpy as np
import pytest
import torch

from tutelage.models.logits import distance, logits_of
from tutelage.models.tiny import tiny_model
from tutelage.models.virtual import read_tokens


def test_a_distance_is_counted_in_standard_deviations() -> None:
    expected = torch.tensor([[1.0, 2.0], [3.0, 6.0]])  # mean 3, variance (4 + 1 + 0 + 9) / 3
    found = expected + torch.tensor([[0.0, 1.0], [0.0, -3.0]])
    sd = math.sqrt(14 / 3)
    assert distance(found, expected) == pytest.approx((1 / sd, 3 / sd))
    assert distance(expected, expected) == (0.0, 0.0)
    assert distance(found.bfloat16(), expected.bfloat16()) == pytest.approx((1 / sd, 3 / sd)), "in float32"


@pytest.mark.parametrize("found", [[1.0, math.nan], [1.0, math.inf], [1.0, 2.0, 3.0]])
def test_there_is_none_to_what_is_no_number_or_of_another_shape(found: list[float]) -> None:
    assert all(map(math.isnan, distance(torch.tensor(found), torch.tensor([1.0, 2.0]))))


def test_rows_are_read_one_by_one_behind_virtual_tokens() -> None:
    model, start, rows = tiny_model().model, torch.tensor([3, 5]), ([7, 11, 13], np.array([2, 4]))
    virtual = read_tokens(model, start)
    for row, alone, behind in zip(rows, logits_of(model, rows), logits_of(model, rows, virtual), strict=True):
        ids = torch.as_tensor(row)
        with torch.no_grad():
            expected = model(input_ids=ids[None]).logits[0]
            whole = model(input_ids=torch.cat([start, ids])[None]).logits[0]
        torch.testing.assert_close(alone, expected)
        torch.testing.assert_close(behind, whole[2:], rtol=1e-4, atol=1e-5)
