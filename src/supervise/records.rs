//! What the files of a turn say: the records that server and supervisor hand
//! to each other.
//!
//! Each is one JSON object with a `version`. A supervisor runs on while the
//! server is upgraded under it, so both sides meet records of the other's
//! version: an unknown field is ignored, a field that is added later must have
//! a default, and the meaning of a field never changes. Times are RFC 3339 in
//! UTC, durations carry their unit in their name.

use std::{
    io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{
    fallback::Fallback,
    limits::{Limit, Limits},
};

/// The version that this program writes into every record.
pub const VERSION: u32 = 1;

/// `turn_<n>.spec.json`: what to run, written by the server before the launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// The session; the agent finds it as `SWITCHBOARD_SESSION`.
    pub session_id: String,
    /// The turn's number; the agent finds it as `SWITCHBOARD_TURN`.
    pub turn: u32,
    /// The agent's program: an absolute path, or a name to be found on PATH.
    pub program: PathBuf,
    /// Its arguments, without the program's name.
    pub args: Vec<String>,
    /// Variables that are added to the inherited environment.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// Inherited variables that the agent must not see; taken away before `env` is added.
    #[serde(default)]
    pub env_remove: Vec<String>,
    /// Where the agent starts; an absolute path.
    pub working_directory: PathBuf,
    /// The soft limit of open files that the agent gets: the server raised its
    /// own, and its supervisors inherit that. Absent to leave it as it is.
    #[serde(default)]
    pub open_files: Option<u64>,
    /// How long the supervisor waits before it goes further.
    #[serde(default)]
    pub grace: Grace,
    /// How far the turn may go before the supervisor ends it.
    #[serde(default)]
    pub limits: Limits,
    /// What to start when the agent refuses `args`. A supervisor that does not
    /// know of this leaves the turn as the first run ended it.
    #[serde(default)]
    pub fallback: Option<Fallback>,
}

/// How long the supervisor waits before it goes further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grace {
    /// From SIGINT to SIGTERM when an interrupt was asked for. 10 s by default.
    #[serde(rename = "interrupt_ms", with = "milliseconds")]
    pub interrupt: Duration,
    /// From SIGINT to SIGTERM when a kill was asked for. 2 s by default.
    #[serde(rename = "kill_ms", with = "milliseconds")]
    pub kill: Duration,
    /// From SIGTERM to SIGKILL, in both. 2 s by default.
    #[serde(rename = "terminate_ms", with = "milliseconds")]
    pub terminate: Duration,
    /// How long to go on trying to write the exit file, on a full disk for one. 60 s by default.
    #[serde(rename = "storage_ms", with = "milliseconds")]
    pub storage: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Self {
            interrupt: Duration::from_secs(10),
            kill: Duration::from_secs(2),
            terminate: Duration::from_secs(2),
            storage: Duration::from_secs(60),
        }
    }
}

/// `turn_<n>.pid.json`: who supervises the turn and who the agent is.
///
/// Written durably before the agent starts, so that a turn without this file
/// never had an agent; written again, with the agent's pid, when it has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidFile {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// The supervisor's process id.
    pub supervisor_pid: u32,
    /// When the supervisor started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
    pub supervisor_start_time: u64,
    /// The boot that the process ids belong to (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// The agent's process id, also that of its process group; absent until it has started.
    pub agent_pid: Option<u32>,
    /// When the agent started, in clock ticks since boot.
    pub agent_start_time: Option<u64>,
    /// When this record was written.
    #[serde(with = "rfc3339")]
    pub time: SystemTime,
}

/// How a turn is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// Politely, with a long grace between the steps.
    Interrupt,
    /// The same steps with a short grace.
    Kill,
}

/// `turn_<n>.stop.json`: a request to stop the turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// How.
    pub mode: StopMode,
    /// Who asked, in words for people and the audit.
    pub actor: String,
    /// When it was asked.
    #[serde(with = "rfc3339")]
    pub time: SystemTime,
}

impl Stop {
    /// A request made now.
    #[must_use]
    pub fn now(mode: StopMode, actor: impl Into<String>) -> Self {
        Self { version: VERSION, mode, actor: actor.into(), time: SystemTime::now() }
    }
}

/// The last step that a stop came to before the agent was gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopStep {
    /// The request was there before the agent, which was then never started.
    NotStarted,
    /// SIGINT to the agent.
    Interrupt,
    /// SIGTERM to the agent's process group.
    Terminate,
    /// SIGKILL to everything.
    Kill,
}

