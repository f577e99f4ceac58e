//! What becomes of codex's threads: forked, killed, lost, and deleted with
//! their session.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use switchboard::proto::{
    DeleteSessionRequest, Event, FilesystemSandbox, ForkSessionRequest, KillSessionRequest,
    NetworkAccess, Session, SessionState, StateReason, event::Kind,
};
use tonic::Status;

use super::{Stage, find, items, message, warnings};
use crate::{
    ledger::{GIVE_UP, get, reason},
    model::{Gate, Reply, Request},
};

impl Stage {
    async fn fork(&self, of: &Session, prompt: &str) -> Result<Session, Status> {
        self.fork_as(of, Session::default(), prompt).await
    }

    async fn fork_as(
        &self,
        of: &Session,
        session: Session,
        prompt: &str,
    ) -> Result<Session, Status> {
        let request = ForkSessionRequest {
            session_id: of.session_id.clone(),
            session: Some(session),
            prompt: prompt.to_owned(),
            ..ForkSessionRequest::default()
        };
        let answer = self.clients.sessions.clone().fork_session(request).await?;
        Ok(answer.into_inner().session.unwrap())
    }

    async fn delete(&self, session: &Session) {
        let request =
            DeleteSessionRequest { session_id: session.session_id.clone(), ..Default::default() };
        self.clients.sessions.clone().delete_session(request).await.unwrap();
    }

    fn rollout(&self, thread_id: &str) -> Option<PathBuf> {
        find(&self.home.path().join("sessions"), thread_id)
    }
}

/// What the user asked and the model answered, as a request repeats it.
fn history(request: &Request) -> (Vec<&str>, Vec<&str>) {
    let mut asked = request.texts("user");
    asked.retain(|text| text.ends_with('?'));
    (asked, request.texts("assistant"))
}

