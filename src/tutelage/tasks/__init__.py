"""What can be asked and how an answer is checked.

| task | dimension | what |
|---|---|---|
| ``constraints`` | instruction_following | short requests with one to four verifiable constraints |
| ``grounded`` | faithfulness | questions about passages on invented entities, answered or admitted to be open |
| ``safety`` | safety | harmful requests to refuse, harmless look-alikes to help with |

``protocol`` holds the contract, ``build`` makes tasks from a recipe, ``audits`` what second checks share.
"""

from tutelage.tasks.protocol import Task

__all__ = ["Task"]
