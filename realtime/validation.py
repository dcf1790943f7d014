"""Strict shapes for what clients send, and their failures as protocol errors.

One rule of the protocol lives here: null for a field that cannot be null means "not given". The codes and the
wording of the messages follow what the hosted service was seen to answer, since clients match on them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from conversation.errors import ClientError

T = TypeVar("T")


class Wire(BaseModel):
    """A JSON object of the protocol: nothing unknown in it, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if not null_is_not_given(cls, name, value)}


def null_is_not_given(shape: type[Wire], name: str, value: Any) -> bool:
    return value is None and name in _never_null(shape)


@functools.cache
def _never_null(shape: type[Wire]) -> frozenset[str]:
    return frozenset(
        name
        for name, field in shape.model_fields.items()
        if field.annotation is not None and type(None) not in get_args(field.annotation)
    )


@dataclass(frozen=True, slots=True)
class Kinds:
    """Checks the `type` of an object: which it may be, and which this server cannot serve yet."""

    supported: tuple[str | None, ...]
    later: tuple[str, ...]
    remedy: str

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, dict) or (kind := value.get("type")) in self.supported:
            return value
        tag = {"discriminator": "'type'"}
        if kind is None:
            raise PydanticCustomError("union_tag_not_found", "no type", tag)
        if kind in self.later:
            what = f"'{kind}' is not supported yet: {self.remedy}"
            raise PydanticCustomError("unsupported_value", "{what}", {"what": what, **tag})
        expected = ", ".join(f"'{one}'" for one in self.supported if one)
        raise PydanticCustomError(
            "union_tag_invalid", "unknown type", {"tag": kind, "expected_tags": expected, **tag}
        )


def kinds(*supported: str | None, later: Sequence[str] = (), remedy: str = "") -> BeforeValidator:
    """Marks a union of objects told apart by their `type`, some of which this server cannot serve yet.

    None among the supported: without a type, an object is of the one kind there is.
    """
    return BeforeValidator(Kinds(supported, tuple(later), remedy))


def text_or_object(value: Any) -> str:
    """The tag of a union between words and an object, such as ``"auto" | {...}``."""
    return "object" if isinstance(value, dict | Wire) else "text"


def checked(shape: TypeAdapter[T], given: Any, at: str = "") -> T:
    """`given` as `shape`. Raises ClientError for the first thing wrong with it.

    Args:
        at: the path of `given` inside its event; names in errors start with it.
    """
    try:
        return shape.validate_python(given)
    except ValidationError as error:
        raise _first_of(error, given, at) from None


def shown(value: Any, limit: int = 100) -> str:
    """A value as a message quotes it; never longer than a line, whatever the client sent."""
    if isinstance(value, dict | list):
        return _kind(value)
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= limit else f"{text[:limit]}…"


def _first_of(error: ValidationError, given: Any, at: str) -> ClientError:
    try:
        return _client_error(error.errors(include_url=False)[0], given, at)
    except UnicodeEncodeError:  # pydantic cannot quote it
        return ClientError(
            "invalid_value", "Invalid value: half of a surrogate pair, which is no character.", at or None
        )


def _client_error(detail: ErrorDetails, given: Any, at: str) -> ClientError:
    kind, value = detail["type"], detail["input"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    param = _path(detail["loc"], given, at, ends_with_new_name=kind == "missing")
    if "discriminator" in context:
        field = context["discriminator"].strip("'")
        param = _joined(param, field)
        if isinstance(value, dict) and value.get(field) is None:
            kind = "missing"
    name = shown(param)
    if kind in ("missing", "union_tag_not_found"):
        return ClientError("missing_required_parameter", f"Missing required parameter: {name}.", param)
    if kind == "extra_forbidden":
        return ClientError("unknown_parameter", f"Unknown parameter: {name}.", param)
    if kind == "unsupported_value":
        return ClientError("unsupported_value", context["what"], param)
    if kind == "union_tag_invalid":
        return _not_one_of(context["tag"], context["expected_tags"], param)
    if kind == "literal_error":
        return _not_one_of(value, context["expected"].replace(" or ", ", "), param)
    if kind in _EXPECTED:
        return ClientError(
            "invalid_type",
            f"Invalid type for {name}: expected {_EXPECTED[kind]}, but got {_kind(value)} instead.",
            param,
        )
    return _out_of_bounds(kind, value, context, param) or ClientError(
        "invalid_value", f"Invalid {name}: {detail['msg']}.", param
    )


def _not_one_of(value: Any, supported: str, param: str) -> ClientError:
    return ClientError(
        "invalid_value", f"Invalid value: {shown(value)}. Supported values are: {supported}.", param
    )


def _out_of_bounds(kind: str, value: Any, context: Mapping[str, Any], param: str) -> ClientError | None:
    if kind not in _BOUNDS:
        return None
    key, suffix, words = _BOUNDS[kind]
    sort = _SORT[type(value)]
    code = f"{sort}_{suffix}"
    size = len(value) if isinstance(value, str | list | dict) else value
    return ClientError(
        code, f"Invalid {shown(param)}: {sort} {words} {context[key]}, but got {size} instead.", param
    )


def _path(loc: Sequence[str | int], given: Any, at: str, *, ends_with_new_name: bool) -> str:
    """``("session", "audio", "server_vad", "threshold")`` as ``session.audio.threshold``.

    Pydantic's location also names the branch taken in a union; what is not a step into `given` is left out.
    """
    path, here = at, given
    for nth, step in enumerate(loc):
        if isinstance(step, int) and isinstance(here, list) and step < len(here):
            path, here = f"{path}[{step}]", here[step]
        elif isinstance(here, dict) and step in here:
            path, here = _joined(path, step), here[step]
        elif ends_with_new_name and nth == len(loc) - 1:
            path = _joined(path, step)
    return path


def _joined(path: str, name: str | int) -> str:
    return f"{path}.{name}" if path else str(name)


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), "something else")


_KINDS = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
}
_SORT = {int: "integer", float: "decimal", str: "string", list: "array", dict: "object"}
_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "below_min_value", "below minimum value. Expected a value >="),
    "less_than_equal": ("le", "above_max_value", "above maximum value. Expected a value <="),
    "string_too_short": ("min_length", "below_min_length", "too short. Expected a length of at least"),
    "string_too_long": ("max_length", "above_max_length", "too long. Expected a length of at most"),
    "too_short": ("min_length", "below_min_length", "too short. Expected a length of at least"),
    "too_long": ("max_length", "above_max_length", "too long. Expected a length of at most"),
}
