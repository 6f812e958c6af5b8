"""Each family on answers whose verdict a reader can see, with the reason that a teacher would give."""

import pytest

from tutelage.tasks.constraints import FAMILIES
from tutelage.tasks.constraints.constraint import Constraint
from tutelage.tasks.constraints.families.characters import LetterCase, Letters, NoCommas
from tutelage.tasks.constraints.families.edges import End, Postscript, Start, Title
from tutelage.tasks.constraints.families.keywords import KeywordsIn, KeywordsOut
from tutelage.tasks.constraints.families.language import Language
from tutelage.tasks.constraints.families.lengths import Sentences, Words
from tutelage.tasks.constraints.families.lists import Bullets, Numbered
from tutelage.tasks.constraints.families.marks import Highlights, Placeholders
from tutelage.tasks.constraints.families.openings import Choice, Repeat
from tutelage.tasks.constraints.families.shapes import JsonShape, Paragraphs, Quotation, Sections

GERMAN = "Der Regen fällt leise auf die Dächer der kleinen Stadt und alle Kinder schauen aus dem Fenster."
JSON = JsonShape(keys=("tip", "reasons"), list_key="reasons", list_length=2)

HOLDS: list[tuple[Constraint, str]] = [
    (Words(at_least=3), "one two-fold three"),
    (Words(at_most=3), "It's two words"),
    (Words(at_least=2, at_most=3), "two words"),
    (Sentences(at_least=2, at_most=2), "Dr. Ray waited. Then it rained!"),
    (Sentences(at_least=2, at_most=2), "<<A Title. Really>>\nOne. Two."),
    (Sentences(at_least=1, at_most=3), "Only one."),
    (Sentences(at_least=2, at_most=2), "SO DID I. THEN IT RAINED."),
    (Bullets(n=3), "Here:\n- a\n* b\n• c\nDone."),
    (Bullets(n=2), "  - a\n  - b\n---\n"),
    (Numbered(n=2), "1. a\n2) b"),
    (LetterCase(case="lower"), "all small, 100 % of it. straße"),
    (LetterCase(case="upper"), "ALL BIG: ÜBER 7"),
    (NoCommas(), "None here; none there."),
    (Letters(letter="b", n=3), "Bob's barn"),
    (KeywordsIn(words=("sun", "rain")), "Rain, then SUN."),
    (KeywordsIn(words=("sun",), times=2), "sun-sun"),
    (KeywordsOut(words=("sun",)), "Sunny sunflowers."),
    (Title(), "\n<<Rain>>\nIt rains."),
    (Title(num_title_words=2), "<<Soft Rain>>\nIt rains."),
    (Start(phrase="Let's begin:"), "let’s  begin: now"),
    (End(phrase="That is all."), "It rains. That is all!\n"),
    (Postscript(marker="P.S."), "Hi.\n\n**P.S.** Bring bread."),
    (JSON, ' {"tip": "a", "reasons": ["b", "c"]}\n'),
    (Sections(headers=("Good", "Bad")), "## Good:\nSun.\n**Bad**\nRain."),
    (Sections(headers=("Step 1", "Step 2")), "Step 1: sun\nStep 2: rain"),
    (Paragraphs(n=2, marker="***"), "One.\n***\nTwo."),
    (Quotation(), '"Yes, said the rain."'),
    (Quotation(), "“Yes.”\n"),
    (Language(code="de"), GERMAN),
    (Language(code="de"), GERMAN.upper()),
    (Repeat(request="Describe rain."), '"Describe rain." It is wet.'),
    (Choice(options=("Yes indeed", "No way"), only=True), "yes indeed."),
    (Choice(options=("yes", "no"), only=False), "Yes\nBecause."),
    (Highlights(n=2), "*rain* and **much rain**"),
    (Placeholders(n=2), "Dear [name], see you in [place]."),
]

