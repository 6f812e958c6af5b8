"""OpenAI-compatible endpoints: vLLM, Ollama, llama.cpp, TGI or a hosted service.

| file | what it holds |
|---|---|
| ``remote`` | ``RemoteCompleter``: one endpoint |
| ``fallback`` | ``FallbackCompleter``: several in order, the next for what one does not answer |
| ``asking`` | many requests at once: tries, pauses, when to give up |
| ``gate`` | the adaptive number in flight |
| ``pauses`` | how long to wait: headers, random backoff |
| ``exchange`` | one request and what comes back |
| ``wire`` | conversations and answers as the protocol writes them |
| ``logprobs`` | log-probabilities as the protocol writes them |
| ``media`` | images and recordings as the protocol writes them |
| ``spending`` | what it costs, and the ceiling |
| ``address`` | what can be known of an endpoint before anything is sent |
"""
