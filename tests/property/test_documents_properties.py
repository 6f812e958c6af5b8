"""Passages are spans that lose no word; a quote is found wherever it stands, and nowhere else."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tutelage.construct.documents.passages import FEWEST_WORDS, count_words, cut
from tutelage.records.documents import PARAGRAPH, Document, Passage, Section
from tutelage.text.verbatim import bare, find_verbatim, plain

WORDS = st.sampled_from(
    ["lease", "the", "Owner", "pays", "30", "days.", "fee!", "“keys”", "state-of-the-art", "押金在", "x."]
)
SENTENCES = st.lists(WORDS, min_size=1, max_size=60).map(" ".join)
PARAGRAPHS = st.lists(SENTENCES, min_size=1, max_size=8)


def document(parts: list[str], headings: list[bool]) -> Document:
    sections, at = [], 0
    for part, heading in zip(parts, headings, strict=False):
        if heading:
            sections.append(Section(start=at, title=part[:10]))
        at += len(part) + len(PARAGRAPH)
    return Document(id="d", name="d.txt", kind="text", sha256="", text=PARAGRAPH.join(parts), sections=tuple(sections))


@given(PARAGRAPHS, st.lists(st.booleans(), max_size=8), st.integers(40, 90))
def test_passages_are_spans_in_order_that_lose_no_word(parts: list[str], headings: list[bool], most: int) -> None:
    made = document(parts, headings)
    found, short = cut(made, most)
    spans = [*found, *(Passage.from_json(row.row) for row in short)]
    for passage in spans:
        assert made.text[passage.start : passage.end] == passage.text
        assert passage.text == passage.text.strip()
    for before, after in pairwise(found):
        assert not made.text[before.end : after.start].strip()
        assert before.end <= after.start
    titles = {section.start for section in made.sections}
    bodies = [passage.text for passage in found]
    assert all(count_words(text) >= FEWEST_WORDS for text in bodies)
    longest = sum(count_words(part) for part, heading in zip(parts, headings, strict=False) if heading)
    assert all(count_words(text) <= most + FEWEST_WORDS + longest for text in bodies)
    if spans:
        rest = made.text[: spans[0].start] + made.text[spans[-1].end :]
        tail = [at for at in titles if at >= spans[-1].end]
        assert not rest.strip() or tail, "only headings at the end belong to no passage"
    assert len(short) <= 1


@given(st.text(alphabet="ab c\n\u00a0“”\"'’–-fi\u00adﬁ.", max_size=60), st.data())
def test_what_is_cut_out_of_a_text_is_found_in_it(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    quote = text[start:end]
    before, after = text[start - 1 : start], text[end : end + 1]
    inside = (before.isalnum() and quote[:1].isalnum()) or (after.isalnum() and quote[-1:].isalnum())
    if not bare(quote) or inside or "\u00ad" in quote[:1] + quote[-1:] + before + after:
        return
    found = find_verbatim(quote, plain(text))
    assert found is not None
    assert bare(text[slice(*found)]) == bare(quote)


@given(st.text(alphabet="abc dé", min_size=1, max_size=30), st.text(alphabet="abc dé", min_size=1, max_size=8))
def test_what_is_found_is_whole_words_of_the_text(text: str, quote: str) -> None:
    found = find_verbatim(quote, plain(text))
    stands = f" {' '.join(quote.split())} " in f" {' '.join(text.split())} " and bool(quote.strip())
    assert (found is not None) == stands
