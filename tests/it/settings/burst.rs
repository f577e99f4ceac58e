//! Many writes at once: each is said, once and in its order.

use switchboard::proto::ListAuditEntriesRequest;
use tokio::task::JoinSet;

use super::{changed, get, set};
use crate::ledger::{self, Watcher, create, rest};

const WRITERS: usize = 8;
const WRITES: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_burst_of_writes_come_all_and_in_the_order_of_the_audit() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &id).await;
    let mut watcher = Watcher::start(&clients, &id);

    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (clients, id) = (clients.clone(), id.clone());
        writers.spawn(async move {
            for number in 0..WRITES {
                let key = format!("k{writer}");
                let value = number.to_string();
                let written = set(&clients, &id, &key, &value).await.unwrap();
                let expected = format!("\"{key}\":{value}");
                assert!(written.settings_json.contains(&expected), "its own write is in it");
                assert!(get(&clients, &id).await.contains(&expected), "and in what is read then");
            }
        });
    }
    writers.join_all().await;

    let all = WRITERS * WRITES;
    let seen = watcher
        .until("all changes", |events| events.iter().filter_map(changed).count() == all)
        .await;
    let seen: Vec<_> = seen.iter().filter_map(changed).map(|entry| entry.seq).collect();
    let request = ListAuditEntriesRequest { page_size: 1_000, ..Default::default() };
    let listed = clients.audit.clone().list_audit_entries(request).await.unwrap().into_inner();
    let mut listed: Vec<_> = listed.entries.iter().map(|entry| entry.seq).collect();
    listed.sort_unstable();
    assert_eq!(seen, listed);
}
