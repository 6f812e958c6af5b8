"""A vLLM server, started or joined, whose prompts are token for token those of the local engine.

| file | what it holds |
|---|---|
| ``completer`` | ``VllmCompleter``, and the comparison of prompts |
| ``server``, ``guard`` | starting a server, and ending it with whoever started it |
| ``api`` | what a server is asked beside answers |
| ``adapter`` | which adapters vLLM takes |
"""
