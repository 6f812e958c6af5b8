"""Rows with images: a teacher behind an endpoint is shown them, and who learns from text alone is not promised more."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.endpoint import endpoint
from tutelage.errors import RecipeError
from tutelage.pipeline.disclosure import who_sees_what
from tutelage.pipeline.endpoints import media_folder
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.pipeline.single import construct
from tutelage.recipe import load_recipe
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.records import Answer, Example, ImagePart
from tutelage.records.jsonl import read_records

RECIPE = """
name: seeing
model: {id: tiny}
engines: {threads: 1, reference_batch: 16}
rounds: 1
tasks: [{kind: rows, path: data/rows.jsonl}]
construct:
  prompts: 60
  max_tokens: 8
  rehearsal: null
  self_improve: null
  expert: null
  distill:
    samples: 1
    teacher: {kind: endpoint, base_url: "URL", model: m}
controls: {few_shot: false, expert_only: false}
evaluate: {probe: 2, gate: 2, test: 0, max_tokens: 6, general_prompts: 1}
"""


def png(number: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes([number] * 20)


def write_rows(folder: Path, numbers: Sequence[int]) -> None:
    (folder / "img").mkdir(parents=True)
    rows = []
    for number in numbers:
        (folder / "img" / f"{number}.png").write_bytes(png(number))
        part = {"kind": "image", "uri": f"img/{number}.png", "sha256": hashlib.sha256(png(number)).hexdigest()}
        content = [{"type": "text", "text": f"What is in picture {number}?"}, part]
        row = {"messages": [{"role": "user", "content": content}], "reference": "Answer", "check": "contains"}
        rows.append(json.dumps(row | {"level": "basic"}))
    (folder / "rows.jsonl").write_text("\n".join(rows))


def test_a_teacher_is_shown_the_images_of_rows(tmp_path: Path) -> None:
    write_rows(tmp_path / "data", range(60))
    (tmp_path / "data/img/3.png").unlink()
    (tmp_path / "data/img/4.png").write_bytes(png(5))
    file = tmp_path / "recipe.yaml"
    with endpoint() as server:
        file.write_text(RECIPE.replace("URL", server.url))
        recipe = load_recipe(file)
        with pytest.raises(RecipeError, match=r"rows hold images, and the models that are tuned here take text alone"):
            run(recipe, tmp_path / "run")
        assert not server.tries, "nothing is paid for rows that nobody here can learn from"
        assert not (tmp_path / "run").exists()
        construct(recipe, out=tmp_path / "run")
    answers = read_records(tmp_path / "run/rounds/1/construct/teacher.jsonl", Answer)
    failed = sorted(answer.error.partition(" (")[0] for answer in answers if answer.finish == "error")
    known = ["the image cannot be read: No such file or directory", "the image is not the one that the record names"]
    assert failed in ([], known[:1], known[1:], known), "rows 3 and 4, where they are of the train split"
    assert len(answers) - len(failed) == len(server.parts) > 30
    for words, shown in server.parts:
        number = int(words["text"].removesuffix("?").split()[-1])
        data = base64.b64encode(png(number)).decode()
        assert shown == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    rows = read_records(tmp_path / "run/rounds/1/construct/records.jsonl", Example)
    assert len(rows) == len(server.parts)
    for row in rows:
        (part,) = (part for part in row.prompt[0].content if isinstance(part, ImagePart))
        assert part.sha256 == hashlib.sha256(png(int(part.uri[4:-4]))).hexdigest(), "the row keeps its image"


def test_what_is_said_of_images_before_any_is_sent(tmp_path: Path) -> None:
    write_rows(tmp_path / "data", range(60))
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE.replace("URL", "http://127.0.0.1:1/v1"))
    recipe = load_recipe(file)
    tasks = preflight(recipe)
    assert "no demonstration each, and the images in them." in who_sees_what(recipe, tasks, 60)[0]
    teaching = estimate_run(recipe, tasks).teaching
    assert teaching is not None
    assert "What the images of the prompts take comes on top: it is not known before." in teaching.words


def test_where_paths_of_images_are_looked_for(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE.replace("URL", "http://127.0.0.1:1/v1"))

    def folder(*changes: str) -> Path | None:
        recipe = load_recipe(file, changes)
        assert recipe.construct.distill is not None
        assert isinstance(recipe.construct.distill.teacher, EndpointTeacher)
        return media_folder(recipe, recipe.construct.distill.teacher)

    assert folder() == tmp_path / "data"
    assert folder("construct.distill.teacher.media=pictures") == tmp_path / "pictures"
    two = "tasks=[{kind: rows, path: a/x.jsonl}, {kind: rows, name: other, path: %s/y.jsonl}]"
    assert folder(two % "a") == tmp_path / "a"
    assert folder(two % "b") is None, "nobody can know which"
