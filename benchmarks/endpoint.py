"""What asking an endpoint costs here: faults survived, requests a second, CPU seconds, memory.

    python benchmarks/endpoint.py --requests 10000 --output benchmarks/results/endpoint.json

A server in a process of its own (``tests/support/endpoint.py``, one thread of asyncio) answers after 50 ms. First it is
asked without faults, at 128 in flight, by a client that does nothing but write and read bytes on 128 connections (the
bare server), and then by the completer with its answer log and its log of spending. Then 20 % of exchanges fail: 429
with and without ``Retry-After``, 500, 503, hanging, connections cut before and within an answer, half a JSON, HTML, an
error with status 200, an empty answer; and every request must end in one answer or one named failure.

``bytes_a_request`` is by how much the process grew between a tenth of the requests answered and all of them: the
requests are there before, answers go to the log and are not kept. CPU seconds are of the client's process alone.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.endpoints.spending import Paid, Purse, Tariff
from tutelage.completers.endpoints.wire import write_body
from tutelage.files import write_atomic
from tutelage.records import Answer, Request, Sampling, user
from tutelage.records.jsonl import RecordLog

SERVER = Path(__file__).parents[1] / "tests" / "support" / "endpoint.py"
IN_FLIGHT = 128
LATENCY_S = 0.05


class Server:
    """The server in its own process."""

    def __init__(self, **settings: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def counted(self) -> dict[str, Any]:
        """What it has counted so far."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return dict(json.loads(self._line()))

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def make_requests(count: int) -> list[Request]:
    """Requests of about 200 characters, all different."""
    text = "Explain in two sentences what a careful reader should notice about case number "
    return [
        Request(id=f"r{n}", messages=(user(f"{text * 2}{n}."),), sampling=Sampling(max_tokens=64), seed=n)
        for n in range(count)
    ]


async def bare(url: str, bodies: Sequence[bytes]) -> float:
    """Requests a second of a client that only writes and reads bytes."""
    host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
    waiting = iter(bodies)

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for body in waiting:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(answer.split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
    return len(bodies) / (time.perf_counter() - began)


def memory() -> int:
    """Bytes of the process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure(url: str, requests: Sequence[Request], folder: Path) -> dict[str, Any]:
    """Ask all ``requests`` with logs in ``folder``; every one must end once."""
    log = RecordLog(folder / "answers.jsonl", Answer)
    purse = Purse(Tariff(1.0, 2.0), log=RecordLog(folder / "spending.jsonl", Paid))
    ended: set[str] = set()
    kinds: Counter[str] = Counter()
    early = 0
    wall, cpu = time.perf_counter(), time.process_time()
    with RemoteCompleter(
        url,
        "m",
        concurrency=IN_FLIGHT,
        patience=Patience(retries=8, base_s=0.1, longest_s=5.0, answer_s=5.0),
        purse=purse,
    ) as completer:
        for group in completer.groups(requests):
            log.append(*group)
            for answer in group:
                assert answer.request_id not in ended, "an answer came twice"
                ended.add(answer.request_id)
                kinds["answered" if answer.finish != "error" else "failed, named"] += bool(answer.text or answer.error)
                if len(ended) == len(requests) // 10:
                    early = memory()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert kinds.total() == len(requests), "a request got neither an answer nor a reason"
    late = memory()
    return {
        "ended": dict(kinds),
        "seconds": round(wall, 1),
        "requests_per_second": round(len(requests) / wall, 1),
        "cpu_ms_a_request": round(1000 * cpu / len(requests), 2),
        "megabytes": {"a tenth": round(early / 1e6, 1), "all": round(late / 1e6, 1)},
        "bytes_a_request": round((late - early) / (0.9 * len(requests))),
        "tokens_counted": purse.spent.all,
    }


def run(requests: Sequence[Request], settings: dict[str, object], *, with_bare: bool) -> dict[str, Any]:
    """One server, one measurement, in a folder that is thrown away."""
    server = Server(latency_s=LATENCY_S, **settings)
    try:
        found: dict[str, Any] = {}
        if with_bare:
            found["bare_requests_per_second"] = round(
                asyncio.run(bare(server.url, [write_body("m", request) for request in requests])), 1
            )
            server.stop()
            server = Server(latency_s=LATENCY_S, **settings)
        with tempfile.TemporaryDirectory() as folder:
            found |= measure(server.url, requests, Path(folder))
        counted = server.counted()
        met = counted["met"]
        faults = sum(number for name, number in met.items() if name != "none")
        found |= {"exchanges": sum(met.values()), "faults": faults, "completions_made": counted["paid"]}
        return found | {"made_twice": counted["twice"], "most_at_once": counted["most_at_once"], "met": met}
    finally:
        server.stop()


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=0.2, help="share of exchanges that fail")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", type=int, default=3000, help="requests without faults")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    report: dict[str, Any] = {
        "command": "python benchmarks/endpoint.py " + " ".join(sys.argv[1:]),
        "machine": {"python": platform.python_version(), "processors": os.cpu_count()},
        "load_before": [round(one, 2) for one in os.getloadavg()],
    }
    report["without faults"] = run(make_requests(args.plain), {}, with_bare=True)
    print(json.dumps(report["without faults"]), flush=True)
    behaviour = {"share": args.share, "seed": args.seed, "wait_s": 1}
    report["with faults"] = run(make_requests(args.requests), behaviour, with_bare=False)
    report["load_after"] = [round(one, 2) for one in os.getloadavg()]
    write_atomic(args.output, json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["with faults"]), flush=True)


if __name__ == "__main__":
    main()
