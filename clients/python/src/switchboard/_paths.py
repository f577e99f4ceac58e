"""Dotted paths: how a value inside of a setting is named, as on the command line.

The server knows keys alone, and dots mean nothing in them. A path is a key and what lies below
it; a part that holds dots is written in double quotes, as a JSON string.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from switchboard.errors import InvalidArgument
from switchboard.types import ABSENT, Absent


@dataclass(frozen=True, slots=True)
class Path:
    """A key, and the members that lead from its value to another."""

    key: str
    below: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join(map(_quoted, (self.key, *self.below)))

    def __truediv__(self, other: Path) -> Path:
        return Path(self.key, (*self.below, other.key, *other.below))


def parse(text: str) -> Path:
    """The path that a text names."""
    parts: list[str] = []
    rest = text
    while True:
        if rest.startswith('"'):
            try:
                part, end = _DECODER.raw_decode(rest)
            except ValueError:
                raise _malformed(text, f"{rest} is no JSON string") from None
        else:
            end = rest.find(".") if "." in rest else len(rest)
            part = rest[:end]
            if not part:
                raise _malformed(text, 'a part is empty; one that shall be so is written ""')
        parts.append(part)
        rest = rest[end:]
        if not rest:
            return Path(parts[0], tuple(parts[1:]))
        if not rest.startswith("."):
            raise _malformed(text, f"expected a dot before {rest}")
        rest = rest[1:]


_DECODER: Final = json.JSONDecoder()


def _malformed(text: str, problem: str) -> InvalidArgument:
    return InvalidArgument(
        f"path: {text!r}: {problem}", reason="INVALID_ARGUMENT", metadata={"field": "path"}
    )


def _quoted(part: str) -> str:
    if not part or part.startswith('"') or "." in part:
        return json.dumps(part, ensure_ascii=False)
    return part


def find(value: Any, below: tuple[str, ...]) -> Any | Absent:
    """The value that lies there; elements of arrays are named by their numbers."""
    for part in below:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and (at := _index(part, value)) is not None:
            value = value[at]
        else:
            return ABSENT
    return value


def put(value: Any | Absent, path: Path, leaf: Any) -> Any:
    """The value with another put there. Objects that are missing on the way are made."""
    try:
        return _put(value, path, leaf, 0)
    except RecursionError:
        # Such a value is no JSON that anybody reads.
        raise InvalidArgument(
            f"path: it has {len(path.below) + 1:,} parts, which is too deep",
            reason="INVALID_ARGUMENT",
            metadata={"field": "path"},
        ) from None


def _put(value: Any | Absent, path: Path, leaf: Any, depth: int) -> Any:
    if depth == len(path.below):
        return leaf
    part = path.below[depth]
    if value is ABSENT:
        return {part: _put(ABSENT, path, leaf, depth + 1)}
    if isinstance(value, dict):
        return {**value, part: _put(value.get(part, ABSENT), path, leaf, depth + 1)}
    if isinstance(value, list) and (at := _index(part, value)) is not None:
        return [*value[:at], _put(value[at], path, leaf, depth + 1), *value[at + 1 :]]
    raise _blocked(Path(path.key, path.below[:depth]), value, _quoted(part))


def remove(value: Any, below: tuple[str, ...]) -> Any | Absent:
    """The value without what lies there, or `ABSENT` where nothing does.

    What is around it stays, also where it is empty then.
    """
    part, rest = below[0], below[1:]
    if isinstance(value, dict) and part in value:
        if not rest:
            return {name: member for name, member in value.items() if name != part}
        inner = remove(value[part], rest)
        return ABSENT if inner is ABSENT else {**value, part: inner}
    if isinstance(value, list) and (at := _index(part, value)) is not None:
        if not rest:
            return value[:at] + value[at + 1 :]
        inner = remove(value[at], rest)
        return ABSENT if inner is ABSENT else [*value[:at], inner, *value[at + 1 :]]
    return ABSENT


def merged(value: Any | Absent, patch: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """An object with another merged into it, to any depth.

    Objects are merged; anything else, arrays and null included, takes the place of what was
    there.
    """
    if value is ABSENT:
        value = {}
    if not isinstance(value, dict):
        raise _blocked(path, value, "what is merged into it")
    return _deep(value, patch)


def _deep(value: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(value)
    for name, new in patch.items():
        old = result.get(name)
        if isinstance(old, dict) and isinstance(new, Mapping):
            new = _deep(old, new)
        result[name] = new
    return result


def _blocked(at: Path, value: Any, wanted: str) -> InvalidArgument:
    kind = "null" if value is None else _KINDS.get(type(value), "a number")
    return InvalidArgument(
        f"path: {at} is {kind} and has no place for {wanted}; to replace it, set {at}",
        reason="INVALID_ARGUMENT",
        metadata={"field": "path"},
    )


_KINDS: Final[Mapping[type, str]] = {
    bool: "a boolean",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def _index(part: str, elements: list[Any]) -> int | None:
    is_number = part.isascii() and part.isdecimal() and (part == "0" or part[0] != "0")
    # Python refuses to make a number of too many digits.
    if not is_number or len(part) > len(str(len(elements))):
        return None
    return int(part) if int(part) < len(elements) else None
