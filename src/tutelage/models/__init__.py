"""Models: loading, the chat template with the loss mask, and a tiny one in memory.

| file | what it holds |
|---|---|
| ``template`` | ``ChatTemplate``, ``Encoded``: text, ids and loss mask of a conversation |
| ``template_file`` | chat templates in place of the tokenizer's own, read before any model is opened |
| ``chatml`` | such a template put in, and ChatML refused where its tokens are not |
| ``new_tokens`` | tokens that a template needs and a tokenizer lacks, and their rows |
| ``rendering`` | conversations to text by the tokenizer's own template |
| ``user_turn`` | where a user's words stand in it, for a model that writes them |
| ``spans`` | where the assistant's words lie in that text, for any template |
| ``reasoning`` | taking the reasoning out of a completion |
| ``token_bytes`` | the bytes that each token stands for |
| ``load`` | ``load_bundle``, ``load_template``, ``save_folder`` |
| ``bundle`` | ``Bundle``, ``ModelSource`` |
| ``gguf_file`` | a GGUF file as a cached model folder |
| ``gguf_header`` | the plain metadata of a GGUF file |
| ``default`` | the file of the default model |
| ``gguf_writing`` | a model as a GGUF file |
| ``plain`` | model and adapter folders as transformers and PEFT alone write and read them |
| ``adapters`` | putting a PEFT adapter onto a model |
| ``rewards`` | a language model as a reward model |
| ``hardware`` | device and arithmetic |
| ``tiny`` | ``tiny_model``: random weights, no files |
| ``logprobs`` | the plain log-probabilities that faster code is measured against |
| ``surprise`` | an answer after its prompt and by itself |
| ``embeddings`` | texts as numbers: by a language model's hidden states, or a sentence encoder |
| ``logits`` | what a model computes on rows, and how far two readings are apart |
| ``faults`` | faults of the libraries below in words |
| ``quiet`` | silence from the libraries below |
"""
