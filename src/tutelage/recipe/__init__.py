"""The whole configuration of a run: one schema for validation, help, forms and the generated reference.

| file | section |
|---|---|
| ``recipe`` | ``Recipe``: everything |
| ``model`` | the starting model and the engines |
| ``vllm`` | a vLLM server as the engine that samples |
| ``tasks`` | what is learned and measured |
| ``construct``, ``teacher``, ``judge`` | how data is made, and who teaches and judges |
| ``curate`` | which rows are kept |
| ``tune`` | how the model is tuned |
| ``objectives``, ``grpo`` | what is minimized |
| ``methods``, ``soft_methods`` | which weights move |
| ``evaluate`` | how much is measured, and the controls |
| ``reflect`` | planning and promotion |
| ``contradictions`` | settings that would be ignored beside others |
| ``load`` | reading a file, with errors by line and key |
| ``custom`` | loading a user's own objects |
| ``inputs`` | the files of a user's own that a recipe names |
"""

from tutelage.recipe.load import load_recipe, parse_recipe
from tutelage.recipe.recipe import Recipe

__all__ = ["Recipe", "load_recipe", "parse_recipe"]
