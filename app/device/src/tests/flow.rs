//! Capturing, interviewing, scoring, deciding, without a network.

use super::*;
use crate::store::remote;
use vereda_domain::Decision;
use vereda_domain::client::ClientProblem;
use vereda_domain::event::{OverrideCode, OverrideReason, margin_bits};
use vereda_scoring::{Estimate, Value};

#[tokio::test(flavor = "multi_thread")]
async fn an_interview_becomes_an_assessment_and_a_decision() {
    let (device, _session) = Device::ready().await;
    let app = &device.app;
    let view = app.create_client(new_client("María Peña", "1.020.345")).await.unwrap();
    assert!(view.editable && view.row.waiting && view.scores.is_empty());
    let client = view.row.id;

    let draft = app.start_interview(ClientRequest { client }).await.unwrap();
    assert!(matches!(draft.estimate, Estimate::Incomplete { .. }));
    assert_eq!(app.start_interview(ClientRequest { client }).await.unwrap().id, draft.id);
    let request = DraftRequest { draft: draft.id };
    let refused = app.score(request.clone()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidInput);
    assert!(refused.fields.iter().any(|error| error.field == "amount"), "{refused:?}");

    let bytes = scorecard();
    let golden = Model::load(&bytes).unwrap().bundle().golden[0].clone();
    fill(app, draft.id, &golden.inputs).await;
    let rows = app.drafts().await.unwrap();
    assert_eq!((rows.len(), rows[0].answered as usize), (1, golden.inputs.len()));

    // A what-if shows the score of other answers and keeps nothing.
    let changes = [("records".to_owned(), Value::Boolean(true))].into();
    let what_if = WhatIfRequest { base: WhatIfBase::Draft(draft.id), changes };
    let Estimate::Ready(other) = app.what_if(what_if).await.unwrap() else { panic!("not ready") };
    assert_eq!(app.draft(request.clone()).await.unwrap().inputs, golden.inputs);

    let scored = app.score(request.clone()).await.unwrap();
    let score = &scored.assessment.score;
    assert_eq!(score.margin_bits, golden.margin_bits);
    assert_eq!(margin_bits(score.margin), golden.margin_bits);
    assert_ne!(score.probability, other.probability);
    assert_eq!((scored.delivery.clone(), scored.may_decide), (Delivery::Waiting, true));
    assert_eq!(code(app.draft(request).await), ErrorCode::NotFound);

    let id = scored.assessment.id;
    let decide = |decision, words: Option<&str>| {
        let override_reason =
            words.map(|words| OverrideReason { code: OverrideCode::KnownClient, words: words.into() });
        app.decide(DecideRequest { assessment: id, decision, override_reason })
    };
    assert_eq!(scored.suggested, Decision::Approve);
    assert_eq!(code(decide(Decision::Refuse, None).await), ErrorCode::OverrideNeedsReason);
    assert_eq!(code(decide(Decision::Refuse, Some("  ")).await), ErrorCode::OverrideNeedsReason);
    decide(Decision::Refuse, Some("Debe a dos vecinos")).await.unwrap();
    let decided = decide(Decision::Approve, Some("not needed")).await.unwrap();
    let Some(TimelineItem { what: TimelineKind::Decided { decision, override_reason, .. }, .. }) =
        decided.decision
    else {
        panic!("no decision");
    };
    assert_eq!((decision, override_reason), (Decision::Approve, None));
    assert_eq!(decided.timeline.len(), 3);

    let view = app.client(ClientRequest { client }).await.unwrap();
    assert_eq!(view.row.last.unwrap().decision, Some(Decision::Approve));
    assert_eq!((view.timeline.len(), view.scores.len()), (4, 1));
    assert!(matches!(view.timeline[3].what, TimelineKind::Captured));
    let page = app.review(ReviewRequest { limit: 50, ..ReviewRequest::default() }).await.unwrap();
    assert_eq!((page.total, page.rows[0].overridden), (1, false));
    assert_eq!(app.sync().await.unwrap().items.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_are_kept_as_they_were_typed_and_named() {
    let (device, _session) = Device::ready().await;
    let app = &device.app;
    let client = app.create_client(new_client("Juan", "77")).await.unwrap().row.id;
    let draft = app.start_interview(ClientRequest { client }).await.unwrap().id;
    let save = |value| app.save_field(SaveFieldRequest { draft, field: "amount".into(), value });
    assert!(save(Some(Value::Category("mucho".into()))).await.unwrap().problem.is_some());
    assert!(save(Some(Value::Number(-1.0))).await.unwrap().problem.is_some());
    let view = app.draft(DraftRequest { draft }).await.unwrap();
    assert_eq!(view.inputs["amount"], Value::Number(-1.0));
    assert_eq!((view.problems.len(), view.focus.as_deref()), (1, Some("amount")));
    save(None).await.unwrap();
    assert!(app.draft(DraftRequest { draft }).await.unwrap().inputs.is_empty());
    let unknown = SaveFieldRequest { draft, field: "nothing".into(), value: None };
    assert_eq!(code(app.save_field(unknown).await), ErrorCode::InvalidInput);

    app.save_focus(SaveFocusRequest { draft, field: "job".into() }).await.unwrap();
    assert_eq!(app.draft(DraftRequest { draft }).await.unwrap().focus.as_deref(), Some("job"));
    app.discard_draft(DraftRequest { draft }).await.unwrap();
    assert!(app.drafts().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_keeps_the_model_it_began_with() {
    let (device, session) = Device::ready().await;
    let app = &device.app;
    let client = app.create_client(new_client("Juan", "77")).await.unwrap().row.id;
    let draft = app.start_interview(ClientRequest { client }).await.unwrap();
    install(&session, &bundle("reference-boosted-2.json"));
    fill(app, draft.id, &answers(&scorecard())).await;
    let scored = app.score(DraftRequest { draft: draft.id }).await.unwrap();
    assert_eq!(scored.assessment.model, draft.model);
    let next = app.start_interview(ClientRequest { client }).await.unwrap();
    assert_eq!(next.model.version, 2);
    // What was scored with version 1 is shown with version 1.
    let shown = app.assessment(AssessmentRequest { assessment: scored.assessment.id }).await.unwrap();
    assert_eq!(shown.model_name, draft.model_name);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_there_is_no_interview_but_all_the_rest() {
    let device = Device::new();
    let officer = user(1, Role::Officer);
    device.add(&officer);
    device.unlock(&officer).await;
    let client = device.app.create_client(new_client("Juan", "77")).await.unwrap().row.id;
    assert_eq!(code(device.app.start_interview(ClientRequest { client }).await), ErrorCode::NoModel);
    assert_eq!(device.app.model().await.unwrap().active, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_checked_edited_and_their_history_is_kept() {
    let (device, _session) = Device::ready().await;
    let app = &device.app;
    let refused = app.create_client(new_client(" ", "")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidInput);
    assert_eq!(
        refused.client_fields,
        [(ClientField::Name, ClientProblem::Required), (ClientField::Document, ClientProblem::Required)]
    );
    let client = app.create_client(new_client("<script>alert(1)</script>", "77")).await.unwrap();
    assert_eq!(client.row.name, "<script>alert(1)</script>");
    device.pass(1000);
    let edit = |place: &str| EditClientRequest {
        client: client.row.id,
        fields: [(ClientField::Place, place.to_owned())].into(),
    };
    let edited = app.edit_client(edit("  La Unión ")).await.unwrap();
    assert_eq!(edited.row.place, "La Unión");
    let same = app.edit_client(edit("La Unión")).await.unwrap();
    assert_eq!(same.timeline.len(), 2, "an edit that changes nothing is no event");
    assert_eq!(app.sync().await.unwrap().items.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_opens_the_store_again_and_wrong_ones_cost_time_across_restarts() {
    let (mut device, _) = Device::ready().await;
    let officer = user(1, Role::Officer);
    device.app.create_client(new_client("Juan", "77")).await.unwrap();
    let status = device.app.lock().await.unwrap();
    assert_eq!(status.phase, Phase::Locked { retry_at: None });
    assert_eq!(code(device.app.drafts().await), ErrorCode::Locked);
    let unlock = |app: &App, pin: &str| {
        let (app, request) = (app.clone(), UnlockRequest { user: officer.id, pin: pin.into() });
        async move { app.unlock(request).await }
    };
    assert_eq!(code(unlock(&device.app, "000000").await), ErrorCode::WrongPin);
    let wrong = unlock(&device.app, "000000").await.unwrap_err();
    assert_eq!((wrong.code, wrong.retry_at), (ErrorCode::WrongPin, Some(START + 2000)));
    device.restarted();
    let early = unlock(&device.app, PIN).await.unwrap_err();
    assert_eq!((early.code, early.retry_at), (ErrorCode::TooManyAttempts, Some(START + 2000)));
    assert_eq!(device.app.status().await.unwrap().phase, Phase::Locked { retry_at: Some(START + 2000) });
    device.pass(2000);
    let open = unlock(&device.app, PIN).await.unwrap();
    assert_eq!((open.phase, open.sync.waiting), (Phase::Open, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_locks_itself_when_nobody_touches_it() {
    let (device, _) = Device::ready().await;
    let settings = Settings { auto_lock_minutes: 2, ..Settings::default() };
    device.app.set_settings(settings).await.unwrap();
    device.pass(119_000);
    device.app.drafts().await.unwrap();
    device.pass(119_000);
    // The page's own calls are no touch.
    assert_eq!(device.app.status().await.unwrap().phase, Phase::Open);
    device.app.sync().await.unwrap();
    device.pass(1_000);
    assert_eq!(code(device.app.drafts().await), ErrorCode::Locked);
    assert!(device.app.watch(WatchRequest { since: 0 }).await.unwrap().locked);
    let bad = Settings { auto_lock_minutes: 0, ..Settings::default() };
    assert_eq!(code(device.app.set_settings(bad).await), ErrorCode::InvalidInput);
}

/// Whoever finds that it is time to lock may be late: by then somebody else may have unlocked.
#[tokio::test(flavor = "multi_thread")]
async fn time_that_was_up_for_one_session_does_not_lock_the_next() {
    let (device, earlier) = Device::ready().await;
    let other = user(2, Role::Officer);
    device.add(&other);
    device.app.lock().await.unwrap();
    let open = device.unlock(&other).await;
    device.app.0.close_of(&earlier);
    assert_eq!(device.app.status().await.unwrap().phase, Phase::Open);
    device.app.0.close_of(&open);
    assert_eq!(device.app.status().await.unwrap().phase, Phase::Locked { retry_at: None });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_of_a_device_have_stores_of_their_own() {
    let (mut device, _) = Device::ready().await;
    let (ana, luis) = (user(1, Role::Officer), user(2, Role::Manager));
    device.app.create_client(new_client("Juan", "77")).await.unwrap();
    device.add(&luis);
    device.unlock(&luis).await;
    let everybody = PortfolioRequest { limit: 10, ..PortfolioRequest::default() };
    assert_eq!(device.app.portfolio(everybody.clone()).await.unwrap().total, 0);
    let status = device.app.status().await.unwrap();
    assert_eq!((status.users.len(), status.user.unwrap().id), (2, luis.id));
    device.restarted();
    assert_eq!(device.app.status().await.unwrap().user.unwrap().id, luis.id);
    device.unlock(&ana).await;
    assert_eq!(device.app.portfolio(everybody).await.unwrap().total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_may_decide_where_an_officer_may_not_any_more() {
    let (device, session) = Device::ready().await;
    let app = &device.app;
    let client = app.create_client(new_client("Juan", "77")).await.unwrap().row.id;
    let draft = app.start_interview(ClientRequest { client }).await.unwrap().id;
    fill(app, draft, &answers(&scorecard())).await;
    let id = app.score(DraftRequest { draft }).await.unwrap().assessment.id;

    // The manager's decision as it would be pulled.
    let mut record = session.store.read(|db| crate::store::assess::get(db, id)).unwrap();
    let manager = user(2, Role::Manager);
    let hlc = vereda_domain::hlc::Hlc { wall: START + 5, counter: 0, node: DeviceId(Uuid::from_u128(5)) };
    let decision = vereda_domain::record::DecisionRecord {
        decision: Decision::Refer,
        override_reason: Some(OverrideReason { code: OverrideCode::Policy, words: "comité".into() }),
        actor: manager.id,
        rank: vereda_domain::record::Rank::Manager,
        at: START + 5,
        replaces: Default::default(),
    };
    record.decisions.insert(hlc, decision);
    let page = page_of(vereda_domain::api::Pulled {
        changes: vec![vereda_domain::api::Change::State {
            record: vereda_domain::record::Record::Assessment(record),
        }],
        cursor: 1,
        more: false,
        end: 0,
        anew: false,
        next: None,
        remaining: None,
        server_ms: START,
    });
    let identity = session.identity();
    session.store.write(|db| remote::apply(db, &identity, &CHANGES, &page, START)).unwrap();

    let shown = app.assessment(AssessmentRequest { assessment: id }).await.unwrap();
    assert!(!shown.may_decide);
    let request = DecideRequest { assessment: id, decision: Decision::Approve, override_reason: None };
    assert_eq!(code(app.decide(request).await), ErrorCode::Forbidden);
    let undecided = ReviewRequest { undecided: true, limit: 9, ..ReviewRequest::default() };
    assert_eq!(app.review(undecided).await.unwrap().total, 0);
    let overridden = ReviewRequest { overridden: true, limit: 9, ..ReviewRequest::default() };
    assert_eq!(app.review(overridden).await.unwrap().total, 1);
}
