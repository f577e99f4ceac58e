//! One answer: a scenario that is written once is played over gRPC, JSON-RPC and
//! `/v1`, each on a server of its own, and gives the same results and reasons.

mod transports;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use self::transports::Transport;
use crate::{harness::Server, ledger};

/// Each line is what is expected, the method, and the request. `ok` compares the
/// results, `~` only that there is one, and all else is the reason of an error.
/// `$A` and `$B` are sessions, `$WORK` is a folder.
const SCENARIO: &str = r#"
    ok CreateSession {"sessionId": "$A", "session": {"workingDirectory": "$WORK", "title": "one"}, "requestId": "r1"}
    ok CreateSession {"sessionId": "$A", "session": {"workingDirectory": "$WORK", "title": "one"}, "requestId": "r1"}
    IDEMPOTENCY_CONFLICT CreateSession {"sessionId": "$A", "session": {"workingDirectory": "$WORK"}, "requestId": "r1"}
    SESSION_EXISTS CreateSession {"sessionId": "$A", "session": {"workingDirectory": "$WORK"}}
    WORKING_DIRECTORY_INVALID CreateSession {"session": {"workingDirectory": "relative"}}
    AGENT_NOT_FOUND CreateSession {"session": {"workingDirectory": "$WORK", "agent": "nobody"}}
    ok CreateSession {"sessionId": "$B", "session": {"workingDirectory": "$WORK", "labels": {"team": "web"}}}
    ok GetSession {"sessionId": "$A"}
    ok GetSession {"sessionId": "11111111"}
    INVALID_ARGUMENT GetSession {"sessionId": "x"}
    SESSION_NOT_FOUND GetSession {"sessionId": "33333333-3333-4333-8333-333333333333"}
    NO_ACTIVE_TURN InterruptTurn {"sessionId": "$A"}
    TURN_NOT_FOUND ReadOutput {"sessionId": "$A", "turn": 9}

    ~ StartTurn {"sessionId": "$A", "prompt": "FAKE_AGENT=thread,turn,message:hello,completed"}
    ok WaitSession {"sessionId": "$A", "timeout": "60s"}
    ok ListTurns {"sessionId": "$A"}
    ok ListMessages {"sessionId": "$A"}
    ok GetTrajectory {"sessionId": "$A"}
    ok ListEvents {"sessionId": "$A"}
    ok ListEvents {"sessionId": "$A", "afterSeq": "1", "pageSize": 2}
    ok ReadOutput {"sessionId": "$A", "offset": "100"}
    INVALID_ARGUMENT ReadOutput {"sessionId": "$A", "offset": "1000000"}
    INVALID_ARGUMENT ListEvents {"sessionId": "$A", "afterSeq": "1000"}
    INVALID_ARGUMENT ListEvents {"sessionId": "$A", "pageSize": 10001}

    ok UpdateSession {"sessionId": "$A", "session": {"title": "two"}, "updateMask": "title"}
    ETAG_MISMATCH UpdateSession {"sessionId": "$A", "session": {"title": "x"}, "updateMask": "title", "etag": "1"}
    INVALID_ARGUMENT UpdateSession {"sessionId": "$A", "session": {"title": "x"}, "updateMask": "state"}
    ok ListSessions {"labels": {"team": "web"}}
    ok ListSessions {"idPrefix": "1111"}
    INVALID_ARGUMENT ListSessions {"pageToken": "x"}

    ok UpdateSettings {"sessionId": "$A", "scope": "SCOPE_SESSION", "settings": {"a": {"b": [1.0, null]}, "c": 1}, "source": "s"}
    ok UpdateSettings {"sessionId": "$A", "scope": "SCOPE_SESSION", "key": "d", "value": null, "source": "s"}
    ok UpdateSettings {"sessionId": "$A", "scope": "SCOPE_SESSION", "key": "d", "value": null, "source": "s"}
    ETAG_MISMATCH UpdateSettings {"sessionId": "$A", "scope": "SCOPE_SESSION", "key": "d", "value": 2, "etag": "x"}
    INVALID_ARGUMENT UpdateSettings {"sessionId": "$A", "scope": "SCOPE_SESSION", "settings": {}, "source": "sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"}
    ok GetSettings {"sessionId": "$A", "scope": "SCOPE_SESSION"}
    ok GetSettings {"sessionId": "$A", "scope": "SCOPE_SESSION", "key": "a"}
    ok GetSettings {"sessionId": "$A", "scope": "SCOPE_SESSION", "key": "nope"}
    ok DeleteSetting {"sessionId": "$A", "scope": "SCOPE_SESSION", "key": "c", "source": "s"}
    ok UpdateSettings {"scope": "SCOPE_DEFAULT", "settings": {"x": 9007199254740993}, "source": "s"}
    ok GetSettings {"scope": "SCOPE_DEFAULT"}
    ok ApplyControls {"sessionId": "$A", "scope": "SCOPE_SESSION", "source": "s", "controls": {"model": "m", "approvalPolicy": "APPROVAL_POLICY_NEVER", "networkAccess": "NETWORK_ACCESS_ENABLED", "filesystemSandbox": "FILESYSTEM_SANDBOX_READ_ONLY"}}
    INVALID_ARGUMENT ApplyControls {"sessionId": "$A", "scope": "SCOPE_SESSION", "controls": {"model": "m"}}
    ok GetControls {"sessionId": "$A"}
    ok ListAuditEntries {}
    ok ListAuditEntries {"newestFirst": true, "pageSize": 1}
    ok VerifyAudit {}
    INVALID_ARGUMENT VerifyAudit {"knownSeq": "1"}
    ok GetAuditState {"sessionId": "$A", "atSeq": "1"}
    INVALID_ARGUMENT GetAuditState {"sessionId": "$A", "atSeq": "1000"}

    ~ StartTurn {"sessionId": "$A", "prompt": "FAKE_AGENT=turn,message,wait:$WORK/gate"}
    SESSION_RUNNING StartTurn {"sessionId": "$A", "prompt": "x"}
    ~ KillSession {"sessionId": "$A"}
    ok WaitSession {"sessionId": "$A", "timeout": "60s"}
    ~ ForkSession {"sessionId": "$A"}
    ok DeleteSession {"sessionId": "$A"}
    SESSION_DELETED GetSession {"sessionId": "$A"}
    SESSION_DELETED GetSettings {"sessionId": "$A", "scope": "SCOPE_SESSION"}
    SESSION_DELETED ListEvents {"sessionId": "$A"}
    ~ CleanupSessions {}
    ~ GetServerInfo {}
