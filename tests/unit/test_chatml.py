"""ChatML for base models: what it writes, its mask, and the refusal where its tokens are not."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tutelage.cli import main
from tutelage.errors import TemplateError
from tutelage.models.chatml import put_template
from tutelage.models.load import load_bundle, load_template, save_folder
from tutelage.models.template import ChatTemplate
from tutelage.models.template_file import CHATML, template_of
from tutelage.models.tiny import tiny_model
from tutelage.recipe import parse_recipe
from tutelage.recipe.model import ModelSection
from tutelage.records import Message, assistant, system, user

TEMPLATES = Path(__file__).parents[1] / "templates"
TALK = (system("Be kind."), user("Hi"), assistant("Hello"), user("Bye"), assistant("So long"))
TEXT = (
    "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"
    "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\nSo long<|im_end|>\n"
)


def base_tokenizer(**renamed: str) -> PreTrainedTokenizerFast:
    """The tokenizer of the tiny model without a chat template, its special tokens under other names."""
    text = tiny_model().tokenizer.backend_tokenizer.to_str()
    for name, other in renamed.items():
        text = text.replace(f"<|{name}|>", other)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(text), bos_token="<s>", eos_token=renamed.get("im_end", "<|im_end|>")
    )


def test_text_and_mask_are_exact() -> None:
    tokenizer = base_tokenizer()
    put_template(tokenizer, CHATML)
    template = ChatTemplate(tokenizer)
    assert template.render(TALK) == TEXT
    assert template.render(TALK[:2], add_generation_prompt=True) == TEXT.partition("Hello")[0]
    encoded = template.encode(TALK)
    assert tokenizer.decode(encoded.ids) == TEXT
    assert tokenizer.decode(encoded.ids[encoded.targets]) == "Hello<|im_end|>So long<|im_end|>"
    assert template.end_token == "<|im_end|>"
    assert not template.folds_system


@pytest.mark.parametrize("family", ["smollm2", "qwen3"])
def test_prompts_are_those_of_families_that_were_tuned_with_it(family: str) -> None:
    theirs, found = base_tokenizer(), base_tokenizer()
    theirs.chat_template = (TEMPLATES / f"{family}.jinja").read_text(encoding="utf-8")
    put_template(found, CHATML)
    own, ours = ChatTemplate(theirs), ChatTemplate(found)
    assert ours.encode_prompt(TALK[:4]) == own.encode_prompt(TALK[:4])
    if family == "smollm2":  # Qwen 3 writes reasoning, if only an empty one, before its last answer
        assert ours.encode(TALK).ids.tolist() == own.encode(TALK).ids.tolist()
        assert ours.encode(TALK).targets.tolist() == own.encode(TALK).targets.tolist()


def test_tool_calls_and_their_results_are_written() -> None:
    call = {"name": "look", "arguments": {"at": "it"}, "id": "a1b2c3d4e"}
    asked = Message.model_validate({"role": "assistant", "content": "Let me see.", "tool_calls": [call]})
    result = Message.model_validate({"role": "tool", "content": "a cat", "tool_call_id": "a1b2c3d4e"})
    template = load_template("tiny", template=CHATML)
    text, spans = template.spans((user("Look"), asked, result, assistant("A cat.")))
    learned = [text[start:stop] for start, stop in spans]
    shown = json.loads(learned[0].partition("<tool_call>")[2].partition("</tool_call>")[0])
    assert shown == {"name": "look", "arguments": {"at": "it"}}
    assert learned[0].startswith("Let me see.<tool_call>")
    assert learned[1] == "A cat.<|im_end|>"
    assert "<|im_start|>tool\na cat<|im_end|>\n" in text


def test_the_beginning_of_text_is_written_where_the_tokenizer_writes_one_itself() -> None:
    tokenizer = base_tokenizer()
    assert tokenizer.bos_token_id is not None
    processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)])
    tokenizer.backend_tokenizer.post_processor = processor
    put_template(tokenizer, CHATML)
    template = ChatTemplate(tokenizer)
    assert template.render(TALK) == "<s>" + TEXT
    assert template.encode_prompt(TALK[:2])[:2] == tokenizer.convert_tokens_to_ids(["<s>", "<|im_start|>"])


def test_missing_tokens_are_refused_by_name() -> None:
    whole = base_tokenizer(im_start="<turn>", im_end="</turn>")
    with pytest.raises(TemplateError, match=r"<\|im_start\|> and <\|im_end\|> \(received .* pieces.*such as </turn>"):
        put_template(whole, CHATML)
    half = base_tokenizer(im_start="<turn>")
    with pytest.raises(TemplateError, match=r"does not have: <\|im_start\|> \("):
        put_template(half, CHATML)


def test_a_recipe_names_its_template(tmp_path: Path) -> None:
    def section(text: str) -> ModelSection:
        return parse_recipe(f"name: a\nmodel: {{id: tiny{text}}}\ntasks: [{{kind: safety}}]\n", source="a").model

    assert template_of(section(""), tmp_path) is None
    assert template_of(section(", template: own"), tmp_path) is None
    assert template_of(section(", template: null"), tmp_path) is None, "as runs of before have kept it"
    assert template_of(section(", template: chatml"), tmp_path) == CHATML
    assert template_of(section(", template: chat.jinja"), tmp_path) == tmp_path / "chat.jinja"


def test_a_base_model_is_told_of_it_and_learns_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["tutelage", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out + said.err

    monkeypatch.chdir(tmp_path)
    bundle = tiny_model()
    bundle.tokenizer.chat_template = None
    save_folder(bundle, tmp_path / "base")
    Path("rows.jsonl").write_text('{"prompt": "Say it", "completion": "It is said."}\n' * 4)
    Path("rows.yaml").write_text("name: rows\nmodel: {id: ./base}\ntune: {data: {path: rows.jsonl}}\n")
    code, said = call("preview", "rows.yaml")
    assert code == 3
    assert "model.template: chatml" in said
    code, said = call("preview", "rows.yaml", "--set", "model.template=chatml")
    assert code == 0
    assert "chat template chatml for ./base" in said
    assert "<|im_start|>assistant\n⟦It is said.<|im_end|>⟧" in said
    chatml = ("--set", "model.template=chatml")
    code, said = call("tune", "--data", "rows.jsonl", "--model", "./base", "-o", "out", *chatml)
    assert code == 0, said
    tuned = load_bundle("./base", adapter=Path("out/weights"), merge=True, template=CHATML)
    assert tuned.template.render(TALK) == TEXT
    assert json.loads(Path("out/tuned.json").read_text())["model"]["template"] == "chatml"
    code, said = call("export", "out", "exported", "--merged")
    assert code == 0, said
    assert load_template("exported").render(TALK) == TEXT
