//! `switchboard lock …`: what a session runs with, written down and compared.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use serde_json::{Value, json};

use super::{
    Context, Failure,
    args::{ChoiceArgs, ExportLockArgs, LockCommand, VerifyLockArgs},
    connect::{Connector, Server},
    embedded::print,
    failure::Problem,
    options,
    render::text::clean,
    retry,
    run::absolute,
    scope::session_id,
};
use crate::{
    lock::{Drift, Lock, MAX_BYTES},
    proto::{
        ConfigDrift, CreateSessionRequest, ExportConfigLockRequest, FilesystemSandbox,
        NetworkAccess, Session, VerifyConfigLockRequest, VerifyConfigLockResponse,
    },
};

pub(super) async fn lock(cx: &Context, command: LockCommand) -> Result<(), Failure> {
    match command {
        LockCommand::Export(args) => export(cx, args).await,
        LockCommand::Verify(args) => verify(cx, args).await,
    }
}

async fn export(cx: &Context, args: ExportLockArgs) -> Result<(), Failure> {
    let ExportLockArgs { session, output, without_catalog_fields } = args;
    let server = Connector::new(cx)?.connect().await?;
    let session_id = session_id(cx, &server, &session).await?;
    let request = ExportConfigLockRequest {
        session_id,
        save_fields_resolved_from_model_catalog: without_catalog_fields.then_some(false),
    };
    let attempt = |server: Server| {
        let request = request.clone();
        async move { server.locks().export_config_lock(request).await }
    };
    let answer = retry::call(&server, cx.output, attempt).await?;
    for note in &answer.notes {
        cx.output.note(&format!("note: {}", clean(note)));
    }
    match output.as_deref() {
        Some(path) if path == Path::new("-") => return cx.output.print(&answer.config_lock),
        Some(path) => fs::write(path, &answer.config_lock).map_err(|error| {
            Failure::Failed(format!("cannot write {}: {error}", path.display()))
        })?,
        None => {}
    }
    if cx.output.json {
        return print(cx, &answer, []);
    }
    let path = output.map_or(answer.path, |path| path.display().to_string());
    cx.output.line(&clean(&path))
}

async fn verify(cx: &Context, args: VerifyLockArgs) -> Result<(), Failure> {
    let VerifyLockArgs { file, session, allow_codex_version_mismatch, choices } = args;
    let config_lock = file.as_deref().map(read).transpose()?.unwrap_or_default();
    let is_chosen = session.is_some() || choices.directory.is_some();
    let chosen = match &session {
        Some(_) => None,
        None => Some(chosen(choices, &config_lock)?),
    };
    let server = Connector::new(cx)?.connect().await?;
    let session_id = match session {
        Some(id) => session_id(cx, &server, &id).await?,
        None => String::new(),
    };
    let request = VerifyConfigLockRequest {
        config_lock,
        session_id,
        session: chosen,
        allow_codex_version_mismatch,
    };
    let answer = compare(cx, &server, request).await?;
    if cx.output.json {
        print(cx, &answer, [("matches", answer.matches.into())])?;
    } else {
        let is_unasked = !is_chosen && is_another(&answer.working_directory, ".");
        let notes = is_unasked.then(|| ELSEWHERE.to_owned());
        cx.output.print(&verdict(&answer, notes.as_slice()))?;
    }
    if answer.matches { Ok(()) } else { Err(Failure::Differs) }
}

async fn compare(
    cx: &Context,
    server: &Server,
    request: VerifyConfigLockRequest,
) -> Result<VerifyConfigLockResponse, Failure> {
    let attempt = |server: Server| {
        let request = request.clone();
        async move { server.locks().verify_config_lock(request).await }
    };
    retry::call(server, cx.output, attempt).await
}

/// The refusal of a session for what differs from its lock, with all of that: the
/// answer to the request itself is cut to what a status holds.
pub(super) async fn whole(
    cx: &Context,
    server: &Server,
    refused: Failure,
    request: CreateSessionRequest,
) -> Failure {
    let Failure::Refused(problem) = refused else { return refused };
    let is_cut = problem.metadata.contains_key("truncated");
    if problem.reason != "CONFIG_LOCK_DRIFT" || !is_cut || request.config_lock.is_empty() {
        return Failure::Refused(problem);
    }
    let request = VerifyConfigLockRequest {
        config_lock: request.config_lock,
        session: request.session,
        allow_codex_version_mismatch: request.allow_codex_version_mismatch,
        ..VerifyConfigLockRequest::default()
    };
    match compare(cx, server, request).await {
        Ok(answer) => Failure::Refused(with_all(problem, &answer)),
        Err(_) => Failure::Refused(problem),
    }
}

/// A refusal with all that differs, as the answer has it. Where that has nothing,
/// what refused the session is gone by now, and its own words are all that is known.
fn with_all(mut problem: Problem, answer: &VerifyConfigLockResponse) -> Problem {
    if answer.matches {
        return problem;
    }
    let keys: Vec<_> = answer.drift.iter().map(|value| value.key.as_str()).collect();
    let toml = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let drift = answer.drift.iter().map(|ConfigDrift { key, locked, actual, origin }| {
        json!({"key": key, "locked": toml(locked), "actual": toml(actual), "origin": origin})
    });
    let drift = Value::Array(drift.collect()).to_string();
    problem.metadata = [("keys", keys.join(",")), ("drift", drift), ("diff", answer.diff.clone())]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
    problem.message = format!("{}{}", Drift::HEADING, told(answer));
    problem
}

