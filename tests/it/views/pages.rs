//! Pages: bounded by count and by bytes, and together the whole.

use super::*;
use crate::ledger::session_directory;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_never_larger_than_asked_and_all_pages_are_the_whole() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let script = "thread,turn,print:40:9000,big:200000,print:3,completed";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    rest(&clients, &id).await;
    let whole = all_steps(&clients, steps_of(&id)).await.concat();
    assert_eq!(whole.len(), 1 + 40 + 1 + 3);

    let max_bytes = 64 << 10;
    let mut request = GetTrajectoryRequest { max_bytes, ..steps_of(&id) };
    let mut found = Vec::new();
    loop {
        let page = steps_page(&clients, &request).await.unwrap();
        assert!(page.encoded_len() <= max_bytes as usize, "{}", page.encoded_len());
        found.extend(page.steps);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let large = 41;
    let Some(Kind::Message(cut)) = &found[large].kind else { panic!("{:?}", found[large]) };
    let Some(Kind::Message(all)) = &whole[large].kind else { panic!("{:?}", whole[large]) };
    assert!(all.text.starts_with(&cut.text) && cut.text.len() > 20_000, "{}", cut.text.len());
    assert_eq!((cut.truncated, cut.total_characters), (true, 200_000));
    assert_eq!(*all, text(&all.text));
    found[large] = whole[large].clone();
    assert_eq!(found, whole);

    // By default texts are as short as people want them.
    let short = GetTrajectoryRequest { full: false, ..steps_of(&id) };
    let short = all_steps(&clients, short).await.concat();
    let Some(Kind::Message(cut)) = &short[large].kind else { panic!("{:?}", short[large]) };
    let head: String = all.text.chars().take(200).collect();
    assert_eq!(*cut, Text { text: head, truncated: true, total_characters: 200_000 });
    let seven = GetTrajectoryRequest { full: false, max_characters: 7, ..steps_of(&id) };
    let seven = all_steps(&clients, seven).await.concat();
    let Some(Kind::Message(cut)) = &seven[large].kind else { panic!("{:?}", seven[large]) };
    assert_eq!(cut.text.chars().count(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_found_among_many_and_read_alone() {
    let mut server = ledger::setup().start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,print:50,completed").await;
    let id = id.unwrap().session_id;
    rest(&clients, &id).await;
    for turn in 2..=6 {
        let script = format!("thread,turn,print:{},completed", turn * 10);
        start_turn(&clients, &id, &script).await.unwrap();
        rest(&clients, &id).await;
    }
    // From memory, and then from the files.
    for _ in 0..2 {
        let clients = server.connect().await;
        let whole = all_steps(&clients, steps_of(&id)).await.concat();
        for turn in 1..=6 {
            let expected: Vec<_> = whole.iter().filter(|step| step.turn == turn).cloned().collect();
            let numbers: Vec<u32> = expected.iter().map(|step| step.step).collect();
            assert_eq!(numbers, (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
            for page_size in [0, 7] {
                let request = GetTrajectoryRequest { turn, page_size, ..steps_of(&id) };
                assert_eq!(all_steps(&clients, request).await.concat(), expected, "{turn}");
            }
        }
        server.kill_and_start();
    }
}

/// Where the oldest events are gone, what is left is read and says where it begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_oldest_events_expired_begins_at_the_oldest() {
    let mut server = ledger::setup().start();
    let clients = server.connect().await;
    // More than one segment of the log.
    let id = create(&clients, &server.work(), "thread,turn,print:1000:9000,completed").await;
    let id = id.unwrap().session_id;
    rest(&clients, &id).await;
    start_turn(&clients, &id, "thread,turn,message:late,completed").await.unwrap();
    rest(&clients, &id).await;
    let whole = all_steps(&clients, steps_of(&id)).await.concat();
    let first = GetTrajectoryRequest { page_size: 10, ..steps_of(&id) };
    let first = steps_page(&clients, &first).await.unwrap();
    server.kill();
    let log = session_directory(&server, &id).join("events");
    fs::remove_file(log.join("00000000000000000001.seg")).unwrap();
    server.start();
    let clients = server.connect().await;

    let page = steps_page(&clients, &steps_of(&id)).await.unwrap();

    let oldest = page.oldest_seq;
    assert!((2..1_000).contains(&oldest), "{oldest}");
    let steps = all_steps(&clients, steps_of(&id)).await.concat();
    let left: Vec<_> = whole.iter().filter(|step| step.seq >= oldest).collect();
    let seqs = |steps: &[&Step]| steps.iter().map(|step| step.seq).collect::<Vec<_>>();
    // The prompt is kept beside the events, and comes with the oldest of its turn.
    assert_eq!(steps[0].kind, whole[0].kind);
    assert_eq!((steps[0].seq, steps[0].step), (oldest, 1));
    assert_eq!(seqs(&steps[1..].iter().collect::<Vec<_>>()), seqs(&left));
    let second: Vec<_> = steps.iter().filter(|step| step.turn == 2).cloned().collect();
    assert_eq!(second, whole[whole.len() - second.len()..]);
    // A page that was to go on among what is gone goes on with the oldest.
    let page_token = first.next_page_token;
    let request = GetTrajectoryRequest { page_token, ..steps_of(&id) };
    let rest = all_steps(&clients, request).await.concat();
    assert_eq!(seqs(&rest.iter().collect::<Vec<_>>()), seqs(&left));
}
