"""Asks endpoints for answers with a log, as construct does: ``python teaching.py FOLDER COUNT URL [URL]``."""

import sys
from pathlib import Path

from tutelage.completers.endpoints.fallback import FallbackCompleter, Member
from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.endpoints.spending import Paid, Purse
from tutelage.completers.replay import answer_all
from tutelage.records import Answer, Request, Sampling, user
from tutelage.records.jsonl import RecordLog

PATIENCE = Patience(retries=8, base_s=0.002, longest_s=0.02, answer_s=1)


def main() -> None:
    """Ask, and say how many answers there are."""
    folder, count, first, *others = Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    requests = [
        Request(id=f"r{n}", messages=(user(f"q{n}"),), sampling=Sampling(max_tokens=20), seed=n) for n in range(count)
    ]
    purse = Purse(log=RecordLog(folder / "spending.jsonl", Paid), to=first)
    members = [Member(first, _endpoint(first, purse))]
    members += [Member(url, _endpoint(url, purse.beside(None, to=url))) for url in others]
    with FallbackCompleter(members) if others else members[0].completer as completer:
        answers = answer_all(
            lambda: completer, requests, log=RecordLog(folder / "answers.jsonl", Answer), chunk=32, label="teacher"
        )
    print(sum(answer.finish == "stop" for answer in answers))


def _endpoint(url: str, purse: Purse) -> RemoteCompleter:
    return RemoteCompleter(url, "m", concurrency=16, patience=PATIENCE, purse=purse)


if __name__ == "__main__":
    main()