"#;

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";

/// What is another on each server, or at each time.
const VARYING: [&str; 21] = [
    "cpuTime",
    "peakMemoryBytes",
    "signal",
    "exitCode",
    "threadId",
    "thread_id",
    "createTime",
    "updateTime",
    "deleteTime",
    "startTime",
    "endTime",
    "archiveTime",
    "time",
    "pid",
    "hash",
    "previousHash",
    "lastHash",
    "transport",
    "durationMs",
    "epoch",
    "nextPageToken",
];

/// A result as it is on every server: without what varies, and with what is the
/// default left out.
fn plain(value: Value, work: &str) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(name, _)| !VARYING.contains(&name.as_str()));
            Value::Object(
                members.map(|(name, value)| (name, plain(value, work))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(elements) => {
            Value::Array(elements.into_iter().map(|element| plain(element, work)).collect())
        }
        Value::String(text) => Value::String(text.replace(work, "$WORK")),
        other => other,
    }
}

/// Plays the scenario: what each of its steps gave.
fn play(mut transport: impl Transport, server: &Server) -> Vec<(String, Result<Value, String>)> {
    let work = server.work().display().to_string();
    let lines = SCENARIO.lines().map(str::trim).filter(|line| !line.is_empty());
    let play = |line: &str| {
        let filled = line.replace("$A", A).replace("$B", B).replace("$WORK", &work);
        let (expected, step) = filled.split_once(' ').unwrap();
        let (method, request) = step.split_once(' ').unwrap();
        let answer = transport.call(method, serde_json::from_str(request).unwrap());
        let gave = match (expected, answer) {
            ("ok", Ok(result)) => Ok(plain(result, &work)),
            ("~", Ok(_)) => Ok(Value::Null),
            (reason, Err(given)) => {
                assert_eq!(given, reason, "{line}");
                Err(given)
            }
            (expected, Ok(result)) => panic!("{expected} {line}: {result:#}"),
        };
        (line.to_owned(), gave)
    };
    lines.map(play).collect()
}

#[test]
fn every_transport_gives_the_same_results_and_the_same_reasons() {
    let servers: [Server; 3] = std::array::from_fn(|_| ledger::setup().start());
    let grpc = play(transports::grpc(&servers[0]), &servers[0]);
    let json_rpc = play(transports::json_rpc(&servers[1]), &servers[1]);
    let rest = play(transports::rest(&servers[2]), &servers[2]);
    let mut differences = Vec::new();
    for (others, transport) in [(json_rpc, "JSON-RPC"), (rest, "/v1")] {
        for ((step, expected), (_, given)) in grpc.iter().zip(others) {
            let differs = match (expected, &given) {
                (Ok(expected), Ok(given)) => differing("", expected, given),
                (expected, given) => (expected != given).then(|| format!("{given:?}")),
            };
            differences.extend(differs.map(|differs| format!("{transport}: {step}: {differs}")));
        }
    }
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(grpc.len(), SCENARIO.lines().filter(|line| !line.trim().is_empty()).count());
}

/// Where two results differ first.
fn differing(path: &str, one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            names.into_iter().find_map(|name| {
                let of = |members: &Map<_, _>| members.get(name).cloned().unwrap_or_default();
                differing(&format!("{path}.{name}"), &of(one), &of(other))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let both = one.iter().zip(other).enumerate();
            both.into_iter()
                .find_map(|(at, (one, other))| differing(&format!("{path}[{at}]"), one, other))
        }
        _ => (one != other).then(|| format!("{path}: {one} and {other}")),
    }
}
