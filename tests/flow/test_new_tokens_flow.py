"""New tokens from the recipe to every place that reads what was tuned: the command line, exports, engines, rounds."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from support.letters import Letters
from support.new_tokens import NEW, base_folder, chats, grown, plain_grown
from tutelage.cli import main
from tutelage.completers.conversion import converted_folder
from tutelage.completers.ct2 import CTranslate2Completer
from tutelage.completers.local import LocalCompleter
from tutelage.models.load import load_bundle, load_reward
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.models.template_file import CHATML
from tutelage.pipeline.asking import reward_of
from tutelage.pipeline.run import run
from tutelage.recipe import load_recipe
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.objectives import DpoObjective, RewardObjective
from tutelage.recipe.tune import AdamWOptimizer, FullMethod, LoraMethod, Method, TuneSection
from tutelage.records import Request, Sampling, assistant, user
from tutelage.runs import RunDirectory
from tutelage.tune import Progress, Started, Step, Summary, train
from tutelage.tune.rows import Asked, Pair

# PEFT asks transformers for an attribute that transformers has since renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
HERE = Path(__file__).parent
ROWS = [{"prompt": f"Name {n} colors.", "completion": "Here they are."} for n in range(4)]
RECIPE = """
name: rows
model: {id: ./base, dtype: float32, template: chatml, new_tokens: ["<|im_start|>", "<|im_end|>"]}
tune: {data: {path: rows.jsonl}, method: {kind: METHOD}, optimizer: {kind: adamw, lr: 2e-2}, batch_size: 2, epochs: 20}
"""
SECTION = TuneSection(
    method=LoraMethod(kind="lora", r=4),
    optimizer=AdamWOptimizer(kind="adamw", lr=1e-2),
    batch_size=4,
    epochs=3,
    checkpoint_every=2,
    micro_batch_tokens=128,
)


class Commands:
    """The command line, called in place."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str) -> tuple[int, str]:
        self.monkeypatch.setattr("sys.argv", ["tutelage", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = self.capsys.readouterr()
        return int(left.value.code or 0), said.out + said.err


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(capsys, monkeypatch)


def written(folder: Path, *, method: str = "lora", tied: bool = True) -> None:
    base_folder(folder / "base", tied=tied)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "rows.yaml").write_text(RECIPE.replace("METHOD", method))


def logits(model: torch.nn.Module, ids: list[int]) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=torch.tensor([ids])).logits[0]
    return found


@pytest.mark.parametrize(("method", "tied"), [("lora", True), ("full", False)])
def test_from_the_recipe_to_answers_and_exports(
    tmp_path: Path, call: Commands, monkeypatch: pytest.MonkeyPatch, method: str, tied: bool
) -> None:
    written(tmp_path, method=method, tied=tied)
    code, said = call("preview", "rows.yaml")
    assert code == 0, said
    assert "<|im_start|>assistant\n⟦Here they are.<|im_end|>⟧" in said
    code, said = call("tune", "rows.yaml", "-o", "out")
    assert code == 0, said

    weights = Path("out/tune/weights")
    plain = ("chat", "./base", "--adapter", str(weights)) if method == "lora" else ("chat", str(weights))
    for command in (plain, ("chat", "rows.yaml", "--adapter", str(weights))):
        monkeypatch.setattr("sys.stdin", io.StringIO("Name 2 colors.\n"))
        code, said = call(*command, "--max-tokens", "30")
        assert code == 0, said
        assert "Here they are." in said
        assert "cut off" not in said, "the new token ends the answer"

    tuned = load_bundle(*plain[1:2], adapter=weights if method == "lora" else None, merge=True, dtype="float32")
    ids = tuned.template.encode((user("Name 3 colors."), assistant("Here."))).ids.tolist()
    assert tuned.tokenizer.convert_tokens_to_ids(NEW[0]) in ids
    code, said = call("export", "out", "whole", "--merged", "--gguf", "--dtype", "float32")
    assert code == 0, said
    again = load_bundle("whole", dtype="float32")
    assert again.template.encode((user("Name 3 colors."), assistant("Here."))).ids.tolist() == ids
    torch.testing.assert_close(logits(again.model, ids), logits(tuned.model, ids), rtol=0, atol=1e-4)
    gguf = load_bundle("whole/gguf/model.gguf", dtype="float32")
    assert gguf.template.encode_prompt((user("a"),)) == tuned.template.encode_prompt((user("a"),))
    if method == "full":
        return
    code, said = call("export", "out", "adapter")
    assert code == 0, said
    made = json.loads(Path("adapter/export.json").read_text())
    assert not any(label == "vLLM" for label, _ in made["lines"])
    lines = dict(made["lines"])["transformers and peft"]
    assert "resize_token_embeddings" in lines
    found: dict[str, object] = {}
    with quiet():
        exec(lines, found)  # what the card tells people to run
    assert "Here they are." in str(found["tokenizer"].decode(found["answer"][0]))  # type: ignore[attr-defined, index]
    code, said = call("doctor", "./base", "--adapter", "adapter")
    assert code == 0, said


