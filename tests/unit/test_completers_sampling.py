"""The next token: numbers against softmax, filters against transformers' own."""

import numpy as np
import pytest
import torch
from scipy import stats
from transformers.generation.logits_process import (
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tutelage.completers.sampling import Sampler, uniforms
from tutelage.records import Sampling

CPU = torch.device("cpu")


def draw(logits: torch.Tensor, sampling: Sampling, *, seed: int = 0, seen: tuple[int, ...] = ()) -> np.ndarray:
    rows = len(logits)
    sampler = Sampler([sampling] * rows, CPU)
    return sampler.draw(logits, uniforms(seed, rows), [seen] * rows).numpy()


@pytest.mark.parametrize("vocabulary", [7, 64, 512, 768])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax(vocabulary: int, temperature: float) -> None:
    torch.manual_seed(vocabulary)
    logits = 2 * torch.randn(vocabulary)
    count = 8_000
    tokens = draw(logits.expand(count, -1), Sampling(temperature=temperature))
    expected = (logits / temperature).softmax(-1).double().numpy()
    common = expected * count >= 5
    observed = np.bincount(tokens, minlength=vocabulary)
    table = np.append(observed[common], observed[~common].sum()), np.append(expected[common], expected[~common].sum())
    if table[1][-1] * count < 5:
        table = table[0][:-1], table[1][:-1]
    wanted = table[1] / table[1].sum() * table[0].sum()
    assert stats.chisquare(table[0], wanted).pvalue > 1e-4


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1.0, top_k=5),
        Sampling(temperature=0.7, top_p=0.6),
        Sampling(temperature=1.3, top_k=20, top_p=0.5),
        Sampling(temperature=3.0, top_p=0.97),
    ],
)
def test_filters_keep_what_transformers_keeps(sampling: Sampling) -> None:
    torch.manual_seed(1)
    logits = 2 * torch.randn(1, 512)
    warped = logits / sampling.temperature
    ids = torch.zeros(1, 1, dtype=torch.long)
    if sampling.top_k:
        warped = TopKLogitsWarper(sampling.top_k)(ids, warped)
    if sampling.top_p < 1:
        warped = TopPLogitsWarper(sampling.top_p)(ids, warped)
    allowed = set(torch.nonzero(torch.isfinite(warped[0])).flatten().tolist())
    count = 8_000
    tokens = draw(logits.expand(count, -1), sampling)
    expected = warped[0].softmax(-1).double().numpy()
    assert set(tokens.tolist()) <= allowed
    common = expected * count >= 5
    observed = np.bincount(tokens, minlength=512)[common]
    wanted = expected[common] / expected[common].sum() * observed.sum()
    assert stats.chisquare(observed, wanted).pvalue > 1e-4


def test_a_wide_nucleus_is_found_beyond_the_first_candidates() -> None:
    logits = torch.zeros(8_000, 1024)
    tokens = draw(logits, Sampling(temperature=1.0, top_p=0.9))
    assert len(set(tokens.tolist())) > 850


def test_greedy_is_the_maximum_in_every_vocabulary_size() -> None:
    torch.manual_seed(0)
    for vocabulary in (7, 512, 49_152, 50_257):
        logits = torch.randn(5, vocabulary)
        assert draw(logits, Sampling()).tolist() == logits.argmax(-1).tolist()


def test_repetition_penalty_is_that_of_transformers() -> None:
    torch.manual_seed(2)
    logits = torch.randn(1, 64)
    seen = tuple(logits[0].topk(3).indices.tolist())
    penalized = RepetitionPenaltyLogitsProcessor(1.8)(torch.tensor([seen]), logits.clone())
    token = draw(logits.clone(), Sampling(repetition_penalty=1.8), seen=seen)
    assert token.tolist() == penalized.argmax(-1).tolist()
    assert token.tolist() != logits.argmax(-1).tolist()


def test_rows_of_different_settings_are_drawn_as_if_alone() -> None:
    torch.manual_seed(3)
    settings = [
        Sampling(),
        Sampling(temperature=0.8),
        Sampling(temperature=1.0, top_p=0.8),
        Sampling(temperature=1.0, top_k=3),
        Sampling(temperature=1.2),
    ]
    logits = torch.randn(len(settings), 512)
    numbers = uniforms(9, len(settings))
    together = Sampler(settings, CPU).draw(logits, numbers, [])
    alone = [
        int(Sampler([one], CPU).draw(logits[at : at + 1], numbers[at : at + 1], [])[0])
        for at, one in enumerate(settings)
    ]
    assert together.tolist() == alone


def test_the_ends_of_the_unit_interval_draw_tokens_that_have_mass() -> None:
    logits = torch.full((2, 512), -torch.inf)
    logits[:, 100], logits[:, 300] = 0.0, 1.0
    numbers = np.array([0.0, np.nextafter(1.0, 0.0)])
    for sampling in (Sampling(temperature=1.0), Sampling(temperature=1.0, top_k=2)):
        tokens = Sampler([sampling] * 2, CPU).draw(logits, numbers, []).tolist()
        assert set(tokens) == {100, 300}


def test_streams_depend_on_the_seed_alone() -> None:
    assert uniforms(5, 3).tolist() == uniforms(5, 9)[:3].tolist()
    assert uniforms(5, 3).tolist() != uniforms(6, 3).tolist()
    assert (uniforms(-1, 4) < 1).all()
