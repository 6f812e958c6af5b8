"""What the default model says of rows, against plain computations, and whether its embeddings tell texts apart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tutelage.models.load import load_bundle
from tutelage.models.logprobs import token_logprobs
from tutelage.pipeline.reading import ModelReader
from tutelage.recipe import parse_recipe
from tutelage.recipe.curate.embedding import StartEmbedding
from tutelage.records import Example, Lineage, assistant, user
from tutelage.records.readings import Likelihood

PAIRS = (
    ("How do I bake bread at home?", "What is the way to make bread in my own oven?"),
    ("Name the capital of France.", "Tell me which city is France's capital."),
    ("Write a short poem about the sea.", "Compose a brief poem on the ocean."),
)


@pytest.mark.slow
def test_the_default_model_reads_rows(tmp_path: Path) -> None:
    bundle = load_bundle("default", dtype="float32")
    recipe = parse_recipe("name: r\ntasks: [{kind: safety}]\n")
    reader = ModelReader(recipe, lambda: bundle, folder=tmp_path)
    lineage = Lineage(paradigm="expert", source="s", author="a")
    answers = (("What is the capital of France?", "The capital of France is Paris."), ("Say hello.", "Seven geese."))
    rows = [
        Example(id=question, messages=(user(question), assistant(answer)), lineage=lineage)
        for question, answer in answers
    ]
    found = reader.likelihoods(rows)
    for row, known in zip(rows, found, strict=True):
        assert isinstance(known, Likelihood)
        words = bundle.tokenizer(row.target.text, add_special_tokens=False).input_ids
        lead = bundle.tokenizer("<|im_start|>assistant\n", add_special_tokens=False).input_ids
        for before, loss in ((bundle.template.encode_prompt(row.prompt), known.given), (lead, known.alone)):
            targets = torch.tensor([False] * len(before) + [True] * len(words))
            with torch.no_grad():
                plain = -float(token_logprobs(bundle.model, torch.tensor([*before, *words]), targets).mean())
            assert loss == pytest.approx(plain, abs=1e-3)
    helped, unhelped = (known.ifd for known in found if isinstance(known, Likelihood))
    assert helped < 0.9 < unhelped

    reader.general = reader.general[:40]
    vectors = reader.embed([text for pair in PAIRS for text in pair], StartEmbedding(kind="start"))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors[::2] @ vectors[1::2].T
    assert cosines.diagonal().min() > np.max(cosines[~np.eye(3, dtype=bool)])
