"""Whatever two endpoints do: each request ends in one answer or one named failure, or one error names the endpoints."""

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.endpoint import COMPLETION_TOKENS, FAULTS, PROMPT_TOKENS, Misbehaviour, endpoint
from support.fallback import ask, both
from tutelage.completers.endpoints.pauses import Patience
from tutelage.errors import CompletionError
from tutelage.records import Answer

PATIENCE = Patience(retries=1, base_s=0.001, longest_s=0.002, total_s=5, connect_s=5, answer_s=0.3)
COUNT = 40
ENDS = ("402", "401")
behaviours = st.builds(
    Misbehaviour,
    share=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    faults=st.lists(st.sampled_from([*FAULTS, *ENDS]), min_size=1, max_size=4, unique=True).map(tuple),
    seed=st.integers(0, 99),
    refused=st.sampled_from([0.0, 0.2, 1.0]),
    filtered=st.sampled_from([0.0, 0.2]),
    quota=st.sampled_from([0, 0, 7]),
    dies_after=st.sampled_from([0, 0, 11]),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(behaviours, behaviours, st.sampled_from([1, 3, 16]))
def test_each_request_ends_once(one: Misbehaviour, two: Misbehaviour, concurrency: int) -> None:
    one.name, two.name = "one", "two"
    arrived = list[Answer]()
    error: CompletionError | None = None
    with endpoint(one) as first, endpoint(two) as second:
        completer, cheap, dear = both(first, second, concurrency=concurrency, patience=PATIENCE)
        with completer:
            try:
                arrived.extend(completer.complete(ask(COUNT)))
            except CompletionError as fault:
                error = fault
    ended = Counter(answer.request_id for answer in arrived)
    assert set(ended.values()) <= {1}, "no request ends twice"
    if error is None:
        assert len(ended) == COUNT, "without an error each one ends"
    else:
        assert "none of the 2 endpoints can be used" in str(error)
        assert "m at first: the" in str(error)
        assert "m at second: the" in str(error)
    for answer in arrived:
        if answer.finish == "error":
            assert "m at first" in answer.error
            assert "m at second" in answer.error
            continue
        name = {"m at first": "one", "m at second": "two"}[answer.by]
        assert answer.text == f"Answer to q{answer.request_id[1:]} by {name}"
    for purse, server in ((cheap, first), (dear, second)):
        assert purse.reserved.all == 0
        assert purse.spent.all >= server.paid.total() * (PROMPT_TOKENS + COMPLETION_TOKENS)
