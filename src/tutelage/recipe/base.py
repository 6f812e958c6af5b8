"""The base of every section of a recipe."""

import re
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

# 1e-4 is a number to people and a text to YAML 1.1, which wants 1.0e-4.
_WITH_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


class Section(BaseModel):
    """A frozen section: unknown keys are refused, and the docstring under a field is its help text everywhere.

    Yes, no and texts are no numbers here, though pydantic would take them for some: ``rounds: yes`` is no round.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Set a check before every number of the section's own fields.

        A validator of all fields would be shorter, but pydantic refuses one before the field that tells kinds apart.
        """
        schema = handler(source)
        inner: Any = schema
        while inner["type"] not in {"model-fields", "definition-ref"}:
            inner = inner["schema"]
        for field in inner.get("fields", {}).values():
            field["schema"] = _checked(field["schema"])
        return schema


def _checked(schema: Any) -> CoreSchema:
    """The schema of a value with a check before every number in it; sections inside have seen to theirs."""
    match schema["type"]:
        case "int":
            return no_info_before_validator_function(_whole_number, schema)
        case "float":
            return no_info_before_validator_function(_number, schema)
        case "default" | "nullable":
            schema["schema"] = _checked(schema["schema"])
        case "dict":
            schema["values_schema"] = _checked(schema["values_schema"])
        case "tuple":
            schema["items_schema"] = [_checked(member) for member in schema["items_schema"]]
    return cast(CoreSchema, schema)


def _whole_number(value: object) -> object:
    if isinstance(value, bool | str):
        raise _disguised(value, "a whole number")
    return value


def is_number(text: str) -> bool:
    """Whether a text is a number with an exponent, as people write one."""
    return _WITH_EXPONENT.fullmatch(text) is not None


def _number(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, str) and not is_number(value)):
        raise _disguised(value, "a number")
    return value


def _disguised(value: bool | str, wanted: str) -> PydanticCustomError:
    kind = "yes or no" if isinstance(value, bool) else "a text"
    remedy = "write it in digits, without quotes"
    return PydanticCustomError(
        "number", "expected {wanted}, not {kind}", {"wanted": wanted, "kind": kind, "remedy": remedy}
    )
