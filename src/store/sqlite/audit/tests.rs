//! Random histories of several scopes, against a model that keeps every state.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proptest::prelude::*;

use super::{super::Database, *};
use crate::{
    audit::{Chain, Origin, Values},
    controls::{Controls, Edit, Policy},
    proto::{ApprovalPolicy, FilesystemSandbox, NetworkAccess},
    settings::{Settings, Value},
    store::sqlite,
};

/// What there was after an entry.
#[derive(Debug)]
struct Known {
    seq: u64,
    scope: Scope,
    state: State,
}

fn value() -> impl Strategy<Value = Value> {
    let small = prop_oneof![Just("1".to_owned()), Just("1.0".to_owned()), Just("null".to_owned())];
    // So large that a state is kept beside some entries and not beside others.
    let large = (0..3_u8, 0..40_000_usize).prop_map(|(letter, length)| {
        format!("\"{}\"", char::from(b'a' + letter).to_string().repeat(length))
    });
    prop_oneof![3 => small, 1 => large].prop_map(|text| Value::parse("value", &text).unwrap())
}

fn settings() -> impl Strategy<Value = Settings> {
    prop::collection::vec(("[a-c]", value()), 0..3).prop_map(|members| {
        let mut settings = Settings::default();
        for (key, value) in members {
            settings.set(key, value);
        }
        settings
    })
}

fn controls() -> impl Strategy<Value = Controls> {
    (prop::option::of("[mn]"), 0..4_i32, 0..2_i32, 0..3_i32).prop_map(
        |(model, policy, network, sandbox)| Controls {
            model,
            approval_policy: ApprovalPolicy::try_from(policy).unwrap(),
            network: NetworkAccess::try_from(network).unwrap(),
            sandbox: FilesystemSandbox::try_from(sandbox).unwrap(),
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => ("[a-c]", value()).prop_map(|(key, value)| Edit::Set(key, value)),
        2 => "[a-c]".prop_map(Edit::Remove),
        1 => settings().prop_map(Edit::Merge),
        1 => settings().prop_map(Edit::Replace),
        1 => (controls(), prop::option::of(settings()))
            .prop_map(|(controls, settings)| Edit::Apply(controls, settings)),
        1 => controls().prop_map(Edit::Override),
    ]
}

fn at(second: usize) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000 + second as u64)
}

/// Checks every state that can be asked for against the model.
async fn check(database: &Database, scopes: &[Scope], begun: &[State], known: &[Known]) {
    let latest = known.last().map_or(0, |last| last.seq);
    for (scope, begun) in scopes.iter().zip(begun) {
        let of_scope = || known.iter().filter(|known| known.scope == *scope);
        if of_scope().next().is_none() {
            assert_eq!(database.rebuild(*scope, At::Latest).await.unwrap(), None);
            continue;
        }
        for seq in 0..=latest {
            let expected = of_scope().rfind(|known| known.seq <= seq);
            let (seq_of, state) = expected.map_or((0, begun), |known| (known.seq, &known.state));
            let second = usize::try_from(seq).unwrap();
            for at in [At::Seq(seq), At::Time(micros(at(second)))] {
                let found = database.rebuild(*scope, at).await.unwrap().unwrap();
                let found_state = State { revision: state.revision, ..found.state };
                assert_eq!((found.seq, &found_state), (seq_of, state), "{scope:?} {at:?}");
                // What is equal by its meaning has the same text here.
                assert_eq!(found_state.hash(), state.hash());
            }
        }
    }
    assert_eq!(verify(database, async || {}).await, (latest, None));
}

/// Follows the audit to its end, with `meanwhile` before each page of values; what
/// the last entry of the chain is, and what is broken.
async fn verify(
    database: &Database,
    meanwhile: impl AsyncFn(),
) -> (u64, Option<crate::proto::AuditBreak>) {
    let mut chain = Chain::default();
    loop {
        let links = database.audit_links(chain.last().0).await.unwrap();
        if links.is_empty() {
            break;
        }
        links.iter().for_each(|link| chain.follow(link).unwrap());
    }
    let mut values = Values::new(&chain, None);
    let mut place = None;
    loop {
        meanwhile().await;
        let read = database.audit_pieces(place).await.unwrap();
        read.pieces.iter().for_each(|piece| values.follow(piece));
        place = read.next;
        if place.is_none() {
            break;
        }
    }
    let mut place = Some(i64::MIN);
    while let Some(after) = place {
        let read = database.audit_unwritten(after).await.unwrap();
        read.pieces.iter().for_each(|piece| values.follow(piece));
        place = read.next;
    }
    (chain.last().0, values.into_first_break())
}

