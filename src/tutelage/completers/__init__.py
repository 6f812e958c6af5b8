"""Completers: whatever answers. Student, teacher and judge are all of them.

| file | what it holds |
|---|---|
| ``protocol`` | ``Completer``: requests in, answers out |
| ``local`` | ``LocalCompleter``: transformers, the reference engine of every score |
| ``ct2`` | ``CTranslate2Completer``: int8 on the CPU, makes training data |
| ``remote`` | ``RemoteCompleter``: any OpenAI-compatible endpoint |
| ``fallback`` | ``FallbackCompleter``: several in order, the next for what one does not answer |
| ``asking`` | many requests at once: tries, pauses, when to give up |
| ``gate`` | the adaptive number in flight |
| ``pauses`` | how long to wait: headers, random backoff |
| ``exchange`` | one request and what comes back |
| ``wire`` | conversations and answers as the protocol writes them |
| ``media`` | images and recordings as the protocol writes them |
| ``spending`` | what it costs, and the ceiling |
| ``address`` | what can be known of an endpoint before anything is sent |
| ``vllm`` | ``VllmCompleter``: a vLLM server with the prompts of the local engine |
| ``vllm_server``, ``vllm_guard`` | starting a server, and ending it with whoever started it |
| ``vllm_api`` | what a server is asked beside answers |
| ``vllm_adapter`` | which adapters vLLM takes |
| ``scripted`` | ``ScriptedCompleter``: answers written beforehand |
| ``structured`` | answers in a form: found, repaired, validated, asked for again, counted |
| ``forms`` | a pydantic model or a JSON schema as a form |
| ``json_text`` | JSON in what a model wrote |
| ``replay`` | asking in fixed chunks and never twice |
| ``preparation`` | requests to prompts, ids to answers |
| ``decoding``, ``slots``, ``sampling`` | batched decoding: who is in the batch, its keys and values, the next token |
| ``conversion`` | a model as a CTranslate2 folder |

Nothing is imported here: ``local``, ``ct2``, ``decoding``, ``slots``, ``sampling`` and ``conversion`` need torch, the
others must not wait for it.
"""
