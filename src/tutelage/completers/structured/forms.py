"""Forms of answers: a pydantic model or a JSON schema as what a server is sent, and as what reads an answer."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import BaseModel, JsonValue, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from tutelage.completers.structured.json_text import JsonObject
from tutelage.records import AnswerSchema

V = TypeVar("V")
M = TypeVar("M", bound=BaseModel)

_MOST_FAULTS = 8
# What every server that holds a model to a schema reads. Lengths, ranges and patterns are checked here alone.
_KEPT = {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"}
_KEPT |= {"description"}
_DROPPED = {"title", "default", "examples", "discriminator", "format", "pattern", "minLength", "maxLength", "minItems"}
_DROPPED |= {"maxItems", "uniqueItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}


class NotOfForm(ValueError):
    """A value that does not fit; ``faults`` say where and what, in words that its writer can mend it by."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(faults))


@dataclass(frozen=True, slots=True)
class Form(Generic[V]):
    """What is asked for: the schema that is sent, and what makes a value of JSON or raises :class:`NotOfForm`."""

    schema: AnswerSchema
    read: Callable[[JsonObject], V]

    @property
    def words(self) -> str:
        """How the form is asked for in a prompt: no engine has to hold the model to it."""
        schema = json.dumps(self.schema.json_schema, ensure_ascii=False)
        return f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{schema}"


def form_of(model: type[M]) -> Form[M]:
    """Return the form of a pydantic model; its schema is of the strict subset: no more keys, all of them required.

    Keys with a default are asked for too, though an answer may leave them out. Raises ``ValueError`` for a model that
    the subset cannot say: dictionaries with free keys, tuples, values of any kind.
    """
    written = _strict(model.model_json_schema(), model.__name__)
    assert isinstance(written, dict)

    def read(value: JsonObject) -> M:
        try:
            return model.model_validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            raise NotOfForm([_fault(dict(fault)) for fault in error.errors(include_url=False)][:_MOST_FAULTS]) from None

    return Form(AnswerSchema(name=model.__name__, json_schema=written), read)


def form_of_schema(name: str, schema: JsonObject) -> Form[JsonObject]:
    """Return the form of a JSON schema (draft 2020-12) of an object; it is sent as it is, as strict if it is.

    Raises ``ValueError`` for a schema that is none, or not of an object.
    """
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"{name} is no JSON schema: {error.message}") from error
    if schema.get("type") != "object":
        raise ValueError(f"{name}: servers take schemas of objects alone, and its type is {schema.get('type')!r}")
    validator = Draft202012Validator(schema, registry=Registry())  # of references to elsewhere none is fetched

    def read(value: JsonObject) -> JsonObject:
        try:
            found = sorted(validator.iter_errors(value), key=lambda error: error.json_path)
        except Unresolvable as error:
            raise ValueError(f"{name} refers to {error.ref}, and nothing is fetched") from error
        if found:
            raise NotOfForm([f"{error.json_path.removeprefix('$.')}: {error.message}"[:300] for error in found][:8])
        return value

    return Form(AnswerSchema(name=name, json_schema=schema, strict=is_strict(schema)), read)


def is_strict(schema: JsonValue) -> bool:
    """Whether every object in ``schema`` requires all its keys and takes no others, and nothing else is in it."""
    if not isinstance(schema, dict) or not schema.keys() <= _KEPT:
        return False
    properties = cast(JsonObject, schema.get("properties", {}))
    if schema.get("type") == "object":
        required = cast(list[str], schema.get("required", []))
        if schema.get("additionalProperties") is not False or set(required) != properties.keys():
            return False
    return all(is_strict(part) for part in _parts(schema))


def _parts(schema: JsonObject) -> Iterator[JsonValue]:
    for key in ("properties", "$defs"):
        yield from cast(JsonObject, schema.get(key, {})).values()
    yield from cast(list[JsonValue], schema.get("anyOf", []))
    if "items" in schema:
        yield schema["items"]


def _strict(schema: JsonValue, where: str) -> JsonValue:
    """The schema of the strict subset; ``where`` names its place for errors."""
    if not isinstance(schema, dict) or not schema.keys() & {"type", "enum", "const", "anyOf", "oneOf", "$ref"}:
        raise ValueError(f"{where}: a form cannot hold a value of any kind")
    unknown = schema.keys() - _KEPT - _DROPPED - {"oneOf"}
    if unknown or isinstance(schema.get("additionalProperties"), dict):
        said = ", ".join(sorted(unknown)) or "free keys"
        raise ValueError(f"{where}: what servers hold models to has no {said}; use models, lists, texts and numbers")
    made: JsonObject = {key: schema[key] for key in schema if key in _KEPT}
    if schema.get("type") == "object":
        properties = cast(JsonObject, schema.get("properties", {}))
        if not properties:
            raise ValueError(f"{where}: a form cannot hold free keys; name them")
        made["properties"] = {key: _strict(part, f"{where}.{key}") for key, part in properties.items()}
        made["required"] = list(properties)
        made["additionalProperties"] = False
    if "items" in schema:
        made["items"] = _strict(schema["items"], f"{where}[]")
    if either := schema.get("anyOf", schema.get("oneOf")):
        made["anyOf"] = [_strict(part, where) for part in cast(list[JsonValue], either)]
    if "$defs" in schema:
        made["$defs"] = {key: _strict(part, key) for key, part in cast(JsonObject, schema["$defs"]).items()}
    return made


def _fault(fault: Mapping[str, object]) -> str:
    loc = cast(tuple[str | int, ...], fault["loc"])
    key = ".".join(str(part) for part in loc)
    match fault["type"]:
        case "missing":
            return f"the key {key} is missing"
        case "extra_forbidden":
            return f"there must be no key {key}"
        case _:
            received = json.dumps(fault["input"], ensure_ascii=False, default=str)[:80]
            what = str(fault["msg"]).replace("Input should be", "expected").removeprefix("Value error, ")
            return f"{key or 'the object'}: {what}, received {received}"
