//! Writes of settings: of whole ones, and of what lies inside of them.

use super::{
    Read,
    path::{self, Path},
    place, read,
};
use crate::{
    cli::{
        Context, Failure,
        args::{ScopeWord, WriterArgs},
        connect::{Connector, Server},
        embedded::print,
        render::text::{clean, one_line},
        retry,
        scope::{Attempts, Scoped, named},
    },
    controls::stored_key,
    json::Json,
    proto::{
        DeleteSettingRequest, Outcome, UpdateMode, UpdateSettingsRequest, UpdateSettingsResponse,
    },
};

/// How much of a value is shown of what was written.
const SHOWN_VALUE: usize = 80;

/// A write on its way.
pub(super) struct Writing<'a> {
    cx: &'a Context,
    server: Server,
    scoped: Scoped,
    writer: WriterArgs,
}

impl<'a> Writing<'a> {
    /// Connects, and finds out whose settings are meant.
    pub(super) async fn begin(
        cx: &'a Context,
        scope: ScopeWord,
        session: Option<&str>,
        writer: WriterArgs,
    ) -> Result<Self, Failure> {
        let session = named(session, &writer)?.map(str::to_owned);
        let server = Connector::new(cx)?.connect().await?;
        let scoped = Scoped::resolve(cx, &server, scope, session.as_deref()).await?;
        Ok(Self { cx, server, scoped, writer })
    }

    fn request(&self) -> UpdateSettingsRequest {
        UpdateSettingsRequest {
            session_id: self.scoped.session_id.clone(),
            scope: self.scoped.scope.into(),
            actor: self.writer.actor.clone().unwrap_or_default(),
            source: self.writer.source.clone(),
            etag: self.writer.etag.clone().unwrap_or_default(),
            ..UpdateSettingsRequest::default()
        }
    }

    /// Writes many settings at once.
    pub(super) async fn set_map(&self, map: &Json, mode: UpdateMode) -> Result<(), Failure> {
        let request = UpdateSettingsRequest {
            settings_json: Some(map.to_string()),
            mode: mode.into(),
            ..self.request()
        };
        let answer = retry::change(&self.server, self.cx.output, request).await?;
        let count = map.as_object().map_or(0, <[_]>::len);
        let plural = if count == 1 { "" } else { "s" };
        let said = match mode {
            UpdateMode::Replace => format!("exactly {count} setting{plural}"),
            UpdateMode::Merge | UpdateMode::Unspecified => format!("{count} setting{plural} set"),
        };
        self.tell_update(&answer, &said, Vec::new())
    }

    /// Writes one setting.
    pub(super) async fn set_key(&self, path: &Path, value: &Json) -> Result<(), Failure> {
        let request = UpdateSettingsRequest {
            key: Some(path.key().to_owned()),
            value_json: Some(value.to_string()),
            ..self.request()
        };
        let answer = retry::change(&self.server, self.cx.output, request).await?;
        let path = path.under(answer.key());
        self.tell_update(&answer, &assigned(&path, value), Vec::new())
    }

    /// Writes a value inside of a setting.
    pub(super) async fn set_below(&self, path: &Path, value: &Json) -> Result<(), Failure> {
        let mut attempts = Attempts::new(&self.writer);
        loop {
            let Read { answer, settings } = read(self.cx, &self.server, &self.scoped).await?;
            let key = stored_key(&settings, path.key());
            let top = settings.get(key).map(|value| value.to_json());
            let next = path::with(top, path.below(), value.clone())
                .map_err(|blocked| Failure::Failed(path.explain(blocked)))?;
            let etag = attempts.etag(answer.etag);
            let Some(answer) = attempts.made(self.write_top(key, next, etag).await).await? else {
                continue;
            };
            let path = &path.under(answer.key());
            return self.tell_update(&answer, &assigned(path, value), place(path));
        }
    }

