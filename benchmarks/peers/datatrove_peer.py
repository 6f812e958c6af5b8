"""Near duplicates by datatrove's four steps of MinHash, in an environment of its own.

    python benchmarks/peers/datatrove_peer.py ROWS WORK WORKERS

It needs datatrove, spacy, orjson, tokenizers and xxhash below 4. ``ROWS`` is a folder of as many files of JSON Lines
(``id``, ``text``) as there are workers, ``WORK`` an empty folder. Settings are its defaults: 5-grams of words, 14
buckets of 8 hashes, English words, one of each cluster kept. Prints a line of JSON: ``seconds`` of each step and the
ids that were ``dropped``.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter


def main() -> None:
    rows, work, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    config = MinhashConfig()
    signatures, buckets, clusters, dropped = (str(work / name) for name in ("sigs", "buckets", "clusters", "dropped"))
    steps: list[tuple[str, list[Any], int]] = [
        (
            "signatures",
            [JsonlReader(rows, doc_progress=False), MinhashDedupSignature(signatures, config=config)],
            workers,
        ),
        ("buckets", [MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets),
        ("clusters", [MinhashDedupCluster(buckets, clusters, config=config)], 1),
        (
            "filter",
            [
                JsonlReader(rows, doc_progress=False),
                MinhashDedupFilter(clusters, exclusion_writer=JsonlWriter(dropped, compression=None)),
                JsonlWriter(str(work / "kept"), compression=None),
            ],
            workers,
        ),
    ]
    seconds = {}
    for name, pipeline, tasks in steps:
        began = time.monotonic()
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=workers, logging_dir=str(work / "logs" / name)).run()
        seconds[name] = round(time.monotonic() - began, 2)
    lines = (line for file in sorted(Path(dropped).glob("*.jsonl")) for line in file.read_text("utf-8").splitlines())
    print(json.dumps({"seconds": seconds, "dropped": sorted(json.loads(line)["id"] for line in lines)}))


if __name__ == "__main__":
    main()
