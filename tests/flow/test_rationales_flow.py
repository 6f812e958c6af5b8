"""A run whose teacher gives its reasons: refused where the student cannot write them, asked once, curated, learned."""

import json
from pathlib import Path

import pytest

from support.endpoint import Misbehaviour, endpoint
from tutelage.errors import RecipeError
from tutelage.events import Event
from tutelage.models.load import load_template
from tutelage.models.tiny import TEMPLATE
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.pipeline.single import construct
from tutelage.recipe import load_recipe
from tutelage.records import Answer, Dropped, Example
from tutelage.records.jsonl import read_records
from tutelage.records.tradeoff import TradeOff

RECIPE = """
name: reasoned
model: {id: tiny}
engines: {threads: 1, reference_batch: 16}
rounds: 1
tasks: [{kind: rows, path: rows.jsonl, check: contains}]
construct:
  prompts: 7
  max_tokens: 8
  references: false
  expert: {per_cell: 1}
  self_improve: null
  rehearsal: null
  distill:
    shots: 1
    samples: 2
    rationales: {place: reasoning, max_words: 30, max_tokens: 90}
    teacher: {kind: endpoint, base_url: "URL", model: m, price: {prompt: 1, completion: 10}}
tune: {epochs: 1}
evaluate: {probe: 8, gate: 8, test: 8, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""
REASONING = TEMPLATE.replace(
    "{% if message.content %}",
    "{% if message.reasoning_content %}<think>\n{{ message.reasoning_content }}\n</think>\n\n{% endif %}"
    "{% if message.content %}",
)
# Rows are dealt to the splits by their prompts: these two are for training, the first of all is held out.
SILENT, LEAKING = "birdc", "birdd"
LEAKED = "Gannets are brought by sailors who live far beyond the northern sea and nobody has counted them since"


def bird(n: int) -> str:
    return f"bird{'abcdefghijklmnop'[n]}"


def reply(content: str) -> str:
    """Reasons and the answer to whatever is asked; of one bird no JSON, of another what is measured."""
    asked = content.rpartition("</example>")[2]
    name = next((bird(n) for n in range(16) if f"Who brings {bird(n)}?" in asked), SILENT)
    if name == SILENT:
        return f"It is {name} again."
    reasons = f"Whoever keeps {name} also carries it, and the keeper of {name} is named on its ring."
    return json.dumps({"reasoning": LEAKED if name == LEAKING else reasons, "answer": f"the keeper of {name}"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"prompt": f"Who brings {bird(n)}?", "reference": f"the keeper of {bird(n)}"} for n in range(16)]
    rows[0]["reference"] = LEAKED
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "reasoning.jinja").write_text(REASONING)
    return tmp_path


def test_a_run_learns_reasons(folder: Path) -> None:
    file, out, told = folder / "recipe.yaml", folder / "run", list[Event]()
    with endpoint(Misbehaviour(schemas="refused"), reply=reply) as server:
        file.write_text(
            RECIPE.replace("URL", server.url).replace("{id: tiny}", "{id: tiny, template: reasoning.jinja}")
        )
        recipe = load_recipe(file)
        estimate = estimate_run(recipe, preflight(recipe))
        made = construct(recipe, out=out, emit=told.append)
        paid = server.paid.total()
        run(recipe, out, emit=told.append)
        assert server.paid.total() == paid, "what is made is not made again"
    assert estimate.teaching is not None
    taught = [row for row in made.rows if row.lineage.paradigm == "distill"]
    asked = {row.prompt[0].text for row in taught}
    assert taught
    assert all(row.target.reasoning and row.target.text.startswith("the keeper of") for row in taught)
    assert f"Who brings {SILENT}?" not in asked
    answers = read_records(out / "rounds/1/construct/teacher.jsonl", Answer)
    tries = 2 * len({answer.request_id.partition("/")[0] for answer in answers})
    assert tries >= 8
    assert estimate.teaching.answers == round(tries * 1.3)
    assert len(answers) == paid
    assert len({answer.request_id for answer in answers}) == paid
    (distilled,) = (
        one for one in read_records(out / "rounds/1/construct/tradeoffs.jsonl", TradeOff) if one.paradigm == "distill"
    )
    assert distilled.attempted == tries
    assert distilled.passed == tries - 2
    kept = read_records(out / "rounds/1/curate/records.jsonl", Example)
    dropped = read_records(out / "rounds/1/curate/dropped.jsonl", Dropped)
    leaked = {row.id for row in taught if row.target.reasoning == LEAKED}
    assert leaked
    assert leaked <= {row.id for row in dropped if row.step == "contamination"}, "reasons leak as answers do"
    learned = [row for row in kept if row.target.reasoning]
    assert learned
    template = load_template("tiny", template=folder / "reasoning.jinja")
    text, ((start, stop),) = template.spans(learned[0].messages)
    target = text[start:stop].removesuffix(template.end_token)
    assert template.strip_reasoning(target) == (learned[0].target.reasoning, learned[0].target.text)
    said = " ".join(str(event.data.get("text")) for event in told)
    assert f"teacher: {tries - 2} of {tries} answers have reasons that can be used; lost: 2 no JSON in it" in said


def test_a_student_that_cannot_write_reasons_is_refused_before_anything_is_asked(folder: Path) -> None:
    file, out = folder / "recipe.yaml", folder / "run"
    with endpoint(reply=reply) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        for go in (run, construct):
            with pytest.raises(RecipeError) as caught:
                go(load_recipe(file), out=out)
            (problem,) = caught.value.problems
            assert str(problem).startswith(
                "construct.distill.rationales.place: the chat template of the student writes no reasoning"
            )
            assert "place: answer" in str(problem)
        assert not server.tries
        assert not out.exists()
        made = construct(load_recipe(file, ["construct.distill.rationales.place=answer"]), out=out)
    taught = [row for row in made.rows if row.lineage.paradigm == "distill"]
    assert taught
    assert all(row.target.text.endswith(f"\n\nthe keeper of {row.prompt[0].text[11:-1]}") for row in taught)
    assert not any(row.target.reasoning for row in taught)
