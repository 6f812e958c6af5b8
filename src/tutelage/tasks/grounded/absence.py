"""Whether a text says that the passage does not state something."""

import re

STATING = (
    r"(?:stat(?:e|ing)|say|said|saying|mention|giv|gave|specif|provid|disclos|indicat|list|nam|includ|record|report|tell|told|"
    r"describ|explain|reveal|contain|cover|suppl|detail|answer|address|not(?:ed|e\b)|show|shar|clarif|writ|print|"
    r"discuss|identif|set out|spell|document|publish|offer|express|touch|go into|refer)\w*"
)
LEARNING = (
    r"(?:tell|determine|know|say|find|answer|infer|work out|see|learn|establish|be (?:\w+ )?(?:known|told|said|found|"
    r"determined|answered|inferred|established|seen|learned))"
)
THING = (
    r"(?:information|info|mention|details?|indication|statement|answer|data|records?|reference|word|figures?|numbers?|"
    r"dates?|years?|names?|values?|amount|price|time|place|day|clue|hint|trace|evidence|note|fact|specification)"
)
PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:not|never|nowhere|hardly) (?:[a-z]+ ){{0,3}}?{STATING}",
        r"\bnot (?:\w+ )?(?:known|clear|available|found|there|present|in the|in this|part of|apparent|certain|sure)\b",
        rf"\b(?:no|without|lacks?|lacking|missing|omits?) (?:\w+ ){{0,4}}?{THING}\b",
        rf"\bno (?:\w+ ){{1,5}}(?:is|are|was|were|has been|have been) {STATING}",
        rf"\bno (?:\w+ ){{0,3}}(?:{STATING}|known|there)\b",
        rf"\bnone (?:\w+ )?(?:is |was )?{STATING}",
        rf"\bnothing\b.*(?:{STATING}|\babout\b|\bon\b|\bof\b|\bthere\b|\bin\b)|{STATING} nothing\b",
        rf"\bneither\b.*{STATING}|\bnowhere\b",
        r"\b(?:unknown|unstated|unspecified|undisclosed|unmentioned|unclear|undetermined|unrecorded|unlisted|unnamed)\b",
        r"\b(?:missing|absent|omitted|left out|left open|leaves? (?:\w+ ){0,4}(?:open|out|unsaid|unanswered|unsaid))\b",
        rf"\b(?:can not|cannot|could not|unable to|impossible to|not possible to|no way to) (?:\w+ )?{LEARNING}\b",
        r"\b(?:do|does|did) not (?:\w+ )?(?:know|have|help|go into|say)\b|\bno idea\b",
        r"\b(?:is|stays|remains|keeps) (?:\w+ )?(?:silent|quiet)\b|\bsilent (?:on|about)\b",
        rf"\b(?:fails|neglects|forgets|omits) to {STATING}",
        r"\bonly\b.*\b(?:other|another|not)\b",
        rf"\bonly (?:\w+ ){{1,5}}(?:is|are) {STATING}",
        rf"\b{STATING} no (?!later|earlier|more|less|fewer|\d)",
    )
)


def claims_absence(text: str) -> bool:
    """Return whether ``text`` says, in one of many ways, that something is not stated or cannot be known."""
    plain = text.lower().replace("’", "'")
    plain = re.sub(r"\b(can)'?t\b", r"\1 not", plain)
    plain = re.sub(r"\b(do|does|did|is|are|was|were|has|have|could|would)n'?t\b", r"\1 not", plain)
    plain = re.sub(r"\bn/a\b", "unknown", plain)
    plain = " ".join(re.sub(r"[^\w\s.;]", " ", plain).split())
    return any(pattern.search(sentence) for sentence in re.split(r"[.;]", plain) for pattern in PATTERNS)
