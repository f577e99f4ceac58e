//! Forks, and what a client may write of a session: title, labels, archived.

use super::{Commands, Outcomes};
use crate::{
    cli::{
        Failure,
        args::{ForkArgs, LabelChange},
        connect::{Connector, present},
        follow::{End, Follower, outcome},
        keyboard::{Keyboard, OnInterrupt},
        prompt,
        render::text::one_line,
        run::{absolute, announce},
    },
    proto::{FilesystemSandbox, ForkSessionRequest, Session, UpdateSessionRequest},
};

/// How often a change of labels is made anew when somebody else changes them too.
const LABEL_ATTEMPTS: u32 = 10;

impl Commands<'_> {
    pub(super) async fn fork(&self, connector: Connector, args: ForkArgs) -> Result<(), Failure> {
        let prompt = match args.prompt {
            Some(prompt) => prompt::read(Some(prompt))?,
            None => String::new(),
        };
        let directory = args.directory.as_deref().map(absolute).transpose()?;
        let sandbox = args.sandbox.map_or(FilesystemSandbox::Unspecified, Into::into);
        let session = Session {
            source: "user".into(),
            title: args.title.unwrap_or_default(),
            working_directory: directory.unwrap_or_default(),
            model: args.model.unwrap_or_default(),
            filesystem_sandbox: sandbox.into(),
            persist_session: args.persist_session,
            ..Session::default()
        };
        let mut keyboard = Keyboard::new(self.cx, OnInterrupt::StopTurn)?;
        let session_id = keyboard.unless_left(self.session(&args.id)).await??.session_id;
        let follow = !args.detach && !prompt.is_empty();
        let request = ForkSessionRequest {
            session_id,
            session: Some(session),
            prompt,
            ..ForkSessionRequest::default()
        };
        let answer = keyboard.unless_left(self.change(request)).await??;
        let session = present(answer.session)?;
        if !follow {
            return announce(self.cx, &session);
        }
        let follower = Follower::new(self.cx, connector, &session.session_id, 1, End::Turn(1));
        outcome(follower.follow(&mut keyboard).await?)
    }

    pub(super) async fn rename(&self, id: &str, title: String) -> Result<(), Failure> {
        let session_id = self.session(id).await?.session_id;
        let change = Session { title, ..Session::default() };
        let session = self.update(session_id, change, "title", String::new()).await?;
        let said = match session.title.as_str() {
            "" => "has no title".to_owned(),
            title => one_line(title, 200),
        };
        self.tell(&session, &said)
    }

    pub(super) async fn label(&self, id: &str, changes: &[LabelChange]) -> Result<(), Failure> {
        let mut session = self.session(id).await?;
        let mut attempts = 0;
        let session = loop {
            let mut labels = session.labels;
            for change in changes {
                match change {
                    LabelChange::Set(key, value) => drop(labels.insert(key.clone(), value.clone())),
                    LabelChange::Remove(key) => drop(labels.remove(key)),
                }
            }
            attempts += 1;
            let change = Session { labels, ..Session::default() };
            let id = session.session_id.clone();
            match self.update(id, change, "labels", session.etag).await {
                // All labels are written at once; what somebody else wrote stays.
                Err(Failure::Refused(problem))
                    if problem.reason == "ETAG_MISMATCH" && attempts < LABEL_ATTEMPTS =>
                {
                    session = self.session(&session.session_id).await?;
                }
                done => break done?,
            }
        };
        let labels: Vec<String> =
            session.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let said = match labels.as_slice() {
            [] => "has no labels".to_owned(),
            labels => one_line(&labels.join(" "), 400),
        };
        self.tell(&session, &said)
    }

    pub(super) async fn set_archived(&self, ids: &[String], archived: bool) -> Result<(), Failure> {
        let mut outcomes = Outcomes::new(self.cx);
        for session in self.resolve(ids).await? {
            let change = Session { archived, ..Session::default() };
            let done = self.update(session.session_id, change, "archived", String::new()).await;
            if let Some(session) = outcomes.add(done)? {
                self.tell(&session, if archived { "archived" } else { "unarchived" })?;
            }
        }
        outcomes.end()
    }

    async fn update(
        &self,
        session_id: String,
        session: Session,
        field: &str,
        etag: String,
    ) -> Result<Session, Failure> {
        let request = UpdateSessionRequest {
            session_id,
            session: Some(session),
            update_mask: Some(pbjson_types::FieldMask { paths: vec![field.to_owned()] }),
            etag,
            ..UpdateSessionRequest::default()
        };
        present(self.change(request).await?.session)
    }
}
