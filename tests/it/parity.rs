//! One answer: scenarios that are written once, in `tests/fixtures/parity`, are
//! played over gRPC, JSON-RPC by POST, `/v1`, and `/api` with JSON-RPC over a
//! WebSocket for what that has not, each on a server of its own, and give the same
//! results, the same streams, and the same reasons with the same
//! metadata and the same words.
//!
//! A line of a scenario is what is expected, the method, and its request:
//!
//! | expected | what must be the same |
//! |---|---|
//! | `ok` | the result |
//! | `~` | that there is one |
//! | a reason | all that the refusal tells |
//! | `reason:` and a reason | the reason; it is found elsewhere, so that the words are others |
//! | `soon:` and a reason | the reason, however often one must ask until it is given |
//! | `any:ok` | the result, in whichever order the sessions of a watch come |
//!
//! `json:` before it leaves gRPC out, and `rpc:` leaves `/v1` out, and compares the
//! reason: they cannot say what the line says. A refusal has the code and the
//! metadata of its row in the table of errors.
//!
//! Lines with `%` are the configuration, those with `#` say something to the
//! reader. A line may end with ` -> $name /place`: the text at that place of the
//! result, a JSON pointer, is what `$name` stands for in later lines.
//!
//! Methods that are none, of what is watched:
//!
//! | method | what it does |
//! |---|---|
//! | `Next` | gives the next message like that of the watch which an earlier line opened |
//! | `Rest` | gives all of them up to its end; but for one that may repeat some, only the end |
//!
//! and of the server, behind the API's back:
//!
//! | method | what it does |
//! |---|---|
//! | `Knock` | asks what the server is, with another token or another header |
//! | `StopServer` | has the server go down |
//! | `KillServer` | kills it |
//! | `StartServer` | starts it again on the same home |
//! | `Write`, `Remove` | writes a file with the directories on its way, and removes one |
//! | `Flip` | flips a bit where a text begins in a file |
//! | `Sql` | changes the database |
//! | `LimitFiles` | has it open so many files more at most, or lets it again |
//! | `Edit` | gives a text with another part |

mod compare;
mod contract;
mod grpc;
mod guard;
mod json_rpc;
mod player;
mod rest;
mod stage;
mod step;
mod transport;

use std::{fs, path::PathBuf, thread};

use serde_json::Value;

use self::{
    compare::differing,
    contract::Contract,
    grpc::Grpc,
    json_rpc::JsonRpc,
    player::play,
    rest::V1,
    stage::{Agent, Stage},
    step::{config, steps},
    transport::Transport,
};
use crate::toolchain;

const TABLE: &str = include_str!("../fixtures/errors.txt");

/// What a step gave; null for what is not compared.
type Outcome = Result<Value, Value>;

/// Where the scenarios are.
fn folder() -> PathBuf {
    toolchain::tests_dir().join("fixtures/parity")
}

/// A scenario.
fn text(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap()
}

/// Plays a scenario over each transport, and compares what that gave.
fn check(file: &str, agent: Agent) {
    let scenario = text(file);
    let [grpc, others @ ..] = thread::scope(|scope| {
        let scenario = &scenario;
        let playing = [
            scope.spawn(move || on::<Grpc>(agent, scenario)),
            scope.spawn(move || on::<JsonRpc>(agent, scenario)),
            scope.spawn(move || on::<V1>(agent, scenario)),
            scope.spawn(move || on::<Contract>(agent, scenario)),
        ];
        playing.map(|played| played.join().expect("it was played"))
    });
    let steps = steps(&scenario);
    let mut differences = Vec::new();
    let [json_rpc, rest, contract] = others;
    let mut compare = |name: &str, first: &[Option<Outcome>], other: &[Option<Outcome>]| {
        for (step, (expected, given)) in steps.iter().zip(first.iter().zip(other)) {
            let (Some(expected), Some(given)) = (expected, given) else { continue };
            let differs = match (expected, given) {
                (Ok(one), Ok(other)) | (Err(one), Err(other)) => differing("", one, other),
                (expected, given) => Some(format!("{expected:?} and {given:?}")),
            };
            differences.extend(differs.map(|differs| format!("{name}: {}{differs}", step.line)));
        }
    };
    compare("JSON-RPC", &grpc, &json_rpc);
    compare("/v1", &grpc, &rest);
    compare("/v1 and JSON-RPC", &json_rpc, &rest);
    compare("/api", &json_rpc, &contract);
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(!steps.is_empty());
}

/// Plays a scenario over one transport, on a server of its own.
fn on<T: Transport>(agent: Agent, scenario: &str) -> Vec<Option<Outcome>> {
    play::<T>(&mut Stage::new(agent, config(scenario)), scenario)
}

macro_rules! scenarios {
    ($($name:ident: $file:literal, $agent:ident;)*) => {
        const FILES: &[&str] = &[$($file),*];

        $(
            #[test]
            fn $name() {
                check($file, Agent::$agent);
            }
        )*
    };
}

scenarios! {
    sessions_are_the_same_everywhere: "sessions.txt", Scripted;
    turns_and_what_they_say_are_the_same_everywhere: "turns.txt", Scripted;
    settings_controls_and_their_audit_are_the_same_everywhere: "settings.txt", Scripted;
    locked_defaults_are_the_same_everywhere: "locked.txt", Scripted;
    expired_events_are_the_same_everywhere: "expired.txt", Scripted;
    a_full_disk_is_the_same_everywhere: "full.txt", Scripted;
    streams_are_the_same_everywhere: "watches.txt", Scripted;
    stopping_turns_is_the_same_everywhere: "stopping.txt", Scripted;
    waiting_in_line_is_the_same_everywhere: "queue.txt", Scripted;
    limits_of_turns_are_the_same_everywhere: "limits.txt", Scripted;
    threads_and_forks_are_the_same_everywhere: "threads.txt", Scripted;
    lists_and_views_in_pages_are_the_same_everywhere: "pages.txt", Scripted;
    watching_several_and_resuming_are_the_same_everywhere: "resuming.txt", Scripted;
    the_audit_is_the_same_everywhere: "audit.txt", Scripted;
    damage_is_the_same_everywhere: "damaged.txt", Scripted;
    a_restart_is_the_same_everywhere: "restart.txt", Scripted;
    what_is_not_let_in_or_cannot_run_is_the_same_everywhere: "refused.txt", Scripted;
    a_server_that_can_open_no_file_is_the_same_everywhere: "overloaded.txt", Scripted;
    config_locks_are_the_same_everywhere: "config_locks.txt", Codex;
}