/// A stop that the supervisor carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// How it was asked for; the harder of two requests.
    pub mode: StopMode,
    /// Who asked; `SIGTERM` when the supervisor itself was told to end.
    pub actor: String,
    /// When it was asked.
    #[serde(with = "rfc3339")]
    pub request_time: SystemTime,
    /// The step that worked.
    pub step: StopStep,
}

/// How the agent ended, or why there was none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// The agent exited.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended the agent.
    Signalled {
        /// The signal's number.
        signal: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
    /// The agent could not be started.
    SpawnFailed {
        /// What was wrong, for a program to act on.
        problem: SpawnProblem,
        /// The operating system's error number, where there is one.
        errno: Option<i32>,
        /// What was wrong, for people.
        message: String,
    },
    /// A stop was asked for before the agent was started, so it never was.
    NotStarted,
}

/// Why an agent could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpawnProblem {
    /// There is no such program, or its interpreter is missing.
    NotFound,
    /// The program may not be executed.
    PermissionDenied,
    /// The working directory is not a directory that can be entered.
    WorkingDirectory,
    /// Anything else; the message says what.
    Other,
}

/// `turn_<n>.exit.json`: how the turn ended, the last thing a supervisor writes.
///
/// When it is there, nothing of the turn runs any more and the agent's output
/// is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// How the agent ended.
    pub outcome: Outcome,
    /// When the agent was started, or would have been.
    #[serde(with = "rfc3339")]
    pub start_time: SystemTime,
    /// When the agent was seen to have gone.
    #[serde(with = "rfc3339")]
    pub end_time: SystemTime,
    /// User and system time of the agent and of the descendants that it waited for.
    #[serde(rename = "cpu_time_us", with = "microseconds")]
    pub cpu_time: Duration,
    /// The largest resident set of the agent or of a descendant that it waited for, in bytes.
    pub peak_memory_bytes: u64,
    /// The stop that ended the agent, if one was under way.
    pub stopped: Option<Stopped>,
    /// The limit that ended the agent, if one did and nobody asked for a stop.
    #[serde(default)]
    pub limit: Option<Limit>,
    /// How many descendants outlived the agent and were reaped after it.
    #[serde(default)]
    pub descendants_ended: u32,
    /// Processes that may not be signalled (of another user) and were left running.
    #[serde(default)]
    pub left_behind: Vec<u32>,
    /// Why the agent's output may not all be on the disk, if it could not be synced.
    #[serde(default)]
    pub sync_error: Option<String>,
    /// Whether the disk that holds the turn's files was full when the agent ended.
    #[serde(default)]
    pub storage_full: bool,
    /// Whether this is the end of the run with the spec's fallback.
    #[serde(default)]
    pub fell_back: bool,
}

/// `turn_<n>.lost`: the server's finding that the turn ended without an exit file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lost {
    /// [`VERSION`] of the writer.
    pub(super) version: u32,
    /// Why, in words for people.
    pub(super) cause: String,
    /// When it was found.
    #[serde(with = "rfc3339")]
    pub(super) time: SystemTime,
    /// How many strays were ended; absent until that is done, so that it is
    /// done again when the server dies in between.
    pub(super) strays_ended: Option<u64>,
}

/// Encodes a record for people to read too.
pub(super) fn encode<T: Serialize>(record: &T) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(record).map_err(io::Error::from)?;
    bytes.push(b'\n');
    Ok(bytes)
}