FAILS: list[tuple[Constraint, str, str]] = [
    (Words(at_least=4), "one two three", "3 words; at least 4 were asked."),
    (Words(at_most=1), "two words", "2 words; at most 1 were asked."),
    (Sentences(at_least=1, at_most=1), "One. Two.", "2 sentences; exactly 1 was asked."),
    (Sentences(at_least=1, at_most=2), "A b.\nC d.\nE f.", "3 sentences; 1 to 2 were asked."),
    (Bullets(n=3), "- a\n- b\n- c\n- d", "4 bullets; exactly 3 were asked."),
    (Bullets(n=2), "-a\n1. b", "0 bullets; exactly 2 were asked."),
    (Numbered(n=2), "1. a\n1. b", "The points are numbered 1, 1; 1 to 2 was asked."),
    (Numbered(n=2), "1. a", "1 numbered point; exactly 2 were asked."),
    (LetterCase(case="lower"), "So I said", '2 words with capital letters, such as "So"; only lowercase was asked.'),
    (LetterCase(case="upper"), "OK then", '1 word with lowercase letters, such as "then"; only capital was asked.'),
    (NoCommas(), "a, b, c", "2 commas; none were allowed."),
    (Letters(letter="b", n=3), "Bob", 'The letter "b" occurs 2 times; at least 3 were asked.'),
    (KeywordsIn(words=("sun", "rain")), "sunny", 'The words "sun" and "rain" are missing.'),
    (KeywordsIn(words=("sun",), times=2), "sun", 'The word "sun" occurs 1 time; at least 2 were asked.'),
    (KeywordsOut(words=("sun",)), "The Sun.", 'The word "sun" was used but not allowed.'),
    (Title(), "It rains.\n<<Rain>>", "The first line has no title in double angle brackets like <<this>>."),
    (Title(num_title_words=2), "<<Rain>>", "The title has 1 word; exactly 2 were asked."),
    (Start(phrase="In my"), "In mystery", 'The answer begins with "In mystery"; it should begin with "In my".'),
    (End(phrase="The end."), "The end. Bye.", 'The answer ends with "end. Bye."; it should end with "The end."'),
    (Postscript(marker="P.S."), "P.S.", "There is no line that starts with P.S. and says something."),
    (JSON, "```json\n{}\n```", "There is other text around the JSON; only the JSON object was asked."),
    (JSON, "rain", "The answer is not valid JSON; only a JSON object was asked."),
    (JSON, "[1]", "The JSON is not an object with keys."),
    (JSON, '{"tip": "a"}', 'The JSON lacks "reasons".'),
    (JSON, '{"tip": "a", "reasons": ["b", "c"], "x": 1}', 'The JSON has the extra key "x".'),
    (JSON, '{"tip": "", "reasons": ["b", "c"]}', 'Under "tip" there is nothing in the JSON.'),
    (JSON, '{"tip": "a", "reasons": ["b"]}', '"reasons" has 1 string; exactly 2 were asked.'),
    (JSON, '{"tip": "a", "reasons": "b"}', '"reasons" should be a list of strings.'),
    (Sections(headers=("Good", "Bad")), "Bad\nRain.\nGood\nSun.", 'There is no section "Bad" in its place.'),
    (Sections(headers=("Good", "Bad")), "Good\nBad\nRain.", 'The section "Good" is empty.'),
    (Paragraphs(n=2, marker="***"), "One.", "1 paragraph separated by ***; exactly 2 were asked."),
    (Paragraphs(n=2, marker="***"), "One.\n***\nTwo.\n***", "*** should stand only between paragraphs."),
    (Quotation(), '"Yes', "The answer does not end with a double quotation mark."),
    (Quotation(), "Yes", "The answer does not start or end with a double quotation mark."),
    (Language(code="fr"), GERMAN, "The answer reads as German; French was asked."),
    (Repeat(request="Describe rain."), "Rain is wet.", 'The answer does not begin by repeating "Describe rain."'),
    (Repeat(request="Describe rain."), "Describe rain.", "After the repeated request there is no answer."),
    (Choice(options=("yes", "no"), only=True), "yes, sure", 'The answer is not one of "yes" or "no".'),
    (Choice(options=("yes", "no"), only=False), "yes", "After the chosen answer there is no explanation."),
    (Choice(options=("yes", "no"), only=False), "Sure\nWhy not", 'The first line is not one of "yes" or "no".'),
    (Highlights(n=2), "*rain", "0 highlighted parts; at least 2 were asked."),
    (Placeholders(n=1), "Dear []", "0 placeholders; at least 1 was asked."),
]


@pytest.mark.parametrize(("constraint", "text"), HOLDS)
def test_it_holds(constraint: Constraint, text: str) -> None:
    assert constraint.fault(text) == ""


@pytest.mark.parametrize(("constraint", "text", "reason"), FAILS)
def test_it_fails_with_a_reason(constraint: Constraint, text: str, reason: str) -> None:
    assert constraint.fault(text) == reason


def test_every_family_is_tried_both_ways() -> None:
    assert {constraint.name for constraint, _ in HOLDS} == set(FAMILIES)
    assert {constraint.name for constraint, _, _ in FAILS} == set(FAMILIES)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("es", "La lluvia cae sobre los tejados del pueblo y los niños miran por la ventana."),
        ("fr", "La pluie tombe sur les toits du village et les enfants regardent par la fenêtre."),
        ("it", "La pioggia cade sui tetti del paese e i bambini guardano dalla finestra."),
        ("pt", "A chuva cai sobre os telhados da aldeia e as crianças olham pela janela."),
        ("de", GERMAN),
    ],
)
def test_languages_are_told_apart(code: str, text: str) -> None:
    codes = ("es", "fr", "de", "it", "pt")
    assert [other for other in codes if not Language.model_validate({"code": other}).fault(text)] == [code]
