"""Completers: whatever answers. Student, teacher and judge are all of them.

| file | what it holds |
|---|---|
| ``protocol`` | ``Completer``: requests in, answers out |
| ``local`` | ``LocalCompleter``: transformers, the reference engine of every score |
| ``ct2`` | ``CTranslate2Completer``: int8 on the CPU, makes training data |
| ``endpoints/`` | ``RemoteCompleter``: any OpenAI-compatible endpoint; several in order; what they cost |
| ``vllm/`` | ``VllmCompleter``: a vLLM server with the prompts of the local engine |
| ``scripted`` | ``ScriptedCompleter``: answers written beforehand |
| ``structured/`` | answers in a form: found, repaired, validated, asked for again, counted |
| ``replay`` | asking in fixed chunks and never twice |
| ``preparation`` | requests to prompts, ids to answers |
| ``decoding``, ``slots``, ``sampling`` | batched decoding: who is in the batch, its keys and values, the next token |
| ``held`` | answers held to a schema: what may come next |
| ``conversion`` | a model as a CTranslate2 folder |

Nothing is imported here: ``local``, ``ct2``, ``decoding``, ``slots``, ``sampling``, ``held`` and ``conversion`` need
torch, the others must not wait for it.
"""
