//! New models: activated after their checks, refused otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use vereda_domain::gateway::*;

#[tokio::test(flavor = "multi_thread")]
async fn version_two_scores_from_the_next_sync_on_and_earlier_assessments_keep_version_one() {
    let server = Server::start().await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    let client = ana.new_client("María Peña", "1.020.345").await;
    let first = ana.assess(client).await.assessment;
    server.publish(BOOSTED).await;
    ana.synced().await;
    let model = ana.app.model().await.unwrap();
    assert_eq!(model.active.as_ref().unwrap().model.version, 2);
    assert!(model.active.unwrap().golden > 0);
    assert_eq!(model.updates.len(), 2);
    let second = ana.assess(client).await.assessment;
    assert_eq!((first.model.version, second.model.version), (1, 2));
    ana.synced().await;

    // A manager who never had version 1 sees what it scored, with its own form.
    let marta = Device::enrolled(&server, "marta").await;
    for assessment in [&first, &second] {
        let request = AssessmentRequest { assessment: assessment.id };
        let view = marta.app.assessment(request).await.unwrap();
        assert_eq!(view.assessment, *assessment);
        assert_eq!(view.rescore, Some(vereda_domain::record::Rescore::Same));
    }
    assert_eq!(marta.app.model().await.unwrap().active.unwrap().model.version, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_damaged_at_the_server_is_refused_and_version_one_goes_on() {
    let mut server = Server::start().await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    server.publish(BOOSTED).await;
    server.stop().await;
    let damage = "UPDATE models SET bytes = CAST(replace(CAST(bytes AS TEXT), '0.5', '0.6') AS BLOB)
                  WHERE version = 2";
    assert_eq!(server.database().execute(damage, []).unwrap(), 1);
    server.start_again().await;

    let view = ana.app.sync_now().await.unwrap();
    assert_eq!(view.line.state, SyncState::Idle, "{view:#?}");
    assert_eq!(view.last_error.unwrap().code, ErrorCode::ModelRefused);
    let model = ana.app.model().await.unwrap();
    assert_eq!(model.active.unwrap().model.version, 1);
    let ModelOutcome::Refused { reason, .. } = &model.updates[0].outcome else { panic!("accepted") };
    assert_eq!(*reason, ModelRefusal::HashMismatch);
    // Work goes on with version 1, and the refusal is not repeated at each sync.
    let client = ana.new_client("María Peña", "1.020.345").await;
    assert_eq!(ana.assess(client).await.assessment.model.version, 1);
    ana.app.sync_now().await.unwrap();
    assert_eq!(ana.app.model().await.unwrap().updates.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_that_a_device_cannot_trust_are_refused_with_their_reason() {
    let mut server = Server::start().await;
    server.publish(SCORECARD).await;
    let ana = Device::enrolled(&server, "ana").await;
    server.publish(BOOSTED).await;
    let good: serde_json::Value = serde_json::from_slice(&bundle(BOOSTED)).unwrap();
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        serde_json::to_vec(&bundle).unwrap()
    };
    let cases = [
        (with(&|b| b["format_version"] = 2.into()), 2, ModelRefusal::UnknownFormat),
        (
            with(&|b| b["golden"][0]["margin_bits"] = "0000000000000000".into()),
            2,
            ModelRefusal::GoldenMismatch,
        ),
        (with(&|b| b["groups"]["cuts"] = serde_json::json!([0.5])), 2, ModelRefusal::Invalid),
        (with(&|b| b["version"] = 7.into()), 2, ModelRefusal::Invalid),
    ];
    for (number, (bytes, version, expected)) in cases.into_iter().enumerate() {
        // The server announces these very bytes, as if its own checks had been passed by.
        server.stop().await;
        let sha256 = sha256(&bytes);
        let replace = "UPDATE models SET bytes = ?1, sha256 = ?2 WHERE version = ?3";
        assert_eq!(server.database().execute(replace, (bytes, &sha256, version)).unwrap(), 1);
        server.start_again().await;
        let view = ana.app.sync_now().await.unwrap();
        assert_eq!(view.last_error.unwrap().code, ErrorCode::ModelRefused);
        let model = ana.app.model().await.unwrap();
        assert_eq!((model.active.unwrap().model.version, model.updates.len()), (1, number + 2));
        let ModelOutcome::Refused { reason, .. } = model.updates[0].outcome.clone() else {
            panic!("accepted: {expected:?}");
        };
        assert_eq!((reason, &model.updates[0].sha256), (expected, &sha256));
    }
    // The right bytes at last.
    server.stop().await;
    let (bytes, version) = (bundle(BOOSTED), 2);
    let sha256 = sha256(&bytes);
    let replace = "UPDATE models SET bytes = ?1, sha256 = ?2 WHERE version = ?3";
    server.database().execute(replace, (bytes, sha256, version)).unwrap();
    server.start_again().await;
    ana.synced().await;
    assert_eq!(ana.app.model().await.unwrap().active.unwrap().model.version, 2);

    // And never back.
    server.stop().await;
    server.database().execute("DELETE FROM models WHERE version = 2", []).unwrap();
    server.start_again().await;
    let view = ana.app.sync_now().await.unwrap();
    assert_eq!(view.last_error.unwrap().code, ErrorCode::ModelRefused);
    let model = ana.app.model().await.unwrap();
    assert_eq!(model.active.unwrap().model.version, 2);
    assert!(matches!(model.updates[0].outcome, ModelOutcome::Refused { reason: ModelRefusal::Rollback, .. }));
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(bytes))
}
