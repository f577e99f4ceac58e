//! Texts that are larger than others: the longest prompts, and lines that the
//! log does not hold whole.

use switchboard::proto::StartTurnRequest;

use super::*;

/// A page as large as there are.
const MAX_BYTES: u32 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_prompt_is_whole_for_whoever_can_take_it() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &id).await;
    let prompt = format!("FAKE_AGENT=thread,turn,completed\n{}", "🤔".repeat(1_040_000));
    let request =
        StartTurnRequest { session_id: id.clone(), prompt: prompt.clone(), ..Default::default() };
    clients.sessions.clone().start_turn(request).await.unwrap();
    rest(&clients, &id).await;

    // It does not fit into what clients take by default.
    let request = ListMessagesRequest { turn: 2, ..messages_of(&id) };
    let page = messages_page(&clients, &request).await.unwrap();
    let cut = page.messages[0].content.clone().unwrap();
    assert!(prompt.starts_with(&cut.text) && cut.text.len() > 1 << 20, "{}", cut.text.len());
    assert_eq!((cut.truncated, cut.total_characters), (true, prompt.chars().count() as u64));
    assert!(page.encoded_len() <= 3 << 20);

    let mut sessions = clients.sessions.clone().max_decoding_message_size(MAX_BYTES as usize);
    let request = ListMessagesRequest { max_bytes: MAX_BYTES, ..request };
    let page = sessions.list_messages(request).await.unwrap().into_inner();
    assert_eq!(page.messages[0].content, Some(text(&prompt)));
    assert_eq!(page.messages[0].role(), MessageRole::User);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_the_log_holds_cut_is_read_from_the_output() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let size = 34_000_000;
    let script = format!("thread,turn,message:before,big:{size},message:after,completed");
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    rest(&clients, &id).await;

    let request = GetTrajectoryRequest { full: false, ..steps_of(&id) };
    let steps = steps_page(&clients, &request).await.unwrap().steps;
    let Some(Kind::Message(cut)) = &steps[2].kind else { panic!("{:?}", steps[2]) };
    assert_eq!((cut.text.chars().count(), cut.truncated, cut.total_characters), (200, true, size));
    let mut sessions = clients.sessions.clone().max_decoding_message_size(MAX_BYTES as usize);
    let request = ListMessagesRequest { max_bytes: MAX_BYTES, ..messages_of(&id) };
    let page = sessions.list_messages(request).await.unwrap().into_inner();
    let whole = page.messages[2].content.as_ref().unwrap();
    assert_eq!((whole.text.len() as u64, whole.truncated), (size, false));
    assert_eq!(whole.total_characters, size);

    // Without the output there is the head, which does not claim to be all.
    let output = ledger::turn_files(&server, &id, 1).stdout();
    fs::File::options().write(true).open(output).unwrap().set_len(1_000).unwrap();
    let steps = steps_page(&clients, &steps_of(&id)).await.unwrap().steps;
    let Some(Kind::Message(cut)) = &steps[2].kind else { panic!("{:?}", steps[2]) };
    assert!(cut.truncated && cut.text.len() <= 1_024, "{}", cut.text.len());
    assert_eq!(steps[3].kind, Some(Kind::Message(text("after"))));
}