/// The threads that the turns of a session resumed and forked.
fn begun_from(events: &[Event]) -> Vec<(&str, &str)> {
    let spawned = events.iter().filter_map(|event| match &event.kind {
        Some(Kind::TurnSpawned(spawned)) => Some(spawned),
        _ => None,
    });
    spawned.map(|it| (it.resumed_thread_id.as_str(), it.forked_thread_id.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_begins_with_the_history_and_the_settings_and_leaves_its_source_alone() {
    let stage = Stage::new().await;
    stage.model.script((1..=5).map(|n| Reply::new().message(&format!("answer {n}"))));
    let asked = Session {
        model: "gpt-5.4".to_owned(),
        filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
        network_access: NetworkAccess::Enabled.into(),
        ..stage.session()
    };
    let source = stage.create_as(asked, "first?").await;
    let (source, _) = stage.rest(&source).await;

    let fork = stage.fork(&source, "forked?").await.unwrap();
    assert_eq!((fork.state(), fork.turn_count), (SessionState::Running, 1));
    let (fork, events) = stage.rest(&fork).await;
    assert_eq!(fork.state(), SessionState::Completed);
    assert_eq!(fork.forked_from, source.session_id);
    assert_ne!(fork.thread_id, source.thread_id);
    assert_eq!(begun_from(&events), [("", source.thread_id.as_str())]);
    assert_eq!(warnings(&events), []);
    let context = &stage.turn_contexts(&fork.thread_id).pop().unwrap();
    assert_eq!(context["model"], "gpt-5.4");
    assert_eq!(context["sandbox_policy"]["type"], "workspace-write");
    assert_eq!(context["sandbox_policy"]["network_access"], true);
    // Codex counts on from where the source was; the turn's own is the difference.
    let tokens = |usage: Option<switchboard::proto::Usage>| usage.unwrap().input_tokens;
    assert_eq!(tokens(fork.usage), 200);
    assert_eq!(tokens(fork.last_turn.as_ref().unwrap().usage), 100);

    stage.start_turn(&source.session_id, "second?").await;
    let (source, _) = stage.rest(&source).await;
    stage.start_turn(&fork.session_id, "forked again?").await;
    let (fork, events) = stage.rest(&fork).await;
    assert_eq!(begun_from(&events)[1], (fork.thread_id.as_str(), ""));
    assert_eq!(tokens(source.usage), 200);

    let requests = stage.model.requests();
    let histories: Vec<_> = requests.iter().map(history).collect();
    let expected: [(&[&str], &[&str]); 4] = [
        (&["first?"], &[]),
        (&["first?", "forked?"], &["answer 1"]),
        (&["first?", "second?"], &["answer 1"]),
        (&["first?", "forked?", "forked again?"], &["answer 1", "answer 2"]),
    ];
    for ((asked, answered), expected) in histories.iter().zip(expected) {
        assert_eq!((asked.as_slice(), answered.as_slice()), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_without_a_prompt_takes_the_history_of_when_its_first_turn_starts() {
    let stage = Stage::new().await;
    stage.model.script((1..=4).map(|n| Reply::new().message(&format!("answer {n}"))));
    let source = stage.create("first?").await;
    let (source, _) = stage.rest(&source).await;
    let asked = Session { model: "gpt-5.4".to_owned(), ..Session::default() };
    let fork = stage.fork_as(&source, asked, "").await.unwrap();
    assert_eq!((fork.state(), fork.thread_id.as_str()), (SessionState::Pending, ""));
    assert_eq!(fork.filesystem_sandbox, source.filesystem_sandbox);
    // A fork of a fork that has no thread yet has the same source.
    let further = stage.fork(&fork, "").await.unwrap();
    stage.start_turn(&source.session_id, "second?").await;
    stage.rest(&source).await;

    for pending in [&fork, &further] {
        stage.start_turn(&pending.session_id, "forked?").await;
        let (fork, events) = stage.rest(pending).await;
        assert_eq!(fork.state(), SessionState::Completed);
        assert_eq!(begun_from(&events), [("", source.thread_id.as_str())]);
        let requests = stage.model.requests();
        let (asked, answered) = history(requests.last().unwrap());
        assert_eq!(asked, ["first?", "second?", "forked?"]);
        assert_eq!(answered, ["answer 1", "answer 2"]);
        assert_eq!(requests.last().unwrap().body["model"], "gpt-5.4");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_forked_while_it_runs() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    stage.model.script([
        Reply::new().message("answer 1"),
        Reply::new().wait(&gate).message("answer 2"),
        Reply::new().message("answer of the fork"),
    ]);
    let source = stage.create("first?").await;
    stage.rest(&source).await;
    stage.start_turn(&source.session_id, "second?").await;
    gate.reached(1).await;

    let fork = stage.fork(&source, "forked?").await.unwrap();
    let (fork, events) = stage.rest(&fork).await;
    assert_eq!(items(&events, 1), [message("item_0", "answer of the fork")]);
    assert_eq!(fork.state(), SessionState::Completed);
    assert_eq!(get(&stage.clients, &source.session_id).await.state(), SessionState::Running);
    gate.open_once();
    let (source, events) = stage.rest(&source).await;
    assert_eq!(source.state(), SessionState::Completed);
    assert_eq!(items(&events, 2), [message("item_0", "answer 2")]);
    let requests = stage.model.requests();
    let (asked, answered) = history(&requests[2]);
    assert_eq!((asked[0], *asked.last().unwrap()), ("first?", "forked?"));
    assert_eq!(answered, ["answer 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_thread_or_lost_it_cannot_be_forked() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("answer 1")]);
    let pending = stage.create("").await;
    let refused = stage.fork(&pending, "forked?").await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    assert!(refused.message().contains("has no thread yet"), "{refused}");

    let source = stage.create("first?").await;
    let (source, _) = stage.rest(&source).await;
    fs::remove_file(stage.rollout(&source.thread_id).unwrap()).unwrap();
    let fork = stage.fork(&source, "forked?").await.unwrap();
    let (fork, events) = stage.rest(&fork).await;
    assert_eq!(
        (fork.state(), fork.state_reason()),
        (SessionState::Failed, StateReason::ExitStatus)
    );
    let error = &fork.last_turn.as_ref().unwrap().error;
    assert!(error.starts_with("thread/fork: thread/fork failed: "), "{error}");
    assert!(error.contains(&source.thread_id) && error.contains("rollout"), "{error}");
    assert_eq!(warnings(&events), []);
    assert_eq!(stage.model.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_lost_is_begun_anew_once_and_that_is_said() {
    let stage = Stage::new().await;
    stage.model.script((1..=3).map(|n| Reply::new().message(&format!("answer {n}"))));
    let session = stage.create("first?").await;
    let (first, _) = stage.rest(&session).await;
    fs::remove_file(stage.rollout(&first.thread_id).unwrap()).unwrap();

    stage.start_turn(&session.session_id, "second?").await;
    let (second, events) = stage.rest(&session).await;
    assert_eq!(second.state(), SessionState::Completed);
    assert_eq!(second.last_turn.as_ref().unwrap().error, "");
    assert_ne!(second.thread_id, first.thread_id);
    assert_eq!(items(&events, 2), [message("item_0", "answer 2")]);
    let said = format!(
        "the thread {} could not be resumed: the agent began a new thread and does not know what \
         was said before",
        first.thread_id
    );
    assert_eq!(warnings(&events), [("THREAD_RESTARTED", said.as_str())]);

    stage.start_turn(&session.session_id, "third?").await;
    let (third, events) = stage.rest(&session).await;
    assert_eq!(third.state(), SessionState::Completed);
    assert_eq!(third.thread_id, second.thread_id);
    assert_eq!(warnings(&events).len(), 1);
    let threads = [("", ""), (first.thread_id.as_str(), ""), (second.thread_id.as_str(), "")];
    assert_eq!(begun_from(&events), threads);
    let requests = stage.model.requests();
    assert_eq!(history(&requests[1]), (vec!["second?"], vec![]));
    assert_eq!(history(&requests[2]), (vec!["second?", "third?"], vec!["answer 2"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_whose_source_is_lost_begins_anew_as_well() {
    let stage = Stage::new().await;
    stage.model.script((1..=3).map(|n| Reply::new().message(&format!("answer {n}"))));
    let source = stage.create("first?").await;
    let (source, _) = stage.rest(&source).await;
    let fork = stage.fork(&source, "forked?").await.unwrap();
    let (forked, _) = stage.rest(&fork).await;
    fs::remove_file(stage.rollout(&source.thread_id).unwrap()).unwrap();

    stage.start_turn(&fork.session_id, "forked again?").await;
    let (fork, events) = stage.rest(&fork).await;
    assert_eq!(fork.state(), SessionState::Completed, "{fork:?}");
    assert_ne!(fork.thread_id, forked.thread_id);
    let warnings = warnings(&events);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].0, "THREAD_RESTARTED");
    assert!(warnings[0].1.contains(&forked.thread_id), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_was_killed_leaves_a_thread_that_goes_on() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    stage.model.script([
        Reply::new().message("answer 1").command("sleep 300"),
        Reply::new().wait(&gate).message("answer 2"),
        Reply::new().message("answer 3"),
    ]);
    let session = stage.create("first?").await;
    let kill = |session: &Session| {
        let session_id = session.session_id.clone();
        let mut sessions = stage.clients.sessions.clone();
        async move {
            let request = KillSessionRequest { session_id, ..Default::default() };
            sessions.kill_session(request).await.unwrap();
        }
    };
    let mut watcher = stage.watch(&session);
    watcher.until("the command", |events| items(events, 1).len() == 2).await;
    kill(&session).await;
    let (killed, _) = stage.rest(&session).await;
    assert_eq!(killed.state(), SessionState::Killed);
    stage.start_turn(&session.session_id, "second?").await;
    gate.reached(1).await;
    kill(&session).await;
    let (killed, _) = stage.rest(&session).await;
    assert_eq!(killed.state(), SessionState::Killed);

    stage.start_turn(&session.session_id, "third?").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Completed);
    assert_eq!(session.thread_id, killed.thread_id);
    assert_eq!(warnings(&events), []);
    let requests = stage.model.requests();
    let (asked, answered) = history(requests.last().unwrap());
    assert_eq!(asked, ["first?", "second?", "third?"]);
    assert_eq!(answered, ["answer 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_session_takes_its_thread_along_unless_a_fork_lives_of_it() {
    let stage = Stage::new().await;
    stage.model.script((1..=4).map(|n| Reply::new().message(&format!("answer {n}"))));
    let source = stage.create("first?").await;
    let (source, _) = stage.rest(&source).await;
    let fork = stage.fork(&source, "forked?").await.unwrap();
    let (fork, _) = stage.rest(&fork).await;
    let further = stage.fork(&fork, "forked again?").await.unwrap();
    let (further, _) = stage.rest(&further).await;
    let alone = stage.create("alone?").await;
    let (alone, _) = stage.rest(&alone).await;
    let rollouts = [&source, &fork, &further, &alone];
    let rollouts = rollouts.map(|it| stage.rollout(&it.thread_id).unwrap());
    let there = || rollouts.each_ref().map(|rollout| rollout.exists());

    stage.delete(&source).await;
    stage.delete(&fork).await;
    stage.delete(&alone).await;
    // What is answered is that the deletion is durable; the files go soon after,
    // and those of who was deleted earlier had their turn then.
    until("the thread goes", || !rollouts[3].exists()).await;
    assert_eq!(there(), [true, true, true, false]);
    stage.delete(&further).await;
    until("all go with the last fork", || there() == [false; 4]).await;
    let log = stage.server.log();
    assert!(!log.contains("does not forget"), "codex was asked in vain: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_that_has_not_begun_keeps_the_history_of_its_deleted_source() {
    let stage = Stage::new().await;
    stage.model.script((1..=3).map(|n| Reply::new().message(&format!("answer {n}"))));
    let source = stage.create("first?").await;
    let (source, _) = stage.rest(&source).await;
    let alone = stage.create("alone?").await;
    let (alone, _) = stage.rest(&alone).await;
    let [kept, other] = [&source, &alone].map(|it| stage.rollout(&it.thread_id).unwrap());
    let fork = stage.fork(&source, "").await.unwrap();
    assert_eq!(fork.state(), SessionState::Pending);

    stage.delete(&source).await;
    stage.delete(&alone).await;
    until("the thread of the other goes", || !other.exists()).await;

    assert!(kept.exists());
    stage.start_turn(&fork.session_id, "forked?").await;
    let (fork, events) = stage.rest(&fork).await;
    assert_eq!(fork.state(), SessionState::Completed, "{fork:?}");
    assert_eq!(begun_from(&events), [("", source.thread_id.as_str())]);
    let requests = stage.model.requests();
    let (asked, answered) = history(requests.last().unwrap());
    assert_eq!((asked, answered), (vec!["first?", "forked?"], vec!["answer 1"]));
    let forked = stage.rollout(&fork.thread_id).unwrap();
    stage.delete(&fork).await;
    until("both go", || !forked.exists() && !kept.exists()).await;
}

async fn until(what: &str, happened: impl Fn() -> bool) {
    let begin = Instant::now();
    while !happened() {
        assert!(begin.elapsed() < GIVE_UP, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
