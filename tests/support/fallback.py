"""Two endpoints of the fault server as one completer, under one purse."""

from dataclasses import replace

from support.endpoint import Endpoint
from tutelage.completers.endpoints.fallback import FallbackCompleter, Member
from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.endpoints.spending import Limits, Paid, Purse, Tariff
from tutelage.records import Request, Sampling, user
from tutelage.records.jsonl import RecordLog

CHEAP, DEAR = Tariff(prompt=1.0, completion=10.0), Tariff(prompt=20.0, completion=50.0)
QUICK = Patience(retries=8, base_s=0.002, longest_s=0.02, total_s=30, connect_s=5, answer_s=0.6)
ONCE = replace(QUICK, retries=0)
MOST_TOKENS = 20


def ask(count: int, first: int = 0) -> list[Request]:
    """Requests r0, r1, … for q0, q1, …"""
    return [
        Request(id=f"r{n}", messages=(user(f"q{n}"),), sampling=Sampling(max_tokens=MOST_TOKENS), seed=n)
        for n in range(first, first + count)
    ]


def both(
    first: Endpoint,
    second: Endpoint,
    *,
    limits: Limits | None = None,
    log: RecordLog[Paid] | None = None,
    concurrency: int = 8,
    patience: Patience = QUICK,
) -> tuple[FallbackCompleter, Purse, Purse]:
    """Return the completer that asks ``first`` (cheap) and then ``second`` (dear), and what each is paid from."""
    cheap = Purse(CHEAP, limits, log=log, to="m at first")
    dear = cheap.beside(DEAR, to="m at second")
    members = [
        Member(purse.to, RemoteCompleter(server.url, "m", concurrency=concurrency, patience=patience, purse=purse))
        for server, purse in ((first, cheap), (second, dear))
    ]
    return FallbackCompleter(members), cheap, dear
