//! The officer's path, the manager's and the analyst's, as one story through real windows, against
//! the real server, with the real key store: capture offline, score, keep, sync, review, new model.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;
use vereda_e2e::steps::{ANSWERS, Answer};
use vereda_e2e::{Desktop, Server, Shape, SignIn, Window, built, root, until};

const CLIENTS: u32 = 40;
const NAME: &str = "María Ñáñez <script>alert('x')</script>";

#[tokio::test]
async fn capture_offline_score_keep_sync_review_new_model() -> Result<()> {
    let desktop = Desktop::start(1366, 800).await?.steady();
    let mut server = Server::start(&desktop.home().join("server"), CLIENTS).await?;
    let officer = server.sign_in("officer", 0)?;
    let manager = server.of_branch("manager", officer.branch.as_deref()).remove(0);
    let analyst = server.sign_in("analyst", 0)?;

    // 1. First start: the device enrols; the portfolio and the model arrive.
    let mut phone = Window::open(&desktop, &desktop.home().join("phone"), Shape::Phone).await?;
    phone.get("input-server").await?;
    accessible(&phone, "the first start").await?;
    phone.enrol(&server, &officer).await?;
    portfolio_arrives(&phone, CLIENTS).await?;
    accessible(&phone, "the portfolio").await?;

    // From then on a PIN unlocks, without any network.
    server.stop().await?;
    phone.kill().await?;
    phone.start().await?;
    phone.pin("111222").await?;
    phone.wait_text("unlock-message", |text| !text.is_empty()).await.context("a wrong PIN is refused")?;
    accessible(&phone, "the locked screen").await?;
    phone.unlock().await?;

    // 2. Search; a new client, with a likely duplicate shown before it is created.
    let known = first_client(&phone).await?;
    let folded = known["name"].as_str().context("a name")?.to_lowercase();
    phone.enter("portfolio-search", &folded).await?;
    phone.get(&format!("client-row-{}", text(&known["id"]))).await.context("the search finds them")?;
    phone.go("/new-client").await?;
    phone.enter("input-client-name", NAME).await?;
    phone.enter("input-client-document", text(&known["document"])).await?;
    phone.get("duplicate-open-0").await.context("the same document is pointed out")?;
    accessible(&phone, "the new client").await?;
    phone.enter("input-client-document", "CC 52.741.963-E2E").await?;
    phone.gone("duplicate-open-0").await?;
    phone.enter("input-client-phone", "300 555 9876").await?;
    phone.enter("input-client-place", "Vereda El Ejemplo").await?;
    phone.click("consent").await?;
    phone.click("create-client").await?;
    let shown = phone.wait_text("title", |title| title.contains("Ñáñez")).await?;
    ensure!(shown.contains("<script>"), "the name stays text: {shown:?}");
    accessible(&phone, "the client").await?;

    attach(&phone, &desktop.home().join("document.png")).await?;

    // The form, drawn from the schema; every field is saved as it is typed.
    phone.click("assess").await?;
    phone.to_question("amount").await?;
    phone.enter("input-amount", "7").await?;
    phone.wait_text("error-amount", |text| text.contains("50")).await.context("the range is named")?;
    accessible(&phone, "the interview").await?;
    phone.answer_all().await?;
    phone.wait_text("estimate", |text| text.contains('T')).await.context("a live estimate")?;
    let draft = phone.call("drafts", Value::Null).await?[0]["id"].clone();
    let typed = phone.call("draft", json!({"draft": draft})).await?["inputs"].clone();
    ensure!(typed["amount"] == json!(1000.0) || typed["amount"] == json!(1000), "saved as typed: {typed}");

    // 3. The score, at once; a what-if that keeps nothing; the decision.
    phone.click("score").await?;
    let group = phone.attr("verdict", "data-group").await?.unwrap_or_default();
    ensure!(group.starts_with('T'), "a group: {group:?}");
    ensure!(phone.text("pd").await?.contains('%'), "a PD in per cent");
    phone.find("[data-testid=reasons] .reason").await.context("the main reasons")?;
    accessible(&phone, "the result").await?;
    let assessment = assessment_in_address(&phone).await?;
    let result = format!("/result/{assessment}");
    phone.go(&format!("{result}/letter")).await?;
    phone.get("letter").await?;
    accessible(&phone, "the page for the client").await?;
    phone.go("/settings").await?;
    phone.get("lock").await?;
    accessible(&phone, "the settings").await?;
    phone.go(&result).await?;
    phone.get("verdict").await?;
    let recorded = phone.call("assessment", json!({"assessment": assessment})).await?;
    phone.press_in("what-if-amount", "\u{e010}").await?;
    phone.get("what-if-result").await.context("the what-if shows what would be")?;
    ensure!(
        phone.call("assessment", json!({"assessment": assessment})).await?["assessment"]
            == recorded["assessment"],
        "a what-if keeps nothing"
    );
    phone.click("result-override").await?;
    decide_against(&phone, text(&recorded["suggested"])).await?;
    phone.get("decided").await.context("the decision is shown")?;

    // 4. SIGKILL in the middle of a second form: the draft is there, on the same field.
    phone.go(&format!("/client/{}", text(&known["id"]))).await?;
    phone.click("assess").await?;
    for (feature, answer) in &ANSWERS[..5] {
        phone.answer(feature, *answer).await?;
    }
    phone.answer("income", Answer::Number("18")).await?;
    phone.kill().await?;
    phone.start().await?;
    phone.unlock().await?;
    let draft = phone.call("drafts", Value::Null).await?[0]["id"].clone();
    phone.click(&format!("draft-{}", text(&draft))).await.context("the draft is offered at once")?;
    until("the same field", || async {
        Ok((phone.focused().await?.as_deref() == Some("input-income")).then_some(()))
    })
    .await?;
    ensure!(phone.value("input-income").await? == "18", "what was typed is there");

    // 5. The server comes back: sync runs by itself, and its page says what happened.
    phone.go("/sync").await?;
    phone.get("sync-item").await.context("what waits is listed")?;
    server.go_on().await?;
    phone.gone("sync-item").await.context("it is sent without being told to")?;
    phone.wait_text("receipt", |text| text.chars().any(|c| c.is_ascii_digit())).await?;
    accessible(&phone, "sync").await?;
    let service = server.token(&analyst).await?;
    let entry = server.get(&service, &format!("/api/history/{assessment}")).await?;
    ensure!(entry["rescore"]["outcome"] == "same", "re-scored to the same bits: {}", entry["rescore"]);
    ensure!(entry["margin_bits"] == recorded["assessment"]["score"]["margin_bits"], "the same margin");

    // 6. The branch manager reviews it; the officer gets the decision.
    let desk = Window::open(&desktop, &desktop.home().join("desk"), Shape::Desktop).await?;
    desk.enrol(&server, &manager).await?;
    desk.go("/review").await?;
    desk.click(&format!("review-row-{assessment}")).await?;
    let sha = desk.text("review-detail-model-sha").await?;
    ensure!(sha.contains(text(&recorded["assessment"]["model"]["sha256"])), "the model's hash: {sha}");
    desk.get("review-rescore").await?;
    accessible(&desk, "the review").await?;
    desk.go("/sync").await?;
    desk.get("branch-device").await.context("the branch's devices, for its manager")?;
    accessible(&desk, "sync, for a manager").await?;
    pictures_arrive(&desk, &recorded["assessment"]["client"]).await?;
    desk.go(&format!("/review/{assessment}")).await?;
    desk.click("review-refer").await?;
    if recorded["suggested"] != "refer" {
        give_reason(&desk).await?;
    }
    desk.click("review-decide-confirm").await?;
    decided(&desk, &assessment, "refer", "manager").await?;
    desk.call("sync_now", Value::Null).await?;
    phone.call("sync_now", Value::Null).await?;
    decided(&phone, &assessment, "refer", "manager").await.context("the officer gets it")?;

    // 7. Version 2 is published and taken up; the earlier assessment keeps version 1.
    publish(&server, &analyst, &root().join("models/bundles/reference-boosted-2.json")).await?;
    phone.call("sync_now", Value::Null).await?;
    active_version(&phone, 2).await?;
    let earlier = phone.call("assessment", json!({"assessment": assessment})).await?;
    ensure!(earlier["assessment"]["model"]["version"] == 1, "it keeps version 1");
    let second = phone.call("portfolio", json!({"query": "", "offset": 3, "limit": 1})).await?;
    phone.go(&format!("/client/{}", text(&second["rows"][0]["id"]))).await?;
    phone.click("assess").await?;
    phone.answer_all().await?;
    phone.click("score").await?;
    phone.get("verdict").await?;
    let newer = assessment_in_address(&phone).await?;
    let newer = phone.call("assessment", json!({"assessment": newer})).await?;
    ensure!(newer["assessment"]["model"]["version"] == 2, "it is scored by version 2");

    // A damaged bundle, as a broken disk or a meddler at the server would serve it, is refused.
    damage_published_bundle(&mut server).await?;
    phone.call("sync_now", Value::Null).await?;
    phone.go("/model").await?;
    phone.get("model-refused").await.context("the refusal is shown")?;
    accessible(&phone, "the model").await?;
    active_version(&phone, 2).await.context("version 2 goes on")?;

    desk.close().await?;
    phone.close().await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Takes a picture of a document and a signature, without a network, and asks for the place.
async fn attach(phone: &Window<'_>, file: &Path) -> Result<()> {
    // Any photograph does; that of the window is at hand.
    phone.picture(file).await?;
    phone.get("attachments-none").await?;
    phone.press_in("attach-document", file.to_str().context("a path")?).await?;
    phone.get("attachment-document").await.context("the picture is kept")?;
    phone.find("[data-testid=attachment-document] img").await.context("and shown")?;
    phone.click("attach-signature").await?;
    phone.get("signature-pad").await?;
    accessible(phone, "the pad").await?;
    phone.draw("signature-pad", &[(0.1, 0.6), (0.3, 0.2), (0.5, 0.7), (0.9, 0.3)]).await?;
    phone.click("signature-keep").await?;
    phone.get("attachment-signature").await.context("the signature is kept")?;
    let img = phone.find("[data-testid=attachment-signature] img").await.context("and shown")?;
    let ink = "const c = document.createElement('canvas'), i = arguments[0]; c.width = i.naturalWidth; \
               c.height = i.naturalHeight; const x = c.getContext('2d'); x.drawImage(i, 0, 0); \
               return x.getImageData(0, 0, c.width, c.height).data.filter((v, n) => n % 4 == 0 && v < 99).length";
    let ink = phone.script(ink, vec![serde_json::to_value(&img)?]).await?;
    ensure!(ink.as_u64().is_some_and(|ink| (1_000..50_000).contains(&ink)), "a line was drawn: {ink}");
    phone.click("see-picture").await?;
    phone.get("picture").await.context("large")?;
    accessible(phone, "a picture").await?;
    phone.click("picture-close").await?;
    // This machine has no receiver: nothing is made up.
    phone.click("attach-position").await?;
    phone.find("[data-code=no-position]").await.context("no place without a receiver")?;
    ensure!(!phone.has("attachment-position").await?, "no place is made up");
    Ok(())
}

/// The manager sees the pictures once they were sent.
async fn pictures_arrive(desk: &Window<'_>, client: &Value) -> Result<()> {
    until("the pictures at the manager", || async {
        desk.call("sync_now", Value::Null).await?;
        let seen = desk.call("client", json!({"client": client})).await?;
        let Some(files) = seen["attachments"].as_array().filter(|files| files.len() == 2) else {
            return Ok(None);
        };
        for file in files {
            let wanted = json!({"client": client, "sha256": file["attachment"]["sha256"]});
            // Not before the officer's device has sent all of it.
            if desk.call("file", wanted).await.is_err() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    desk.go(&format!("/client/{}", text(client))).await?;
    desk.find("[data-testid=attachment-signature] img").await.context("the manager sees it")?;

    // Of a detail that changes often the last changes are shown, and it is said that these are not all.
    ensure!(!desk.has("timeline-rest").await?, "nothing was changed yet");
    for n in 0..4 {
        let fields = json!({"phone": format!("300 555 000{n}")});
        desk.call("edit_client", json!({"client": client, "fields": fields})).await?;
    }
    desk.get("timeline-rest").await.context("there were more changes")?;
    ensure!(desk.text("timeline").await?.contains("0003"), "the last change");
    ensure!(!desk.text("timeline").await?.contains("0000"), "the first of four changes");
    accessible(desk, "what happened to a client").await?;
    Ok(())
}

/// axe-core finds nothing.
async fn accessible(window: &Window<'_>, what: &str) -> Result<()> {
    let found = window.axe().await?;
    ensure!(found.is_empty(), "{what}, as axe-core sees it:\n{}", found.join("\n"));
    Ok(())
}

async fn portfolio_arrives(window: &Window<'_>, clients: u32) -> Result<()> {
    until("the portfolio and the model", || async {
        let page = window.call("portfolio", json!({"query": "", "offset": 0, "limit": 1})).await?;
        let model = window.call("model", Value::Null).await?;
        Ok((page["total"] == json!(clients) && !model["active"].is_null()).then_some(()))
    })
    .await
}

async fn first_client(window: &Window<'_>) -> Result<Value> {
    let page = window.call("portfolio", json!({"query": "", "offset": 0, "limit": 1})).await?;
    Ok(page["rows"][0].clone())
}

/// The assessment whose result is shown.
async fn assessment_in_address(window: &Window<'_>) -> Result<String> {
    until("the result's address", || async {
        let hash = window.script("return location.hash", vec![]).await?;
        Ok(text(&hash)
            .strip_prefix("#/result/")
            .map(|id| id.split('/').next().unwrap_or_default().to_owned()))
    })
    .await
}

/// Records another decision than the suggested one, which needs a reason from the list and words.
async fn decide_against(window: &Window<'_>, suggested: &str) -> Result<()> {
    let other = if suggested == "approve" { "refer" } else { "approve" };
    window.choose("decision", other).await?;
    window.get("decision-against").await?;
    accessible(window, "the decision").await?;
    give_reason(window).await?;
    window.click("decision-record").await
}

/// A reason from the list, and in words.
async fn give_reason(window: &Window<'_>) -> Result<()> {
    window.choose("override-code", "known_client").await?;
    window.enter("input-override-words", "Pagó dos créditos a tiempo.").await
}

/// Waits until the decision that holds is this one, by somebody of this rank.
async fn decided(window: &Window<'_>, assessment: &str, decision: &str, rank: &str) -> Result<()> {
    until("the decision", || async {
        let view = window.call("assessment", json!({"assessment": assessment})).await?;
        let what = &view["decision"]["what"];
        Ok((what["decision"] == decision && what["rank"] == rank).then_some(()))
    })
    .await
}

async fn active_version(window: &Window<'_>, version: u32) -> Result<()> {
    until("the active model", || async {
        let model = window.call("model", Value::Null).await?;
        Ok((model["active"]["model"]["version"] == json!(version)).then_some(()))
    })
    .await
}

/// As the analyst does it.
async fn publish(server: &Server, analyst: &SignIn, bundle: &Path) -> Result<()> {
    let mut publish = Command::new(built("vereda-model")?);
    publish.arg("publish").arg(bundle).args(["--server", &server.url(), "--user", &analyst.username]);
    publish.env("VEREDA_PASSWORD", &analyst.password);
    let done = publish.output().await?;
    ensure!(done.status.success(), "publish: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// Version 3, which is version 2 under another number, with a byte flipped where the server keeps it.
async fn damage_published_bundle(server: &mut Server) -> Result<()> {
    let bytes = std::fs::read(root().join("models/bundles/reference-boosted-2.json"))?;
    let mut bundle: Value = serde_json::from_slice(&bytes)?;
    bundle["version"] = json!(3);
    let bundle = serde_json::to_string(&bundle)?;
    server.stop().await?;
    server.serve_bundle(3, bundle.replacen("T8", "T7", 1).as_bytes(), Some(bundle.as_bytes()))?;
    server.go_on().await
}
