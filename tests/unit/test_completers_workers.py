"""Several decoding threads: who gets which rows, that nothing is lost, that faults and early ends reach everybody."""

import threading
from collections.abc import Iterator

import pytest
import torch
from transformers import PreTrainedModel

from tutelage.completers import workers
from tutelage.completers.decoding import Decoder, Row
from tutelage.completers.workers import ROWS_A_WORKER, deal, decode, worker_count
from tutelage.models.tiny import tiny_model
from tutelage.records import Sampling


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return tiny_model(seed=0).model


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2, "the number of threads is given back"
    torch.set_num_threads(before)


def rows_of(count: int, *, prompts: int, max_tokens: int = 6) -> list[Row]:
    """Rows over so many prompts of different lengths, each sampled with a seed of its own."""
    return [
        Row(
            number,
            tuple(5 + (number % prompts + at) % 40 for at in range(3 + number % prompts)),
            Sampling(temperature=1.0, max_tokens=max_tokens),
            seed=number,
        )
        for number in range(count)
    ]


def test_each_worker_gives_what_its_decoder_gives_alone(model: PreTrainedModel) -> None:
    count = 2 * ROWS_A_WORKER + 6
    found = {row.index: row.tokens for row in decode(model, rows_of(count, prompts=9), slots=count, end_ids=(3,))}
    assert sorted(found) == list(range(count)), "every row once"
    torch.set_num_threads(1)
    alone: dict[int, list[int]] = {}
    for part in deal(rows_of(count, prompts=9), 2):
        done = Decoder(model, part, slots=count // 2, end_ids=(3,)).finished()
        alone |= {row.index: row.tokens for row in done}
    torch.set_num_threads(2)
    assert found == alone


def test_rows_of_one_prompt_stay_together_and_the_parts_are_alike() -> None:
    parts = deal(rows_of(60, prompts=7), 3)
    assert sorted(row.index for part in parts for row in part) == list(range(60))
    owners = [{row.prompt for row in part} for part in parts]
    assert all(not one & other for at, one in enumerate(owners) for other in owners[at + 1 :])
    assert max(map(len, parts)) - min(map(len, parts)) <= 9
    assert len(deal(rows_of(8, prompts=1), 2)) == 1, "one prompt cannot be divided"


def test_few_rows_one_thread_or_an_accelerator_have_one_worker(model: PreTrainedModel) -> None:
    assert worker_count(model, rows=2 * ROWS_A_WORKER, threads=2) == 2
    assert worker_count(model, rows=2 * ROWS_A_WORKER - 1, threads=2) == 1
    assert worker_count(model, rows=10_000, threads=1) == 1
    assert worker_count(model.to("meta"), rows=10_000, threads=8) == 1


def test_the_output_layer_is_given_one_matrix_for_all_prompts() -> None:
    """From a slice of all positions torch would copy the layer for each prompt, where its weights need no gradient."""
    model = tiny_model(seed=0).model
    model.requires_grad_(False)
    given: list[bool] = []
    head = model.get_output_embeddings()
    head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].is_contiguous()))
    list(Decoder(model, rows_of(12, prompts=12), slots=12, end_ids=()).finished())
    assert len(given) > 2
    assert all(given)


def test_a_fault_in_a_worker_is_raised_where_answers_are_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(seed=0).model
    steps = threading.Semaphore(5)

    def failing(self: Decoder) -> list[Row]:
        if not steps.acquire(blocking=False):
            raise RuntimeError("no memory left")
        return Decoder.advance(self)

    monkeypatch.setattr(workers, "Decoder", type("Failing", (Decoder,), {"advance": failing}))
    before, threads = model.config._attn_implementation, threading.active_count()
    with pytest.raises(RuntimeError, match="no memory left"):
        list(decode(model, rows_of(80, prompts=9, max_tokens=50), slots=80, end_ids=()))
    assert threading.active_count() == threads
    assert model.config._attn_implementation == before


def test_who_stops_listening_stops_the_workers() -> None:
    model = tiny_model(seed=0).model
    thread_count = threading.active_count()
    short = rows_of(80, prompts=9, max_tokens=400)
    short[0] = Row(0, short[0].prompt, Sampling(max_tokens=1), seed=0)
    done = decode(model, short, slots=80, end_ids=())
    assert next(done).index == 0
    assert threading.active_count() == thread_count + 2
    done.close()
    assert threading.active_count() == thread_count
