//! A server that has too many requests: the device waits as it is told, and goes on where it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_asks_too_much_waits_and_goes_on() {
    // A request every second, after the first three: fewer than the questions that one run asks.
    let server = Server::start_with(|config| {
        (config.rates.window_s, config.rates.account.sync) = (3, 3);
    })
    .await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    for n in 0..3 {
        let client = ana.new_client("María Peña", &format!("1.020.{n}")).await;
        ana.assess(client).await;
        ana.synced().await;
    }
    ana.until(|line| line.waiting == 0).await;
    assert_eq!(ana.app.sync().await.unwrap().receipt.unwrap().seq, 6);
    let metrics = reqwest::get(format!("{}/metrics", server.running().metrics_url())).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let refused = r#"vereda_rate_limited_total{class="sync",by="account"}"#;
    assert!(metrics.contains(refused), "it was never refused: {metrics}");
    let log = ana.app.sync_log().await.unwrap();
    assert!(!log.contains("too-many-attempts"), "a run was given up: {log}");
}
