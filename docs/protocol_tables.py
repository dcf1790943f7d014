"""The tables of docs/protocol.md, from the shapes of realtime/: what may be sent, and what of it counts.

A note on a table's row is the docstring of the class, or below the field, that it is about.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from itertools import chain
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from realtime.client_events import InputAudioBufferAppend, ResponseParams, TypedEvent
from realtime.error_codes import CODES
from realtime.items import WireInput, WireItem
from realtime.parse import EVENT_KINDS
from realtime.server_events import NOTES, EventType
from realtime.session_shape import Session
from realtime.validation import Kinds, Wire

WITHOUT_EFFECT = "Without effect"
"""Begins the note of a field that is accepted and echoed, and no more."""

_NAMES = {str: "text", int: "integer", float: "number", bool: "boolean", dict: "object", Any: "anything"}


def client_events() -> str:
    shapes = (InputAudioBufferAppend, *get_args(TypedEvent))
    rows = sorted((_kind(shape), _first_paragraph(shape)) for shape in shapes)
    return _table(["event", ""], ((f"`{kind}`", note) for kind, note in rows))


def server_events() -> str:
    return _table(["event", ""], ((f"`{kind}`", NOTES.get(kind, "")) for kind in get_args(EventType)))


def session() -> str:
    return _fields_table(Session)


def response() -> str:
    return _fields_table(ResponseParams)


def items() -> str:
    """Kinds of items, and of what they hold."""
    rows = []
    for item in _shapes(WireItem):
        fields = item.model_fields
        of = f", `role` `{_only(fields['role'].annotation)}`" if "role" in fields else ""
        rows.append((f"`{_kind(item)}`{of}", _first_paragraph(item)))
        parts = _shapes(fields["content"].annotation) if "content" in fields else ()
        rows += [(f"— part `{_kind(part)}`", _first_paragraph(part)) for part in parts]
    rows += [
        (f"`{_kind(each)}`", _first_paragraph(each))
        for each in set(_shapes(WireInput)) - set(_shapes(WireItem))
    ]
    return _table(["item", ""], rows)


def refused() -> str:
    """Kinds that the protocol has and this server has not, wherever one may stand."""
    found = dict(_refused(Session, "session"))
    found |= dict(_refused(ResponseParams, "response"))
    found |= dict(_refused_in(WireItem, "item"))
    found["type"] = EVENT_KINDS
    rows = (
        (f"`{path}`", ", ".join(f"`{each}`" for each in kinds.later), kinds.remedy)
        for path, kinds in sorted(found.items())
    )
    return _table(["field", "kinds", "instead"], rows)


def errors() -> str:
    return _table(["code", "when"], ((f"`{code}`", when) for code, when in CODES.items()))


def _table(head: list[str], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]).replace("|  |", "| |")


def _fields_table(shape: type[Wire]) -> str:
    rows = dict.fromkeys((f"`{path}`", values, note) for path, values, note in _fields(shape, ""))
    return _table(["field", "values", ""], rows)


def _fields(shape: type[Wire], path: str) -> Iterator[tuple[str, str, str]]:
    """Path, values and note of each field, and of those inside it."""
    notes = _notes(shape)
    for name, field in shape.model_fields.items():
        if name == "type" and path:
            continue  # told by the field that holds it
        at = f"{path}.{name}" if path else name
        yield (
            at,
            _values(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation),
            notes.get(name, ""),
        )
        if notes.get(name, "").startswith(WITHOUT_EFFECT) or (shape is ResponseParams and name == "input"):
            continue  # what is inside matters to nobody, or has a table of its own
        for inner in _shapes(field.annotation):
            yield from _fields(inner, f"{at}[]" if _is_list(field.annotation) else at)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _values(annotation: Any) -> str:
    """What may stand in a field, in words."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(args[0]) + _limits(args[1:])
    if origin in (Union, UnionType):
        words = ", ".join(dict.fromkeys(_values(arg) for arg in args))
        return words.replace(", object of type ", ", ") if words.startswith("object") else words
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in args)
    if origin is list:
        return f"list of {_values(args[0])}"
    if origin is dict:
        return "object"
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        kind = annotation.model_fields.get("type")
        return f"object of type {_values(kind.annotation).removesuffix(', null')}" if kind else "object"
    return _NAMES[annotation]


def _limits(metadata: Iterable[Any]) -> str:
    flat = list(
        chain.from_iterable(each.metadata if isinstance(each, FieldInfo) else [each] for each in metadata)
    )
    least: Any = next((each.ge for each in flat if isinstance(each, Ge)), None)
    most: Any = next((each.le for each in flat if isinstance(each, Le)), None)
    longest = next((each.max_length for each in flat if isinstance(each, MaxLen)), None)
    if longest is not None:
        return f" (≤ {longest})"
    if least is None and most is None:
        return ""
    if most is None:
        return f" (≥ {least})"
    return f" ({most})" if least == most else f" ({least} to {most})"


def _shapes(annotation: Any) -> list[type[Wire]]:
    """The objects in an annotation, not those inside them."""
    if isinstance(annotation, type) and issubclass(annotation, Wire):
        return [annotation]
    args = get_args(annotation)
    inner = args[:1] if get_origin(annotation) is Annotated else args
    return list(chain.from_iterable(map(_shapes, inner)))


def _refused(shape: type[Wire], path: str) -> Iterator[tuple[str, Kinds]]:
    for name, field in shape.model_fields.items():
        if name != "input":
            yield from _refused_in(Annotated[field.annotation, None, *field.metadata], f"{path}.{name}")


def _refused_in(annotation: Any, path: str) -> Iterator[tuple[str, Kinds]]:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        for each in args[1:]:
            if isinstance(each, BeforeValidator) and isinstance(each.func, Kinds) and each.func.later:
                yield f"{path}.type", each.func
        yield from _refused_in(args[0], path)
    elif isinstance(annotation, type) and issubclass(annotation, Wire):
        yield from _refused(annotation, path)
    else:
        for arg in args:
            yield from _refused_in(arg, f"{path}[]" if origin is list else path)


def _kind(shape: type[Wire]) -> str:
    return _only(shape.model_fields["type"].annotation)


def _only(annotation: Any) -> str:
    [value] = get_args(annotation)
    return str(value)


def _first_paragraph(shape: type[Wire]) -> str:
    text = shape.__dict__.get("__doc__") or ""
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())


def _notes(shape: type[Wire]) -> dict[str, str]:
    """The docstrings below its fields."""
    found: dict[str, str] = {}
    for each in reversed(shape.__mro__):
        if issubclass(each, Wire) and each is not Wire:
            [tree] = ast.parse(textwrap.dedent(inspect.getsource(each))).body
            assert isinstance(tree, ast.ClassDef)
            for field, below in zip(tree.body, tree.body[1:], strict=False):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                        value=ast.Constant(value=str(text))
                    ):
                        found[name] = " ".join(text.split())
    return found