/// What a person chose for a new session. The working directory, where none was
/// chosen, is the lock's, or this one where there is no lock or it says none.
///
/// # Errors
/// When a path or an option is of no use.
pub(super) fn chosen(choices: ChoiceArgs, config_lock: &str) -> Result<Session, Failure> {
    let ChoiceArgs { directory, model, sandbox, network, codex } = choices;
    let working_directory = match directory {
        Some(path) => absolute(&path)?,
        None if config_lock.is_empty() || says_no_directory(config_lock) => {
            absolute(Path::new("."))?
        }
        None => String::new(),
    };
    Ok(Session {
        working_directory,
        model: model.unwrap_or_default(),
        filesystem_sandbox: sandbox.map_or(FilesystemSandbox::Unspecified, Into::into).into(),
        network_access: network.map_or(NetworkAccess::Unspecified, Into::into).into(),
        codex_options: options::codex(codex)?,
        ..Session::default()
    })
}

/// How much of a file is read: one byte more than a lock may have.
const MOST: u64 = MAX_BYTES as u64 + 1;

/// Whether this is a lock that says no directory, as those that codex itself made.
/// What is no lock at all is the server's to refuse.
fn says_no_directory(config_lock: &str) -> bool {
    Lock::parse(config_lock).is_ok_and(|lock| lock.effective.working_directory.is_none())
}

/// Reads a lock that was named.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().take(MOST).read_to_string(&mut text).map(|_| text)
    } else {
        let mut text = String::new();
        File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text)).map(|_| text)
    };
    let problem = match text {
        Ok(text) if text.len() > MAX_BYTES => format!("it is larger than {MAX_BYTES} bytes"),
        Ok(text) if !text.is_empty() => return Ok(text),
        Ok(_) => "it is empty".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Failure::Usage(format!("cannot read the config lock {}: {problem}", path.display())))
}

/// What is said where a lock has another directory looked at than this one.
const ELSEWHERE: &str =
    "This is the directory of the lock, and not the current one; -C . looks at that.";

/// Whether these are two directories, by whatever name.
fn is_another(one: &str, other: &str) -> bool {
    let real = |path: &str| fs::canonicalize(path).unwrap_or_else(|_| path.into());
    real(one) != real(other)
}

/// How something compares with a lock, for people; with further notes.
fn verdict(answer: &VerifyConfigLockResponse, notes: &[String]) -> String {
    let notes = answer.notes.iter().chain(notes);
    let notes: String = notes.map(|note| format!("note: {}\n", clean(note))).collect();
    let directory = clean(&answer.working_directory);
    if answer.matches {
        let version = clean(&answer.codex_version);
        return format!("the lock holds in {directory}: codex {version}\n{notes}");
    }
    format!("compared in {directory}\n{notes}{}", told(answer))
}

/// What differs, as a diff and with the places where it comes from.
fn told(answer: &VerifyConfigLockResponse) -> String {
    let mut text = clean(&answer.diff);
    for ConfigDrift { key, locked: _, actual: _, origin } in &answer.drift {
        text.push_str(&format!("{} comes from {}\n", clean(key), clean(origin)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_a_lock_may_have() {
        let Err(Failure::Usage(problem)) = read(Path::new("/dev/zero")) else { panic!() };
        assert!(problem.ends_with("it is larger than 1048576 bytes"), "{problem}");
    }

    #[test]
    fn a_refusal_keeps_its_words_where_nothing_differs_any_more() {
        let metadata = || [("truncated".to_owned(), "true".to_owned())].into();
        let problem = Problem {
            code: "FAILED_PRECONDITION",
            reason: "CONFIG_LOCK_DRIFT".to_owned(),
            message: "its words".to_owned(),
            metadata: metadata(),
            retry_after: None,
        };
        let mut answer =
            VerifyConfigLockResponse { matches: true, ..VerifyConfigLockResponse::default() };
        assert_eq!(with_all(problem.clone(), &answer), problem);
        answer.matches = false;
        answer.diff = "+x = 1\n".to_owned();
        answer.drift = vec![ConfigDrift {
            key: "config.x".to_owned(),
            locked: String::new(),
            actual: "1".to_owned(),
            origin: "/etc/x".to_owned(),
        }];
        let all = with_all(problem, &answer);
        assert!(all.message.ends_with(":\n+x = 1\nconfig.x comes from /etc/x\n"), "{all:?}");
        assert_eq!(all.metadata.keys().collect::<Vec<_>>(), ["diff", "drift", "keys"]);
        let drift = r#"[{"actual":"1","key":"config.x","locked":null,"origin":"/etc/x"}]"#;
        let told: Value = serde_json::from_str(&all.metadata["drift"]).unwrap();
        assert_eq!(told, serde_json::from_str::<Value>(drift).unwrap());
    }

    #[test]
    fn what_differs_is_told_with_the_place_that_it_comes_from() {
        let mut answer = VerifyConfigLockResponse {
            matches: true,
            codex_version: "0.169.0".to_owned(),
            working_directory: "/home/dev/project".to_owned(),
            notes: vec!["The lock says nothing of the network.".to_owned()],
            ..VerifyConfigLockResponse::default()
        };
        assert_eq!(
            verdict(&answer, &["It is another.".to_owned()]),
            "the lock holds in /home/dev/project: codex 0.169.0\n\
             note: The lock says nothing of the network.\nnote: It is another.\n"
        );
        answer.matches = false;
        answer.notes.clear();
        answer.diff = "-model = \"a\"\n+model = \"b\"\n".to_owned();
        answer.drift = vec![ConfigDrift {
            key: "config.model".to_owned(),
            locked: "\"a\"".to_owned(),
            actual: "\"b\"".to_owned(),
            origin: "/home/dev/.codex/config.toml".to_owned(),
        }];
        assert_eq!(
            verdict(&answer, &[]),
            "compared in /home/dev/project\n\
             -model = \"a\"\n+model = \"b\"\nconfig.model comes from /home/dev/.codex/config.toml\n"
        );
    }
}
