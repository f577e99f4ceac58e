//! `switchboard settings …`: the settings of a session, or of new ones.
//!
//! The server reads and writes whole settings. What lies at a path inside of one
//! is read with all of it, changed here and written back with the etag, so that
//! nothing is lost that somebody else wrote meanwhile.

pub(super) mod path;
pub(super) mod value;
mod writing;

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _},
};

use self::{
    path::Path,
    value::{Form, Typed},
    writing::Writing,
};
use super::{
    Context, Failure,
    args::{GetSettingsArgs, SetSettingsArgs, SettingsCommand, UnsetSettingsArgs},
    connect::{Connector, Server},
    embedded::print,
    render::{json::indented, text::clean},
    retry,
    scope::{Scoped, positionals},
};
use crate::{
    controls::stored_key,
    json::Json,
    proto::{GetSettingsRequest, GetSettingsResponse, UpdateMode},
    settings::Settings,
};

pub(super) async fn settings(cx: &Context, command: SettingsCommand) -> Result<(), Failure> {
    match command {
        SettingsCommand::Get(args) => get(cx, args).await,
        SettingsCommand::Set(args) => set(cx, args).await,
        SettingsCommand::Unset(args) => unset(cx, args).await,
    }
}

async fn get(cx: &Context, args: GetSettingsArgs) -> Result<(), Failure> {
    let GetSettingsArgs { session, path, scope, no_path, raw } = args;
    let (session, [path]) = positionals(scope.scope, session, [path])?;
    let path = path.map(|path| parse(path, no_path)).transpose()?;
    let server = Connector::new(cx)?.connect().await?;
    let scoped = Scoped::resolve(cx, &server, scope.scope, session.as_deref()).await?;
    let Read { answer, settings } = read(cx, &server, &scoped).await?;
    let Some(path) = path else {
        if cx.output.json {
            return print(cx, &answer, []);
        }
        let members = settings.iter().map(|(key, value)| (key, value.to_json()));
        return cx.output.line(&safe(&indented(&Json::object(members))));
    };
    let key = stored_key(&settings, path.key());
    let top = settings.get(key).map(|value| value.to_json());
    let found = top.as_ref().and_then(|value| path::find(value, path.below()));
    if cx.output.json {
        let answer = GetSettingsResponse {
            settings_json: None,
            key: Some(key.to_owned()),
            value_json: found.map(Json::to_string),
            ..answer
        };
        let mut further = place(&path);
        further.push(("found", found.is_some().into()));
        print(cx, &answer, further)?;
        return if found.is_some() { Ok(()) } else { Err(Failure::BadOutcome) };
    }
    match found {
        Some(Json::String(text)) if raw => cx.output.line(&safe(text)),
        Some(value) => cx.output.line(&safe(&indented(value))),
        None => {
            cx.output.note(&clean(&format!("{path} is not set")));
            Err(Failure::BadOutcome)
        }
    }
}

/// A text as it is, but harmless where it goes to a terminal.
fn safe(text: &str) -> Cow<'_, str> {
    if io::stdout().is_terminal() { clean(text).into() } else { text.into() }
}

async fn set(cx: &Context, args: SetSettingsArgs) -> Result<(), Failure> {
    let SetSettingsArgs {
        session,
        path,
        value,
        string,
        file,
        settings,
        replace,
        no_path,
        scope,
        writer,
    } = args;
    let (session, [path, value]) = positionals(scope.scope, session, [path, value])?;
    let form = if string { Form::Text } else { Form::Json };
    let written = match (path, value, &file, settings) {
        (None, None, None, Some(map)) => {
            let mode = if replace { UpdateMode::Replace } else { UpdateMode::Merge };
            Written::Map(value::map(&map)?, mode)
        }
        (Some(path), Some(value), None, None) => {
            let path = parse(path, no_path)?;
            Written::Value(path, value::value(&Typed::Here(&value), form)?)
        }
        (Some(path), None, Some(file), None) => {
            Written::Value(parse(path, no_path)?, value::value(&Typed::File(file), form)?)
        }
        (_, _, _, Some(_)) => {
            return Err(Failure::Usage("beside --settings neither PATH nor VALUE is given".into()));
        }
        (None, ..) => {
            return Err(Failure::Usage("no PATH: give a PATH and a VALUE, or --settings".into()));
        }
        (Some(_), Some(_), Some(_), None) => {
            return Err(Failure::Usage("beside --file no VALUE is given".into()));
        }
        (Some(_), None, None, None) => {
            return Err(Failure::Usage("no VALUE: give one as JSON, or --file".into()));
        }
    };
    let writing = Writing::begin(cx, scope.scope, session.as_deref(), writer).await?;
    match written {
        Written::Map(map, mode) => writing.set_map(&map, mode).await,
        Written::Value(path, value) if path.below().is_empty() => {
            writing.set_key(&path, &value).await
        }
        Written::Value(path, value) => writing.set_below(&path, &value).await,
    }
}

async fn unset(cx: &Context, args: UnsetSettingsArgs) -> Result<(), Failure> {
    let UnsetSettingsArgs { session, path, no_path, scope, writer } = args;
    let (session, [path]) = positionals(scope.scope, session, [path])?;
    let path = path.ok_or_else(|| Failure::Usage("no PATH: which setting?".into()))?;
    let path = parse(path, no_path)?;
    let writing = Writing::begin(cx, scope.scope, session.as_deref(), writer).await?;
    if path.below().is_empty() {
        writing.unset_key(&path).await
    } else {
        writing.unset_below(&path).await
    }
}

/// What is written.
enum Written {
    /// Many settings.
    Map(Json, UpdateMode),
    /// What lies at a path.
    Value(Path, Json),
}

fn parse(text: String, no_path: bool) -> Result<Path, Failure> {
    if no_path {
        return Ok(Path::of_key(text));
    }
    Path::parse(&text).map_err(|problem| {
        Failure::Usage(format!("the path {text}: {problem}; --no-path takes it for a key as it is"))
    })
}

/// The path, for programs, where it is more than a key.
fn place(path: &Path) -> Vec<(&'static str, Json)> {
    if path.below().is_empty() {
        return Vec::new();
    }
    let parts = std::iter::once(path.key()).chain(path.below().iter().map(String::as_str));
    vec![("path", Json::Array(parts.map(Json::from).collect()))]
}

/// All settings of a scope.
struct Read {
    /// The answer, with their text.
    answer: GetSettingsResponse,
    /// Themselves.
    settings: Settings,
}

async fn read(cx: &Context, server: &Server, scoped: &Scoped) -> Result<Read, Failure> {
    let request = GetSettingsRequest {
        session_id: scoped.session_id.clone(),
        scope: scoped.scope.into(),
        key: None,
    };
    let attempt = |server: Server| {
        let request = request.clone();
        async move { server.settings().get_settings(request).await }
    };
    let answer = retry::call(server, cx.output, attempt).await?;
    let settings = Settings::parse("settings", answer.settings_json.as_deref().unwrap_or("{}"));
    let settings = settings.map_err(|error| {
        Failure::Failed(format!("the server's answer holds no settings: {error}"))
    })?;
    Ok(Read { answer, settings })
}
