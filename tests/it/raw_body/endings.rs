//! Streams that somebody ends: a deadline, the client, the server.

use http::Version;
use http_body_util::BodyExt as _;
use tonic::Code;

use super::{Story, watch};
use crate::{
    bare::read,
    subscriber::{from, to_end},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_the_stream_in_the_same_way() {
    let story = Story::tell().await;
    let servers = story.serve_both().await;
    let all = servers[0].call(&watch(&to_end(&story.small, 700))).await.body.len();
    // A machine that is busy may need longer for what there is to tell.
    let mut timeouts = ["1500m", "5S", "12S"].into_iter();
    let (raw, generated) = loop {
        let timeout = timeouts.next().expect("all is told in time");
        let call = watch(&from(&story.small, 700)).header("grpc-timeout", timeout);
        let (raw, generated) = tokio::join!(servers[0].call(&call), servers[1].call(&call));
        if raw.body.len() >= all && generated.body.len() >= all {
            break (raw, generated);
        }
    };
    assert_eq!(raw, generated);
    let problem = raw.problem.unwrap();
    assert_eq!((problem.code, &*problem.reason), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    assert_eq!(raw.trailers.unwrap()["grpc-status"], "4");
    assert!(!raw.body.is_empty());

    // One that is over before anything can be said.
    let call = watch(&from(&story.small, 1)).header("grpc-timeout", "0n");
    for server in &servers {
        assert_eq!(server.call(&call).await.problem.as_ref(), Some(&problem));
    }
    for server in servers {
        server.no_watches().await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_is_forgotten() {
    let story = Story::tell().await;
    let servers = story.serve_both().await;
    for server in servers {
        for call in [
            watch(&from(&story.small, 1)),
            watch(&from(&story.small, 0)),
            // The client takes only a part of this.
            watch(&from(&story.large, 1)),
            watch(&from(&story.small, 1)).web(Version::HTTP_11, "application/grpc-web"),
        ] {
            let mut response = server.place.send(&call).await;
            response.body_mut().frame().await.unwrap().unwrap();
            drop(response);
            server.no_watches().await;
        }
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_down_tells_the_last_seq() {
    let story = Story::tell().await;
    let mut answers = Vec::new();
    for server in story.serve_both().await {
        let call = watch(&from(&story.small, 0));
        let mut response = server.place.send(&call).await;
        response.body_mut().frame().await.unwrap().unwrap();
        let (answer, ()) = tokio::join!(read(response), server.stop());
        answers.push(answer);
    }
    // What came before may have been read in one piece or in three.
    let [raw, generated] = [0, 1].map(|at| answers[at].problem.clone().unwrap());
    assert_eq!(raw, generated);
    assert_eq!((raw.code, &*raw.reason), (Code::Unavailable, "SHUTTING_DOWN"));
    assert!(raw.metadata["last_seq"].parse::<u64>().unwrap() > 700);
    assert_eq!(answers[0].trailers, answers[1].trailers);
}
