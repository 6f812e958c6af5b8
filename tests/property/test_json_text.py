"""JSON comes out of whatever surrounds it, whole or not at all."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tutelage.completers.structured.json_text import find_objects

TEXTS = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4)
PROSE = st.text(alphabet=st.characters(exclude_characters="{}`"), max_size=40)


@given(OBJECTS, PROSE, PROSE, st.sampled_from([None, 2]), st.booleans(), st.booleans())
def test_an_object_is_found_among_words(
    value: dict, before: str, after: str, indent: int | None, fenced: bool, ascii: bool
) -> None:
    written = json.dumps(value, indent=indent, ensure_ascii=ascii)
    text = f"{before}\n```json\n{written}\n```\n{after}" if fenced else f"{before}{written}{after}"
    found = next(find_objects(text))
    assert found.value == value
    assert not found.repaired


@given(OBJECTS, st.data())
def test_a_cut_object_is_never_made_whole(value: dict, data: st.DataObject) -> None:
    written = json.dumps(value)
    part = written[: data.draw(st.integers(0, len(written) - 1))]
    assert value not in [found.value for found in find_objects(part, whole=False)]
    assert not any(found.repaired for found in find_objects(part, whole=False))


@given(st.text(alphabet="{}[]\"\\:,'`abc1 \n", max_size=60))
def test_whatever_is_found_is_json(text: str) -> None:
    for found in find_objects(text):
        assert json.loads(json.dumps(found.value, allow_nan=False)) == found.value
