"""Principles: those of the package are whole, a user's own are read with every fault, drawing repeats none."""

from pathlib import Path
from typing import get_args

import pytest

from support.revising import PRINCIPLES
from tutelage.construct.constitution.checks import fault
from tutelage.construct.constitution.principles import draw, parse_principles, principles_of
from tutelage.construct.traces import of_revising, of_rewriting
from tutelage.errors import DataError, StorageError
from tutelage.recipe.sources import ConstitutionSource

DOMAINS = get_args(ConstitutionSource.model_fields["domain"].annotation)


def section(**keys: object) -> ConstitutionSource:
    return ConstitutionSource.model_validate({"kind": "constitution", **keys})


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_principles_of_the_package_can_be_asked(domain: str, tmp_path: Path) -> None:
    found = principles_of(section(domain=domain), tmp_path)
    assert 8 <= len(found) <= 16
    assert len({one.principle for one in found}) == len(found)
    for one in found:
        assert one.critique.endswith("?") or "?" in one.critique or "Name the sentence" in one.critique, one.id
        assert one.revision.endswith("."), one.id
        assert one.version.startswith(f"{one.id}@")


def test_four_domains_share_no_principle(tmp_path: Path) -> None:
    texts = [one.text for domain in DOMAINS for one in principles_of(section(domain=domain), tmp_path)]
    assert len(DOMAINS) == 4
    assert len(set(texts)) == len(texts)


def test_every_fault_of_a_file_is_told_at_once() -> None:
    text = PRINCIPLES + "- {id: a b, principle: x, critique: y, revision: z}\n- 7\n- {id: kind, principle: x, "
    text += "critique: y, revision: z}\n- {id: short, principle: x, revisoin: y}\n"
    with pytest.raises(DataError) as caught:
        parse_principles(text, "mine.yaml")
    said = [str(problem) for problem in caught.value.problems]
    assert any("mine.yaml, principle 3: id" in one for one in said)
    assert any("mine.yaml, principle 4: expected a principle" in one for one in said)
    assert any("two principles have one id" in one for one in said)
    assert any("Did you mean 'revision'?" in one for one in said)
    assert any("principle 6: critique: expected this key" in one for one in said)


@pytest.mark.parametrize(("text", "what"), [("a: [", "not valid YAML"), ("a: 1", "expected a list"), ("", "a list")])
def test_what_is_no_list_of_principles_is_refused(text: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_principles(text, "mine.yaml")
    assert what in str(caught.value)


def test_more_revisions_than_principles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(PRINCIPLES)
    assert len(principles_of(section(principles="two.yaml"), tmp_path)) == 2
    with pytest.raises(DataError, match="principles"):
        principles_of(section(principles="two.yaml", revisions=3), tmp_path)
    with pytest.raises(StorageError):
        principles_of(section(principles="gone.yaml"), tmp_path)


def test_drawing_depends_on_seed_and_item_and_repeats_none(tmp_path: Path) -> None:
    there = principles_of(section(), tmp_path)
    drawn = {item: [one.id for one in draw(there, 4, seed=1, item=item)] for item in map(str, range(60))}
    assert all(len(set(names)) == 4 for names in drawn.values())
    assert {name for names in drawn.values() for name in names} == {one.id for one in there}
    assert drawn["7"] == [one.id for one in draw(there, 4, seed=1, item="7")]
    assert any(drawn[item] != [one.id for one in draw(there, 4, seed=2, item=item)] for item in drawn)


@pytest.mark.parametrize(
    ("revision", "what"),
    [
        ("I have revised it: be nice.", "speaks of being revised"),
        ("As the critique says, be nice.", "speaks of being revised"),
        ("Hier ist die überarbeitete Antwort.", "speaks of being revised"),
        (" Be rude.\n", "changes nothing"),
        ("The answer is kind to animals of every sort.", "repeats the principle"),
        ("Be nice to each of them.", ""),
        ("My first answer to such a letter is always no.", ""),
    ],
)
def test_what_a_revision_may_not_say(revision: str, what: str) -> None:
    (principle, _) = parse_principles(PRINCIPLES, "two.yaml")
    prompt = "What is my first answer to such a letter?"
    found = fault(revision, before="Be rude.", prompt=prompt, principle=principle)
    assert what in found
    assert bool(what) == bool(found)


def test_traces_are_none_where_the_matter_itself_has_them() -> None:
    assert of_revising("The revised version is from 1990.", "Which edition is the Revised Version?") == ""
    assert of_revising("The revised version is from 1990.", "Which edition is it?") == "revised version"
    assert of_rewriting("Answer the given instruction.", "") == "given instruction"
    assert of_rewriting("Write a recipe for bread.", "") == ""
