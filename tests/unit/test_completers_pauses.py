"""How long to wait: headers of every form, values by hand, and bounds of the random pause."""

import pytest

from tutelage.completers.endpoints import pauses
from tutelage.completers.endpoints.pauses import Patience, exhausted_for, retry_after

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
EPOCH = 1_445_412_480  # the same moment


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_is_read_by_the_servers_clock_and_without_one_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for jump in (0, -86_400, 86_400):

        class Clock:
            @staticmethod
            def now(zone: object, jump: int = jump) -> "Clock":
                return Clock()

            def timestamp(self, jump: int = jump) -> float:
                return EPOCH + jump

        monkeypatch.setattr(pauses, "datetime", Clock)
        later = "Wed, 21 Oct 2015 07:28:30 GMT"
        assert retry_after({"retry-after": later, "date": DATE}) == 30.0
        assert retry_after({"retry-after": later}) == max(0.0, 30.0 - jump)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "9s"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30.5s"}, 90.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h2m3s"}, 3723.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2.5"}, 2.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "whenever"}, 0.0),
        ({"x-ratelimit-remaining-tokens": "99", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "100", "x-ratelimit-reset-tokens": "6m0s"}, 0.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{EPOCH + 12}", "date": DATE}, 12.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{EPOCH + 12}000", "date": DATE}, 12.0),
    ],
)
def test_rate_limit_headers(headers: dict[str, str], seconds: float) -> None:
    assert exhausted_for(headers, tokens=100) == pytest.approx(seconds)


def test_the_pause_is_drawn_from_the_whole_range_and_bounded() -> None:
    patience = Patience(base_s=0.5, longest_s=4.0)
    for tries, most in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 4.0), (5000, 4.0)):
        drawn = [patience.pause(tries) for _ in range(400)]
        assert 0 <= min(drawn) < 0.1 * most
        assert 0.9 * most < max(drawn) <= most