    /// Writes one whole setting, whatever its key is.
    async fn write_top(
        &self,
        key: &str,
        value: Json,
        etag: String,
    ) -> Result<UpdateSettingsResponse, Failure> {
        let map = Json::object([(key, value)]);
        let request =
            UpdateSettingsRequest { settings_json: Some(map.to_string()), etag, ..self.request() };
        let answer = retry::change(&self.server, self.cx.output, request).await?;
        Ok(UpdateSettingsResponse { key: Some(key.to_owned()), ..answer })
    }

    /// Removes one setting.
    pub(super) async fn unset_key(&self, path: &Path) -> Result<(), Failure> {
        let UpdateSettingsRequest { session_id, scope, actor, source, etag, .. } = self.request();
        let request = DeleteSettingRequest {
            session_id,
            scope,
            key: path.key().to_owned(),
            actor,
            source,
            etag,
            ..DeleteSettingRequest::default()
        };
        let answer = retry::change(&self.server, self.cx.output, request).await?;
        if self.cx.output.json {
            return print(self.cx, &answer, [("removed", answer.removed.into())]);
        }
        self.tell(&removed(path, answer.removed), answer.audit_seq)
    }

    /// Removes a value inside of a setting.
    pub(super) async fn unset_below(&self, path: &Path) -> Result<(), Failure> {
        let mut attempts = Attempts::new(&self.writer);
        loop {
            let Read { answer, settings } = read(self.cx, &self.server, &self.scoped).await?;
            let key = stored_key(&settings, path.key());
            let top = settings.get(key).map(|value| value.to_json());
            let mut next = top.clone().unwrap_or(Json::Null);
            let was_there = path::remove(&mut next, path.below());
            let etag = attempts.etag(answer.etag);
            // What is not there is asked of the server all the same: it knows whether the etag
            // that was given holds, and whether this scope may be written.
            let outcome = match top {
                Some(_) => self.write_top(key, next, etag).await,
                None => self.write_nothing(key, etag).await,
            };
            let Some(answer) = attempts.made(outcome).await? else { continue };
            let path = &path.under(answer.key());
            if self.cx.output.json {
                let mut further = place(path);
                further.push(("removed", was_there.into()));
                return print(self.cx, &answer, further);
            }
            return self.tell(&removed(path, was_there), answer.audit_seq);
        }
    }

    /// Changes nothing, and has the server judge that it would be allowed.
    async fn write_nothing(
        &self,
        key: &str,
        etag: String,
    ) -> Result<UpdateSettingsResponse, Failure> {
        let request =
            UpdateSettingsRequest { settings_json: Some("{}".into()), etag, ..self.request() };
        let answer = retry::change(&self.server, self.cx.output, request).await?;
        Ok(UpdateSettingsResponse { key: Some(key.to_owned()), ..answer })
    }

    fn tell_update(
        &self,
        answer: &UpdateSettingsResponse,
        said: &str,
        further: Vec<(&'static str, Json)>,
    ) -> Result<(), Failure> {
        if self.cx.output.json {
            return print(self.cx, answer, further);
        }
        match answer.outcome() {
            Outcome::Unchanged => self.tell(&format!("{said}, as before"), 0),
            Outcome::Ok | Outcome::Unspecified => self.tell(said, answer.audit_seq),
        }
    }

    fn tell(&self, said: &str, audit_seq: u64) -> Result<(), Failure> {
        let entry = match audit_seq {
            0 => String::new(),
            seq => format!("  (audit entry {seq})"),
        };
        self.cx.output.line(&format!("{}  {}{entry}", self.scoped.whose(), clean(said)))
    }
}

fn assigned(path: &Path, value: &Json) -> String {
    format!("{path} = {}", one_line(&value.to_string(), SHOWN_VALUE))
}

fn removed(path: &Path, was_there: bool) -> String {
    format!("{path} {}", if was_there { "removed" } else { "was not there" })
}
