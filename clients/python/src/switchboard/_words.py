"""The words of the contract's enums, its times, and any of its messages as a dictionary."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.timestamp_pb2 import Timestamp

from switchboard._proto.v1 import FILES
from switchboard.errors import InvalidArgument


def invalid(field: str, problem: str) -> InvalidArgument:
    """A value that cannot even be sent."""
    return InvalidArgument(
        f"{field}: {problem}", reason="INVALID_ARGUMENT", metadata={"field": field}
    )


def _prefix(enum: EnumDescriptor) -> str:
    # Every enum has a first value that says nothing.
    return str(enum.values[0].name).removesuffix("UNSPECIFIED")


def word(enum: EnumDescriptor, number: int) -> Any:
    """The word of an enum's value, for a field of its type.

    It is empty for none, and the number for a later server's.
    """
    if number == 0:
        return ""
    value = enum.values_by_number.get(number)
    if value is None:
        return str(number)
    text = str(value.name).removeprefix(_prefix(enum)).lower()
    return text.replace("_", "-") if enum.name in _DASHED else text


def number(enum: EnumDescriptor, text: str | None, field: str) -> Any:
    """The value of an enum that a word names, for a field of its type; 0 for none."""
    if text is None:
        return 0
    name = _prefix(enum) + str(text).upper().replace("-", "_")
    value = enum.values_by_name.get(name)
    if value is None or value.number == 0:
        expected = ", ".join(word(enum, each.number) for each in enum.values[1:])
        raise invalid(field, f"{text!r}: expected one of {expected}")
    return value.number


# Those that have the words of the settings contract.
_DASHED = {"ApprovalPolicy", "NetworkAccess", "FilesystemSandbox"}


def _enum(of: str) -> EnumDescriptor:
    for file in FILES:
        if of in file.DESCRIPTOR.enum_types_by_name:
            enum: EnumDescriptor = file.DESCRIPTOR.enum_types_by_name[of]
            return enum
    raise AssertionError(f"the contract has no enum {of}")


STATE = _enum("SessionState")
SCOPE = _enum("Scope")
APPROVAL_POLICY = _enum("ApprovalPolicy")
NETWORK_ACCESS = _enum("NetworkAccess")
FILESYSTEM_SANDBOX = _enum("FilesystemSandbox")
WEB_SEARCH = _enum("WebSearchMode")
EVENT_KIND = _enum("EventKind")
OUTPUT_STREAM = _enum("OutputStream")
ARCHIVED = _enum("ArchivedFilter")
OUTCOME = _enum("Outcome")
STATE_REASON = _enum("StateReason")
ORIGIN = _enum("Origin")
TIME_SOURCE = _enum("TimeSource")
ROLE = _enum("MessageRole")
OPERATION = _enum("AuditOperation")


def absolute(path: str | os.PathLike[str]) -> str:
    """A path of this machine, absolute: the server's own directory means nothing here."""
    return os.path.abspath(os.fspath(path))  # noqa: PTH100 - Path.absolute() keeps `..`


def paths(given: Iterable[str | os.PathLike[str]], field: str) -> list[str]:
    """Several paths, absolute. One alone would be taken for its characters."""
    if isinstance(given, str):
        raise invalid(field, f"{given!r}: expected a list")
    return [absolute(path) for path in given]


def count(value: int, field: str, bits: int = 64) -> int:
    """A number, where the contract has one of so many bits without a sign."""
    if not 0 <= value < 2**bits:
        raise invalid(field, f"{value}: expected a number from 0 to {2**bits - 1}")
    return value


def seconds(value: float | None, field: str) -> float | None:
    """So many seconds. What is no number is never over."""
    if value is not None and math.isnan(value):
        raise invalid(field, f"{value}: expected a number of seconds")
    return value


def timestamp(time: datetime | None, field: str) -> Timestamp | None:
    """The instant, as the contract has it; one without a zone is local time."""
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise invalid(field, f"{time!r}: expected a datetime")
    made = Timestamp()
    try:
        made.FromDatetime(time.astimezone(UTC))
    except (ValueError, OverflowError, OSError) as error:
        raise invalid(field, f"{time!r}: {error}") from error
    return made


def duration(span: timedelta | None, field: str) -> Duration | None:
    """The span, as the contract has it."""
    if span is None:
        return None
    if not isinstance(span, timedelta):
        raise invalid(field, f"{span!r}: expected a timedelta")
    made = Duration()
    try:
        made.FromTimedelta(span)
    except ValueError as error:
        raise invalid(field, f"{span!r}: {error}") from error
    return made


def time(message: ProtoMessage, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


def plain(message: ProtoMessage) -> dict[str, Any]:
    """A message as a dictionary with the names of the contract.

    Fields that can be absent and are are left out. Enums are words, times are `datetime`, spans
    are seconds, and numbers are numbers whatever their size.
    """
    result: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            of = field.message_type.fields_by_name["value"]
            result[field.name] = {key: _member(of, each) for key, each in value.items()}
        elif isinstance(value, str | bytes | ProtoMessage) or not hasattr(value, "__iter__"):
            result[field.name] = _member(field, value)
        else:
            result[field.name] = [_member(field, each) for each in value]
    return result


def _member(field: Any, value: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.ToDatetime(tzinfo=UTC)
    if isinstance(value, Duration):
        return value.ToTimedelta().total_seconds()
    if isinstance(value, ProtoMessage):
        return plain(value)
    if field.enum_type is not None:
        return word(field.enum_type, value)
    return value
