"""Messages as the JSON of /v1: proto3 JSON, but for JSON in it.

What a field `settings_json` or `value_json` holds is `settings` or `value` there: JSON and no text
of it. It is cut out and put in as it is written, because Python would read 9007199254740993.0 as
another number, and NaN as JSON.
"""

import json

from google.protobuf import json_format

# Only finds where values end; numbers of any length are no trouble to it.
SCAN = json.JSONDecoder(parse_int=str, parse_float=str)


def text_of(message):
    """The JSON of a message."""
    plain = json_format.MessageToDict(message)
    parts = []
    for field, value in message.ListFields():
        name = field.json_name
        if is_json(field):
            name, text = name.removesuffix("Json"), value
        elif is_ours(field) and not field.is_repeated:
            text = text_of(value)
        else:
            text = json.dumps(plain[name])
        parts.append(f'"{name}":{text}')
    return "{" + ",".join(parts) + "}"


def read(kind, text):
    """The message of a class that a JSON text is. What the class does not have is an error."""
    return json_format.ParseDict(plain_of(kind.DESCRIPTOR, text), kind())


def plain_of(descriptor, text):
    """What `json_format` reads as the message."""
    fields = {}
    for field in descriptor.fields:
        name = field.json_name
        fields[name.removesuffix("Json") if is_json(field) else name] = field
    plain = {}
    for name, value in members(text):
        field = fields[name]
        if is_json(field):
            plain[field.json_name] = list(elements(value)) if field.is_repeated else value
        elif not is_ours(field):
            plain[name] = json.loads(value)
        elif field.is_repeated:
            plain[name] = [plain_of(field.message_type, element) for element in elements(value)]
        else:
            plain[name] = plain_of(field.message_type, value)
    return plain


def is_json(field):
    return field.name.endswith("_json")


def is_ours(field):
    """Whether a field holds messages of the contract."""
    kind = field.message_type
    return (
        kind is not None
        and kind.file.package == "switchboard.v1"
        and not kind.GetOptions().map_entry
    )


def members(text):
    """The names of an object's members with the texts of their values."""
    at = 1
    while text[at] != "}":
        name, at = SCAN.raw_decode(text, at)
        assert text[at] == ":", text
        _, end = SCAN.raw_decode(text, at + 1)
        yield name, text[at + 1 : end]
        at = end + (text[end] == ",")


def elements(text):
    """The texts of an array's elements."""
    at = 1
    while text[at] != "]":
        _, end = SCAN.raw_decode(text, at)
        yield text[at:end]
        at = end + (text[end] == ",")
