//! jsonrpsee's own client: errors with their data, and a subscription.

use std::str::FromStr as _;

use jsonrpsee::{
    client_transport::ws::{HeaderMap, HeaderValue, Url, WsTransportClientBuilder},
    core::{
        client::{Client, ClientBuilder, ClientT as _, Error, SubscriptionClientT as _},
        params::ObjectParams,
    },
};
use serde_json::{Value, json};

use super::{Rpc, websocket::seqs};
use crate::{harness::Server, ledger};

fn params(value: &Value) -> ObjectParams {
    let mut params = ObjectParams::new();
    for (name, value) in value.as_object().unwrap() {
        params.insert(name, value).unwrap();
    }
    params
}

async fn connect(server: &Server) -> Client {
    let url = Url::from_str(&format!("ws://{}/rpc", server.tcp())).unwrap();
    let token = HeaderValue::from_str(&format!("Bearer {}", server.token())).unwrap();
    let headers = HeaderMap::from_iter([("authorization".parse().unwrap(), token)]);
    let transport = WsTransportClientBuilder::default().set_headers(headers);
    let (sender, receiver) = transport.build(url).await.unwrap();
    ClientBuilder::default().build_with_tokio(sender, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn jsonrpsees_own_client_keeps_the_data_of_errors_and_subscribes() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, "thread,turn,message,completed");
    rpc.rest(&id);
    let client = connect(&server).await;
    let of = json!({"sessionId": id});
    let answer: Value = client.request("session/get", params(&of)).await.unwrap();
    assert_eq!(answer["session"]["sessionId"], json!(id));

    let unknown = json!({"sessionId": "x"});
    let Err(Error::Call(error)) = client.request::<Value, _>("session/get", params(&unknown)).await
    else {
        panic!("it was not refused")
    };
    let data: Value = serde_json::from_str(error.data().unwrap().get()).unwrap();
    assert_eq!((error.code(), &data["reason"]), (-32602, &json!("INVALID_ARGUMENT")));

    let watch = json!({"sessionIds": [id], "startSeq": "1"});
    let mut events = client
        .subscribe::<Value, _>("events/watch", params(&watch), "events/unwatch")
        .await
        .unwrap();
    let mut told = Vec::new();
    while !told.iter().any(|message: &Value| message.get("synced").is_some()) {
        let next = events.next().await.unwrap().unwrap();
        told.extend(next["messages"].as_array().unwrap().iter().cloned());
    }
    let seqs = seqs(&told);
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert!(seqs.len() > 3);
    events.unsubscribe().await.unwrap();
    let info: Value = client.request("server/info", params(&json!({}))).await.unwrap();
    assert!(info["version"].is_string());
}