/// Sets the key `k` of a scope.
async fn set(database: &Database, scope: Scope, value: &str, seconds: usize) {
    let write = sqlite::Write {
        scope,
        session: match scope {
            Scope::Session(id) => Some(id),
            Scope::Default => None,
        },
        edit: Edit::Set("k".to_owned(), Value::parse("value", value).unwrap()),
        etag: String::new(),
        origin: Origin {
            actor: "ann".to_owned(),
            source: "test".to_owned(),
            transport: "grpc".to_owned(),
        },
        time: at(seconds),
    };
    database.write_controls(Arc::default(), write, |_| None, |_| {}).await.unwrap();
}

async fn sessions(database: &Database, count: usize) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for _ in 0..count {
        let id = SessionId::random();
        let new = sqlite::tests::session(id);
        database.insert_session(new, Settings::default(), vec![1], None).await.unwrap();
        scopes.push(Scope::Session(id));
    }
    scopes
}

#[tokio::test]
async fn values_are_read_for_verifying_a_bounded_page_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&directory.path().join("state.db")).unwrap();
    let large = format!("\"{}\"", "x".repeat(600 << 10));
    for (number, scope) in sessions(&database, 5).await.into_iter().enumerate() {
        set(&database, scope, &large, number).await;
    }
    let (mut place, mut pages) = (None, 0);
    loop {
        let read = database.audit_pieces(place).await.unwrap();
        let bytes = read.pieces.iter().map(|piece| match piece {
            Piece::Entry { seq: _, body, snapshot } => {
                body.len() + snapshot.as_ref().map_or(0, Vec::len)
            }
            Piece::End(standing) => standing.row.as_ref().map_or(0, |row| row.settings.len()),
        });
        // What is read last may be as large as an entry, its state and the row before are.
        assert!(bytes.sum::<usize>() < PAGE_BYTES + 3 * large.len());
        pages += 1;
        place = read.next;
        if place.is_none() {
            break;
        }
    }
    assert!(pages >= 5, "{pages}");
}

#[tokio::test]
async fn what_is_written_while_the_audit_is_verified_breaks_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&directory.path().join("state.db")).unwrap();
    let large = format!("\"{}\"", "x".repeat(600 << 10));
    let mut scopes = sessions(&database, 3).await;
    for scope in &scopes {
        set(&database, *scope, &large, 1).await;
    }
    // Never written before.
    scopes.extend(sessions(&database, 2).await);
    scopes.push(Scope::Default);
    let count = std::cell::Cell::new(0);
    let (last, broken) = verify(&database, async || {
        count.set(count.get() + 1);
        for scope in &scopes {
            set(&database, *scope, &count.get().to_string(), 2).await;
        }
    })
    .await;
    assert_eq!((last, broken), (3, None));
    assert!(count.get() > 1, "several pages");
}

async fn run(edits: Vec<(usize, Edit)>) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&directory.path().join("state.db")).unwrap();
    let ids = [SessionId::random(), SessionId::random()];
    for id in ids {
        let new = sqlite::tests::session(id);
        database.insert_session(new, Settings::default(), vec![1], None).await.unwrap();
    }
    let scopes = [Scope::Session(ids[0]), Scope::Session(ids[1]), Scope::Default];
    let policy = Arc::new(Policy::default());
    let mut states = [State::default(), State::default(), State::default()];
    let mut known: Vec<Known> = Vec::new();
    // What the first entry of each scope found.
    let mut begun = states.clone();
    for (which, edit) in edits {
        let scope = scopes[which];
        let write = sqlite::Write {
            scope,
            session: match scope {
                Scope::Session(id) => Some(id),
                Scope::Default => None,
            },
            edit: edit.clone(),
            etag: String::new(),
            origin: Origin {
                actor: "ann".to_owned(),
                source: "test".to_owned(),
                transport: "grpc".to_owned(),
            },
            time: at(known.len() + 1),
        };
        let written = database.write_controls(Arc::clone(&policy), write, |_| None, |_| {});
        let written = written.await.unwrap();
        let next = edit.apply(&states[which]);
        assert_eq!(State { revision: 0, ..written.state.clone() }, State { revision: 0, ..next });
        states[which] = written.state.clone();
        if let Some(entry) = written.entry {
            assert_eq!(entry.seq, known.len() as u64 + 1);
            known.push(Known { seq: entry.seq, scope, state: written.state });
        } else if known.iter().all(|known| known.scope != scope) {
            // Controls that were chosen as they were shown.
            begun[which] = written.state;
        }
    }
    check(&database, &scopes, &begun, &known).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn every_state_of_a_random_history_is_rebuilt_as_it_was(
        edits in prop::collection::vec((0..3_usize, edit()), 0..60),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run(edits));
    }
}
