"""JSON whose numbers keep their text.

What lies in a setting beside the part that is written must come back to the digit, so that
numbers which Python would write otherwise remember how they were written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from switchboard.errors import InvalidArgument

# Beyond it Python refuses to make an int of a text.
_MOST_DIGITS = 4000


class _Float(float):
    """A number that Python would write in another way."""

    text: str

    def __new__(cls, text: str) -> _Float:
        """Keep the text."""
        made = super().__new__(cls, text)
        made.text = text
        return made


def _float(text: str) -> float:
    number = float(text)
    return number if repr(number) == text else _Float(text)


def _int(text: str) -> int | float:
    if len(text) > _MOST_DIGITS or text == "-0":
        return _Float(text)
    return int(text)


def loads(text: str) -> Any:
    """The value of a JSON text."""
    return json.loads(text, parse_float=_float, parse_int=_int)


def dumps(value: Any, field: str) -> str:
    """The JSON text of a value; `field` is what a value that has none is blamed on."""
    try:
        text = _text(value)
        # Half of a surrogate pair cannot be sent.
        text.encode()
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(
            f"{field}: is not JSON: {error}", reason="INVALID_ARGUMENT", metadata={"field": field}
        ) from error


def _text(value: Any) -> str:
    if isinstance(value, _Float):
        return value.text
    if isinstance(value, Mapping):
        members = (f"{_key(key)}:{_text(member)}" for key, member in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key {key!r} is not a string")
    return json.dumps(key, ensure_ascii=False)
