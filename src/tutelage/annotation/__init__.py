"""What people do: items that wait in a queue, several people for each, their judgments, agreement, and records of it.

| file | what |
|---|---|
| ``work`` | kinds of work: write, correct, rate, rank, choose, label, spans |
| ``items`` | ``WorkItem``: what is asked about |
| ``responses`` | what people say, and the check that it fits |
| ``views`` | what the store gives out: projects, assignments, judgments, progress |
| ``faults`` | wrong token, stale revision |
| ``agreement`` | how far people agree, over all and on each item |
| ``decisions`` | what they decided together; quality Q |
| ``export`` | judgments as examples and preferences |
| ``bundle``, ``formats`` | a whole project as files: our own, CSV, Argilla's, Label Studio's |
| ``sql`` | the store: SQLite or PostgreSQL |

Torch-free. What has no SQL in it needs no extra.
"""