def test_a_base_without_the_tokens_is_told_of_them(tmp_path: Path, call: Commands) -> None:
    written(tmp_path)
    code, said = call("preview", "rows.yaml", "--set", "model.new_tokens=[]")
    assert code == 3
    assert "model.new_tokens: ['<|im_start|>', '<|im_end|>']" in " ".join(said.split())
    other = ("--set", "model.template=chatml", "--set", "model.new_tokens=['<|im_start|>', '<|im_end|>']")
    code, said = call("tune", "rows.yaml", "--model", "./base", "--data", "rows.jsonl", "-o", "out")
    assert code == 3, "another model than the recipe's has its own template and tokens"
    code, said = call("tune", "--model", "./base", "--data", "rows.jsonl", "-o", "other", *other)
    assert code == 0, said
    assert json.loads(Path("other/tuned.json").read_text())["model"]["new_tokens"] == list(NEW)


def follow(folder: Path, base: Path) -> Iterator[Progress]:
    bundle = grown(base)
    return train(bundle, chats(bundle, 12), SECTION, folder=folder, seed=3)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{here!r}, {tests!r}]
from test_new_tokens_flow import follow
from tutelage.tune import Step
for news in follow(Path({folder!r}), Path({base!r})):
    if isinstance(news, Step) and news.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    base, folder = base_folder(tmp_path / "base", tied=True), tmp_path / "killed"
    *_, whole = follow(tmp_path / "whole", base)
    script = KILLED.format(here=str(HERE), tests=str(HERE.parent), folder=str(folder), base=str(base))
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    dead = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=300, check=False, env=alone)
    assert dead.returncode == -signal.SIGKILL, dead.stderr.decode()
    *news, summary = follow(folder, base)
    torch.set_num_threads(threads)
    assert [item.resumed_from for item in news if isinstance(item, Started)] == [4]
    assert isinstance(summary, Summary)
    assert isinstance(whole, Summary)
    assert summary.losses == whole.losses
    weights = [path / "weights" / "adapter_model.safetensors" for path in (folder, tmp_path / "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize("method", [LoraMethod(kind="lora", r=4), FullMethod(kind="full")])
def test_preferences_begin_at_the_larger_model(tmp_path: Path, method: Method) -> None:
    bundle = grown(base_folder(tmp_path / "base", tied=True))
    documents = chats(bundle, 8)
    pairs = [Pair(one, other) for one, other in zip(documents, documents[::-1], strict=True)]
    section = SECTION.model_copy(update={"objective": DpoObjective(kind="dpo"), "method": method})
    *_, summary = train(bundle, pairs, section, folder=tmp_path / "out", seed=0)
    assert isinstance(summary, Summary)
    assert summary.losses[0] == pytest.approx(np.log(2), rel=1e-5), "the policy is the reference yet"
    assert summary.losses[-1] != summary.losses[0]


def test_its_own_answers_end_with_the_new_token(tmp_path: Path) -> None:
    bundle, task = grown(base_folder(tmp_path / "base", tied=False)), Letters()
    rows = []
    for item in task.items("train", "basic", 4, 0):
        ids = np.asarray(bundle.template.encode_prompt(item.messages), dtype=np.int32)
        rows.append(Asked(Encoded(ids, np.zeros(len(ids), dtype=np.bool_)), item))
    objective = GrpoObjective(kind="grpo", group=4, max_tokens=12, truncated="score")
    section = SECTION.model_copy(update={"objective": objective, "batch_size": 2, "max_steps": 3})
    *news, summary = train(bundle, rows, section, folder=tmp_path / "out", seed=3, reward=reward_of({task.name: task}))
    assert isinstance(summary, Summary)
    gaps = [value for step in news if isinstance(step, Step) for name, value in step.told.items() if name == "gap_max"]
    assert gaps
    assert max(gaps) < 1e-3, "the sampler sees the trained rows"


def test_a_reward_model_of_a_larger_model_comes_back(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", tied=True)
    bundle = grown(base)
    documents = chats(bundle, 8)
    pairs = [Pair(one, other) for one, other in zip(documents, documents[::-1], strict=True)]
    section = SECTION.model_copy(update={"objective": RewardObjective(kind="reward")})
    *_, summary = train(bundle, pairs, section, folder=tmp_path / "out", seed=0)
    assert isinstance(summary, Summary)
    weights = tmp_path / "out" / "weights"
    with quiet(), torch.random.fork_rng(devices=[]):
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
        model.resize_token_embeddings(len(AutoTokenizer.from_pretrained(weights)), mean_resizing=False)
        again = PeftModel.from_pretrained(model, str(weights)).eval()
    ours = load_reward(weights, str(base), dtype="float32")
    for document in documents[:3]:
        ids = torch.as_tensor(document.ids, dtype=torch.int64)[None]
        with torch.no_grad():
            torch.testing.assert_close(ours.model(input_ids=ids).logits, again(input_ids=ids).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_the_fast_engine_takes_the_larger_vocabulary(tmp_path: Path, tied: bool) -> None:
    runtime = pytest.importorskip("ctranslate2")
    base = base_folder(tmp_path / "base", tied=tied)
    bundle = grown(base)
    row = bundle.template.encode((user("Say it"), assistant("It is said.")))
    long = SECTION.model_copy(update={"epochs": 60})
    *_, summary = train(bundle, [row] * 4, long, folder=tmp_path / "out", seed=0)
    assert isinstance(summary, Summary)
    tuned = load_bundle(str(base), adapter=tmp_path / "out" / "weights", merge=True, dtype="float32")
    folder = converted_folder(tuned, cache=tmp_path / "cache")
    ids = row.ids.tolist()
    engine = runtime.Generator(str(folder), device="cpu", compute_type="float32")  # int8 rounds what this model says
    found = torch.tensor(engine.score_batch([tuned.tokenizer.convert_ids_to_tokens(ids)])[0].log_probs)
    exact = logits(tuned.model, ids).log_softmax(-1)[:-1].gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
    assert sum(one in tuned.new_tokens for one in ids[1:]) == 3
    torch.testing.assert_close(found, exact, rtol=0, atol=0.1)
    if tied:  # after so few steps its answer hangs on int8
        return
    asked = [Request(id="1", messages=(user("Say it"),), sampling=Sampling(temperature=0, max_tokens=20), seed=0)]
    with CTranslate2Completer(folder, bundle=tuned, workers=1) as fast, LocalCompleter(tuned, batch_size=1) as slow:
        (theirs,), (ours,) = list(fast.complete(asked)), list(slow.complete(asked))
    assert ours.text == theirs.text == "It is said."
    assert ours.finish == theirs.finish == "stop"


def test_rounds_of_a_run_keep_them(tmp_path: Path) -> None:
    base_folder(tmp_path / "base", tied=True)
    (tmp_path / "words.yaml").write_text(
        "name: words\nseed: 3\nrounds: 2\n"
        'model: {id: BASE, template: chatml, new_tokens: ["<|im_start|>", "<|im_end|>"]}\n'
        "engines: {chunk: 8, reference_batch: 4, threads: 1}\n"
        f'tasks: [{{kind: custom, path: "{HERE / "words_task.py"}:Words"}}]\n'
        "construct: {prompts: 4, max_tokens: 20, expert: {per_cell: 3}, distill: null, self_improve: null}\n"
        "tune: {batch_size: 2, epochs: 1}\n"
        "reflect: {gate: {resamples: 1000}}\n"
        "evaluate: {probe: 3, gate: 3, test: 2, max_tokens: 8, general_prompts: 2}\n".replace(
            "BASE", str(tmp_path / "base")
        )
    )
    run(load_recipe(tmp_path / "words.yaml"), tmp_path / "out")
    opened = RunDirectory.open(tmp_path / "out")
    assert opened.finished
    for number in (1, 2):
        weights = tmp_path / "out" / "rounds" / str(number) / "tune" / "weights"
        tuned = load_bundle(str(tmp_path / "base"), adapter=weights, template=CHATML, new_tokens=NEW, merge=True)
        assert tuned.template.end_token == NEW[1]
    assert opened.model is not None
    assert "tokens <|im_start|> <|im_end|>" in opened.model.model


def test_plain_transformers_knows_nothing_of_it_and_reads_a_merged_export(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", tied=True, padding=9)
    bundle = grown(base)
    assert bundle.model.config.vocab_size == plain_grown(base)[0].config.vocab_size == len(bundle.tokenizer) + 7
    rows = chats(bundle, 4)
    train_all = train(bundle, rows, SECTION, folder=tmp_path / "out", seed=0)
    *_, summary = train_all
    assert isinstance(summary, Summary)
    with quiet(), torch.random.fork_rng(devices=[]):
        plain = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(tmp_path / "out" / "weights")
        ).eval()
    tuned = load_bundle(str(base), adapter=tmp_path / "out" / "weights", merge=True, dtype="float32")
    ids = rows[0].ids.tolist()
    torch.testing.assert_close(logits(plain, ids), logits(tuned.model, ids), rtol=0, atol=1e-4)
