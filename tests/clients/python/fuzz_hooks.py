"""Lets schemathesis come further than the first check of a request.

What it makes up for ids and directories never is one; here some of it is.
"""

import os

import schemathesis
from schemathesis.generation import GenerationMode

SESSION = os.environ["FUZZ_SESSION"]
DIRECTORY = os.environ["FUZZ_DIRECTORY"]
SETTABLE = {"title", "labels", "source", "filesystemSandbox", "networkAccess", "systemOwned"}


@schemathesis.hook
def filter_case(context, case):
    # Headers that nobody knows are nothing to refuse, and a null is how proto3 JSON
    # says that a field is not set, whatever its type.
    return "x-schemathesis-unknown-property" not in (case.headers or {}) and not has_null(case.body)


def has_null(body):
    if isinstance(body, dict):
        return any(has_null(value) for value in body.values())
    return body is None


@schemathesis.hook
def before_call(context, case, kwargs):
    path, method = case.operation.path, case.operation.method.lower()
    parameters = case.path_parameters or {}
    if "session_id" in parameters:
        if method == "delete":
            # The session shall stay.
            parameters["session_id"] = parameters["session_id"].replace(SESSION, "x")
        elif path.endswith("/config-lock"):
            # The scripted agent does not tell what it would run with.
            parameters["session_id"] = parameters["session_id"].replace("-", "")
        elif len(parameters["session_id"]) % 2 == 0:
            parameters["session_id"] = SESSION
    # Nobody waits for hours here.
    if path.endswith("/wait"):
        case.query = {**(case.query or {}), "timeout": "0.01s"}
    elif path.endswith("/events") and isinstance(case.query, dict):
        case.query.pop("wait", None)
    if isinstance(case.body, dict):
        change_body(path, case)


def change_body(path, case):
    if path == "/v1/cleanup" and case.body.get("dryRun") is not True:
        if not isinstance(case.body.get("dryRun", False), bool):
            return
        case.body["dryRun"] = True
    session = case.body.get("session")
    if path == "/v1/sessions" and case.meta.generation.mode == GenerationMode.POSITIVE:
        case.body["session"] = {
            **{name: value for name, value in (session or {}).items() if name in SETTABLE},
            "workingDirectory": DIRECTORY,
        }