mod rfc3339 {
    use std::time::SystemTime;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_nanos(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        humantime::parse_rfc3339(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

mod microseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T>(record: &T, json: &str)
    where
        T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
    {
        assert_eq!(serde_json::to_string(record).unwrap(), json);
        assert_eq!(&serde_json::from_str::<T>(json).unwrap(), record);
        // A later version may say more.
        let more = json.replacen('{', r#"{"added_later":[1],"#, 1);
        assert_eq!(&serde_json::from_str::<T>(&more).unwrap(), record);
    }

    fn moment() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::new(1_767_225_600, 1)
    }

    #[test]
    fn records_keep_their_form() {
        check(
            &Spec {
                version: VERSION,
                session_id: "s".to_owned(),
                turn: 7,
                program: "/bin/codex".into(),
                args: vec!["exec".to_owned()],
                env: vec![("A".to_owned(), "b".to_owned())],
                env_remove: vec!["C".to_owned()],
                working_directory: "/work".into(),
                open_files: Some(1024),
                grace: Grace::default(),
                limits: Limits {
                    inactivity: Some(Duration::from_secs(60)),
                    wall_clock: None,
                    output_bytes: Some(4096),
                },
                fallback: Some(Fallback {
                    stderr_contains: vec!["no".to_owned(), "none".to_owned()],
                    args: vec!["anew".to_owned()],
                }),
            },
            concat!(
                r#"{"version":1,"session_id":"s","turn":7,"program":"/bin/codex","args":["exec"],"#,
                r#""env":[["A","b"]],"env_remove":["C"],"working_directory":"/work","#,
                r#""open_files":1024,"#,
                r#""grace":{"interrupt_ms":10000,"kill_ms":2000,"terminate_ms":2000,"storage_ms":60000},"#,
                r#""limits":{"inactivity_ms":60000,"wall_clock_ms":null,"output_bytes":4096},"#,
                r#""fallback":{"stderr_contains":["no","none"],"args":["anew"]}}"#,
            ),
        );
        check(
            &PidFile {
                version: VERSION,
                supervisor_pid: 10,
                supervisor_start_time: 1000,
                boot_id: "b".to_owned(),
                agent_pid: Some(11),
                agent_start_time: Some(1001),
                time: moment(),
            },
            concat!(
                r#"{"version":1,"supervisor_pid":10,"supervisor_start_time":1000,"boot_id":"b","#,
                r#""agent_pid":11,"agent_start_time":1001,"time":"2026-01-01T00:00:00.000000001Z"}"#,
            ),
        );
        let stop =
            Stop { version: VERSION, mode: StopMode::Kill, actor: "a".to_owned(), time: moment() };
        check(
            &stop,
            r#"{"version":1,"mode":"kill","actor":"a","time":"2026-01-01T00:00:00.000000001Z"}"#,
        );
        check(
            &Exit {
                version: VERSION,
                outcome: Outcome::Signalled { signal: 15, core_dumped: false },
                start_time: moment(),
                end_time: moment(),
                cpu_time: Duration::from_millis(3),
                peak_memory_bytes: 4096,
                stopped: Some(Stopped {
                    mode: StopMode::Interrupt,
                    actor: "a".to_owned(),
                    request_time: moment(),
                    step: StopStep::Terminate,
                }),
                limit: Some(Limit::WallClock),
                descendants_ended: 2,
                left_behind: vec![12],
                sync_error: None,
                storage_full: false,
                fell_back: true,
            },
            concat!(
                r#"{"version":1,"outcome":{"kind":"signalled","signal":15,"core_dumped":false},"#,
                r#""start_time":"2026-01-01T00:00:00.000000001Z","#,
                r#""end_time":"2026-01-01T00:00:00.000000001Z","#,
                r#""cpu_time_us":3000,"peak_memory_bytes":4096,"#,
                r#""stopped":{"mode":"interrupt","actor":"a","#,
                r#""request_time":"2026-01-01T00:00:00.000000001Z","step":"terminate"},"limit":"wall_clock","#,
                r#""descendants_ended":2,"left_behind":[12],"sync_error":null,"storage_full":false,"#,
                r#""fell_back":true}"#,
            ),
        );
    }

    #[test]
    fn outcomes_keep_their_form() {
        check(&Outcome::Exited { code: 0 }, r#"{"kind":"exited","code":0}"#);
        check(&Outcome::NotStarted, r#"{"kind":"not_started"}"#);
        check(
            &Outcome::SpawnFailed {
                problem: SpawnProblem::NotFound,
                errno: Some(2),
                message: "none".to_owned(),
            },
            r#"{"kind":"spawn_failed","problem":"not_found","errno":2,"message":"none"}"#,
        );
    }

    #[test]
    fn what_is_left_out_of_a_spec_has_its_default() {
        let spec: Spec = serde_json::from_str(
            r#"{"version":1,"session_id":"s","turn":1,"program":"codex","args":[],
                "working_directory":"/","grace":{"kill_ms":5}}"#,
        )
        .unwrap();
        assert_eq!(spec.grace, Grace { kill: Duration::from_millis(5), ..Grace::default() });
        assert_eq!((spec.env, spec.env_remove), (Vec::new(), Vec::new()));
        assert_eq!((spec.limits, spec.fallback), (Limits::default(), None));
    }
}
