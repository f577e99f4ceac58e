"""Validates an OpenRPC document: open_rpc.py META_SCHEMAS DOCUMENT.

META_SCHEMAS holds those of OpenRPC and of the JSON Schema that it refers to, by the names of
their npm packages. Prints what is wrong, and exits with 1 where something is.
"""

import json
import sys

from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

with open(sys.argv[1]) as file:
    meta = json.load(file)
with open(sys.argv[2]) as file:
    document = json.load(file)
json_schema = Resource.from_contents(meta["@json-schema-tools/meta-schema"], DRAFT7)
registry = Registry().with_resources(
    [
        ("https://meta.json-schema.tools", json_schema),
        ("https://meta.json-schema.tools/", json_schema),
    ]
)
validator = Draft7Validator(meta["@open-rpc/meta-schema"], registry=registry)
problems = [f"{'/'.join(map(str, error.path))}: {error.message[:500]}" for error in validator.iter_errors(document)]
# What each place has is a schema too, where the other says only that it is one.
for name, schema in document["components"]["schemas"].items():
    problems += [f"{name}: {error.message[:500]}" for error in Draft7Validator(Draft7Validator.META_SCHEMA).iter_errors(schema)]
print("\n".join(problems))
sys.exit(bool(problems))
