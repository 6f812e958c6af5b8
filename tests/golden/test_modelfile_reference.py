"""The Go template of a Modelfile, executed by Go's own ``text/template``, against the model's own chat template."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tutelage.errors import ModelError
from tutelage.models.template import ChatTemplate
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.export.modelfile import CONVERSATIONS, pieces_of, write_modelfile
from tutelage.records import Conversation, assistant, system, user

needs_go = pytest.mark.skipif(find_spec("go_template") is None, reason="Go's templates come for Linux on x86-64 alone")
TEMPLATES = Path(__file__).parents[1] / "templates"
SPECIAL = ["<|im_start|>", "<|im_end|>", "</s>", "<|end|>", "<end_of_turn>", "<|eot_id|>", "<｜end▁of▁sentence｜>"]
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n{}\"'`\\%"), max_size=30)


def template(name: str) -> ChatTemplate:
    backend = Tokenizer(models.BPE({chr(97 + n): n for n in range(26)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    made = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    made.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    return ChatTemplate(made)


def by_go(program: str, messages: Conversation, folder: Path) -> str:
    """Executed in a process of its own: Go ends the process at a fault."""
    values = json.dumps({"Messages": [{"Role": turn.role, "Content": turn.text} for turn in messages]})
    pair = re.compile(r"\\u(d[89ab]..)\\u(d[c-f]..)")  # YAML, as which Go reads it, writes these letters as one number
    whole = pair.sub(lambda m: f"\\U{0x10000 + (int(m[1], 16) - 0xD800) * 0x400 + int(m[2], 16) - 0xDC00:08x}", values)
    for name, text in (("program", program), ("values", whole)):
        (folder / name).write_text(text, encoding="utf-8", newline="")
    code = "import sys, go_template; go_template.render_template(*sys.argv[1:])"
    files = [str(folder / name) for name in ("program", "values", "text")]
    subprocess.run([sys.executable, "-c", code, *files], check=True, capture_output=True)
    return (folder / "text").read_bytes().decode()


@needs_go
@pytest.mark.parametrize("name", ["smollm2", "marked_chatml", "zephyr"])
def test_go_writes_what_the_template_writes(name: str, tmp_path: Path) -> None:
    own = template(name)
    program = pieces_of(own).program()
    for messages in CONVERSATIONS:
        assert by_go(program, messages, tmp_path) == own.render(messages, add_generation_prompt=True)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    first = [system(draw(TEXT))] if draw(st.booleans()) else []
    turns = draw(st.integers(0, 3))
    middle = [turn for _ in range(turns) for turn in (user(draw(TEXT)), assistant(draw(TEXT)))]
    return (*first, *middle, user(draw(TEXT)))


@needs_go
@given(conversations())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_conversation_is_written_alike(tmp_path: Path, messages: Conversation) -> None:
    own = template("smollm2")
    pieces, expected = pieces_of(own), own.render(messages, add_generation_prompt=True)
    assert pieces.join(messages) == expected
    assert by_go(pieces.program(), messages, tmp_path) == expected


@pytest.mark.parametrize("name", ["llama3", "gemma", "mistral", "mistral_last", "phi3", "deepseek_r1"])
def test_a_template_that_does_more_is_refused_by_what_it_does(name: str) -> None:
    with pytest.raises(ModelError, match="cannot be written for Ollama"):
        pieces_of(template(name))


def test_a_modelfile_holds_what_ends_an_answer_and_no_setting_that_changes_it() -> None:
    bundle = tiny_model()
    lines = write_modelfile(bundle, "model.gguf").splitlines()
    end = bundle.tokenizer.convert_ids_to_tokens(bundle.template.end_ids[0])
    assert "FROM ./model.gguf" in lines
    assert f'PARAMETER stop "{end}"' in lines
    assert {"PARAMETER temperature 0", "PARAMETER repeat_penalty 1"} < set(lines)
    (program,) = (line for line in lines if line.startswith("TEMPLATE"))
    assert program.count('"""') == 2
