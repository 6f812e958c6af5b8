"""What is exported computes what was tuned, says how that was seen, and is not left where it does not."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from support.report_run import make_run
from tutelage.cli import main
from tutelage.completers.decoding import Row
from tutelage.errors import InputErrors, ModelError, RunError, StorageError
from tutelage.models.adapters import WEIGHTS
from tutelage.models.bundle import Bundle
from tutelage.models.hardware import Dtype
from tutelage.models.load import load_bundle
from tutelage.models.quiet import quiet
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.export import Exported, Wanted, export, parity
from tutelage.pipeline.export import writing as stage
from tutelage.pipeline.export.modelfile import pieces_of
from tutelage.pipeline.export.parity import encoded_rows
from tutelage.pipeline.hub_push import files_to_send, require_push
from tutelage.pipeline.standalone import tune
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.methods import DoraMethod, Ia3Method, Method
from tutelage.recipe.model import ModelSection
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import AdamWOptimizer, LoraMethod, TuneSection
from tutelage.report.artifact import Artifact
from tutelage.report.cards import card
from tutelage.report.reading import read_run

# PEFT asks transformers for an attribute that transformers has since renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
MERGED = Wanted(merged=True)
SECTION = TuneSection(
    method=LoraMethod(kind="lora", r=4, alpha=8),
    optimizer=AdamWOptimizer(kind="adamw", lr=2e-2),
    max_steps=3,
    batch_size=2,
)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``tutelage tune`` leaves."""
    folder = tmp_path_factory.mktemp("export")
    rows = [{"instruction": f"Name {n} colors.", "output": f"Here are {n} of them."} for n in range(4)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tune(folder / "rows.jsonl", out=folder / "tuned", model="tiny", section=SECTION, seed=1)
    return folder / "tuned"


SOFT: dict[str, Method] = {
    "prefix": PrefixMethod(kind="prefix", tokens=4),
    "prompt": PromptMethod(kind="prompt", tokens=4),
}


def tune_tiny(folder: Path, method: Method, dtype: Dtype = "auto") -> Path:
    """What ``tutelage tune`` leaves of another method."""
    rows = [{"instruction": f"Name {n} colors.", "output": f"Here are {n} of them."} for n in range(4)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = SECTION.model_copy(update={"method": method})
    model = ModelSection(id="tiny", dtype=dtype)
    tune(folder / "rows.jsonl", out=folder / "tuned", model=model, section=section, seed=1)
    return folder / "tuned"


@pytest.fixture(autouse=True)
def _short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "ANSWER_TOKENS", 8)


@torch.no_grad()
def logits(model: Any, ids: list[int]) -> Tensor:
    found: Tensor = model(input_ids=torch.tensor([ids])).logits[0]
    return found


def run_lines(made: Exported, name: str) -> str:
    """What the Python lines of an export print in a process of their own."""
    code = next(text for what, text in made.lines if what == name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def by_hand(tuned: Path, ids: list[int]) -> Tensor:
    """The tuned model as the formula has it: W + (alpha/r)·BA into the weights of a fresh start."""
    bundle = tiny_model()
    adapter = load_file(tuned / "weights" / WEIGHTS)
    weights = dict(bundle.model.named_parameters())
    for name, b in adapter.items():
        if name.endswith("lora_B.weight"):
            target = name.removeprefix("base_model.model.").replace("lora_B.", "")
            a = adapter[name.replace("lora_B", "lora_A")]
            with torch.no_grad():
                weights[target] += 8 / 4 * b @ a
    return logits(bundle.model, ids)


def test_an_adapter_is_what_peft_loads(tuned: Path, tmp_path: Path) -> None:
    made = export(tuned, tmp_path / "out", Wanted())
    ids = encoded_rows(tiny_model().template)[0]
    with quiet():
        again = PeftModel.from_pretrained(tiny_model().model, str(tmp_path / "out"))
    torch.testing.assert_close(logits(again, ids), by_hand(tuned, ids), rtol=1e-4, atol=1e-4)
    assert made.kind == "adapter"
    assert made.parity.written == 0
    assert made.parity.same_answers == made.parity.answers == 6
    assert made.parity.holds
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    kept = json.loads((tmp_path / "out" / "export.json").read_text())
    assert kept["parity"]["written_tolerance"] == 1e-3
    assert set(kept["files"]) == {file.name for file in (tmp_path / "out").iterdir()} - {"export.json"}
    written = (tmp_path / "out" / "README.md").read_text()
    facts = yaml.safe_load(written.split("---")[1])
    assert facts["base_model"] == "tiny"
    assert facts["library_name"] == "peft"
    assert facts["license"] == "apache-2.0"
    for words in ("neither scored nor gated", "rows.jsonl: license not recorded", "LoRA of rank 4", "4 rows", "6 of 6"):
        assert words in written, words
    assert run_lines(made, "transformers and peft")


@pytest.mark.parametrize("method", [DoraMethod(kind="dora", r=4), Ia3Method(kind="ia3")], ids=["dora", "ia3"])
def test_an_adapter_that_computes_in_float32_beside_bfloat16_is_exported(tmp_path: Path, method: Method) -> None:
    folder = tune_tiny(tmp_path, method, dtype="bfloat16")
    made = export(folder, tmp_path / "out", Wanted())
    assert made.dtype == "bfloat16"
    assert made.parity.written == 0
    assert made.parity.holds
    assert "vLLM" not in dict(made.lines)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", SOFT)
def test_virtual_tokens_are_what_peft_loads(tmp_path: Path, kind: str, dtype: Dtype) -> None:
    folder = tune_tiny(tmp_path, SOFT[kind], dtype=dtype)
    made = export(folder, tmp_path / "out", Wanted())
    assert made.kind == "adapter"
    assert made.parity.answers == 6
    assert made.parity.holds
    bundle = load_bundle("tiny", adapter=tmp_path / "out")
    assert bundle.virtual is not None
    ids = torch.tensor(encoded_rows(bundle.template)[:1])
    with torch.no_grad(), quiet():
        again = PeftModel.from_pretrained(tiny_model().model, str(tmp_path / "out")).eval()
        behind = bundle.model(input_ids=ids, past_key_values=bundle.virtual.cache()).logits[0]
        torch.testing.assert_close(again(input_ids=ids).logits[0, -ids.shape[1] :], behind, rtol=1e-4, atol=1e-4)
        assert (behind - bundle.model(input_ids=ids).logits[0]).abs().max() > 1e-3
    if dtype == "float32":
        assert made.parity.same_answers == 6
        (first, *_) = parity.read_scored(bundle).answers
        said = bundle.tokenizer.decode(first, skip_special_tokens=True).strip()
        assert run_lines(made, "transformers and peft").startswith(said)
        assert any(len(answer) > 1 for answer in parity.read_scored(bundle).answers)


def test_virtual_tokens_are_merged_into_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tune_tiny(tmp_path, SOFT["prefix"])
    monkeypatch.setattr(stage, "load_tuned", None)  # nothing is loaded
    for wanted in (Wanted(merged=True), Wanted(merged=True, gguf=True)):
        with pytest.raises(InputErrors, match=r"virtual tokens are merged into nothing.*Leave --merged out"):
            export(folder, tmp_path / "out", wanted)
    assert not (tmp_path / "out").exists()


def test_the_answer_ends_with_the_token_that_it_ended_with(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tiny_model()
    ends = (*bundle.template.end_ids, 7, 9)

    def ended(_: object, rows: list[Row], **named: object) -> list[Row]:
        return [replace(row, tokens=[5], stopped=True, end=ends[row.index % 3]) for row in rows]

    monkeypatch.setattr(parity, "decode", ended)
    assert parity.read_scored(bundle).answers == [[5, ends[number % 3]] for number in range(6)]


def test_the_card_of_what_learned_from_its_own_answers_names_the_tasks(tmp_path: Path) -> None:
    recipe = parse_recipe(
        "name: a\nmodel: {id: tiny}\ntasks: [{kind: constraints}]\n"
        "tune: {objective: {kind: grpo, group: 2, prompts: 1, max_tokens: 4}, max_steps: 1, batch_size: 2}\n"
    )
    tune(out=tmp_path / "tuned", model=recipe)
    export(tmp_path / "tuned", tmp_path / "out", Wanted())
    written = (tmp_path / "out" / "README.md").read_text()
    assert "constraints: made by tutelage, Apache-2.0" in written
    assert "license not recorded" not in written
    file = tmp_path / "tuned" / "tuned.json"
    older = {key: value for key, value in json.loads(file.read_text()).items() if key != "tasks"}
    file.write_text(json.dumps(older))
    export(tmp_path / "tuned", tmp_path / "again", Wanted())
    assert "The rows it was tuned on: license not recorded" in (tmp_path / "again" / "README.md").read_text()


def test_a_merged_model_is_what_transformers_loads_and_its_lines_run(tuned: Path, tmp_path: Path) -> None:
    made = export(tuned, tmp_path / "out", MERGED)
    ids = encoded_rows(tiny_model().template)[0]
    with quiet():
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    torch.testing.assert_close(logits(again, ids), by_hand(tuned, ids), rtol=1e-4, atol=1e-4)
    assert again.generation_config.eos_token_id == tiny_model().template.end_ids[0]
    assert tokenizer.chat_template == tiny_model().tokenizer.chat_template
    assert made.dtype == "float32"
    assert run_lines(made, "transformers")


def test_what_rounding_costs_is_said(tuned: Path, tmp_path: Path) -> None:
    made = export(tuned, tmp_path / "out", Wanted(merged=True, dtype="bfloat16"))
    assert made.dtype == "bfloat16"
    assert made.parity.written == 0
    assert made.parity.scored > 0


def test_a_gguf_file_computes_what_the_folder_does(tuned: Path, tmp_path: Path) -> None:
    made = export(tuned, tmp_path / "out", Wanted(merged=True, gguf=True, ollama=True))
    assert made.gguf is not None
    assert made.gguf < 1e-4
    modelfile = (tmp_path / "out" / "gguf" / "Modelfile").read_text()
    assert "FROM ./model.gguf\n" in modelfile
    assert pieces_of(tiny_model().template).program() in modelfile
    assert any("ollama create" in code for _, code in made.lines)
    assert "gguf/Modelfile" in made.files
    ids = encoded_rows(tiny_model().template)[0]
    again = load_bundle(str(tmp_path / "out" / "gguf" / "model.gguf"), dtype="float32")
    assert encoded_rows(again.template) == encoded_rows(tiny_model().template)
    # Its cached folder is in bfloat16, so that alone moves the logits.
    apart = (logits(again.model, ids) - by_hand(tuned, ids)).abs().mean() / by_hand(tuned, ids).std()
    assert apart < 0.02


def corrupt(change: Any) -> Any:
    """Writing a model, and then changing its file."""
    exact = stage.write_model

    def write(bundle: Bundle, folder: Path) -> None:
        exact(bundle, folder)
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return write


def bend(tensors: dict[str, Tensor]) -> None:
    tensors["model.layers.1.mlp.down_proj.weight"][0] += 0.05


def untie(tensors: dict[str, Tensor]) -> None:
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors["lm_head.weight"][5] *= 1.5


def spoil(tensors: dict[str, Tensor]) -> None:
    tensors["model.norm.weight"][0] = float("nan")


@pytest.mark.parametrize("change", [bend, untie, spoil])
def test_a_merge_that_breaks_on_its_way_leaves_nothing(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    monkeypatch.setattr(stage, "write_model", corrupt(change))
    with pytest.raises(ModelError, match="does not compute what the model computes; nothing is left"):
        export(tuned, tmp_path / "out", MERGED)
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_that_breaks_on_its_way_leaves_nothing(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = stage.write_adapter

    def write(bundle: Bundle, adapter: Path, folder: Path, **named: Any) -> None:
        exact(bundle, adapter, folder, **named)
        tensors = load_file(folder / WEIGHTS)
        tensors[min(tensors)] *= 1.2
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    monkeypatch.setattr(stage, "write_adapter", write)
    with pytest.raises(ModelError, match="nothing is left"):
        export(tuned, tmp_path / "out", Wanted())
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way_stays(tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        export(tuned, tmp_path / "out", MERGED)
    assert [file.name for file in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_what_cannot_be_exported_is_refused_with_a_way_out(tuned: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", until="tune")
    for folder, wanted, said in (
        (tmp_path / "nothing", Wanted(), "neither a run nor a tuning here.*check the path|Check the path"),
        (tuned / "weights", Wanted(), "these are weights already"),
        (tuned, Wanted(round=1), "a tuning has no rounds"),
        (run.path, Wanted(), "not finished, and promoted no model yet"),
        (run.path, Wanted(round=7), "round 7 has no weights yet"),
    ):
        with pytest.raises(RunError, match=f"(?i){said}"):
            export(folder, tmp_path / "out", wanted)
    for wanted, said in (
        (Wanted(start=True), "the start has no adapter"),
        (Wanted(gguf=True), "holds a whole model"),
        (Wanted(merged=True, ollama=True), "for a GGUF file"),
        (Wanted(dtype="float32"), "keeps the arithmetic"),
    ):
        folder = run.path if wanted.start else tuned
        with pytest.raises(InputErrors, match=said):
            export(folder, tmp_path / "out", wanted)
    assert not (tmp_path / "out").exists()


def test_nothing_is_sent_without_token_or_offline(
    tuned: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Refusals alone: nothing is ever sent by a test."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(InputErrors) as refused:
        require_push("no owner", offline=True, command="export")
    assert {problem.where for problem in refused.value.problems} == {"--push", "HF_TOKEN"}
    assert len(refused.value.problems) == 3
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    require_push("owner/name", offline=False, command="export")
    monkeypatch.setattr(sys, "argv", ["tutelage", "export", str(tuned), str(tmp_path / "out"), "--push", "owner/name"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert "nobody is here to say yes" in said
    assert "secret" not in said
    assert not (tmp_path / "out").exists()
    assert [name for name, _ in files_to_send(tuned / "weights")] == ["adapter_config.json", WEIGHTS]


def test_the_card_of_a_run_tells_scores_gate_and_licenses(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    artifact = Artifact(
        label="round 1",
        is_adapter=True,
        dtype="bfloat16",
        identity="default@b179c9523d0e",
        license="Apache-2.0",
        proof="Proved.",
        rounding="",
        lines=(("talk to it", "tutelage chat default --adapter out"),),
        not_run="",
    )
    written = card(read_run(run), weights=None, artifact=artifact)
    for words in (
        "Round 1 was promoted",
        "| Mean over cells |",
        "95 % interval",
        "Contamination",
        "How it was tuned and gated",
        "default@b179c9523d0e",
        "license: Apache-2.0",
        "constraints, grounded, safety: made by tutelage, Apache-2.0",
        "```bash\ntutelage chat default --adapter out\n```",
        "Proved.",
    ):
        assert words in written, words
    other = card(read_run(run), weights=None, artifact=Artifact(**{**vars_of(artifact), "label": "round 2"}))
    assert "It is round 2." in other
    assert "not compared" in other
    assert not re.search(r"round 2 scores \d", other)


def vars_of(artifact: Artifact) -> dict[str, Any]:
    return {name: getattr(artifact, name) for name in artifact.__slots__}
