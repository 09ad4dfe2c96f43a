//! `cargo xtask screenshots`: pictures of every screen of the real app against the real server, in
//! both languages and themes, at a phone's size and a desktop's, into `target/screenshots`, to be
//! looked at. Half of them (each screen once light and once dark, once in each language), and the
//! unusual states, are kept in `docs/screenshots`.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vereda_e2e::steps::{ANSWERS, PIN};
use vereda_e2e::{Desktop, Gate, Server, Shape, SignIn, Window, root, until};

const LANGUAGES: [&str; 2] = ["es", "en"];
const THEMES: [&str; 2] = ["light", "dark"];
/// As long as a name may well be, and with what must stay text.
const LONG: &str = "María de los Ángeles Ñáñez-Quiñones <b>y</b> Fernández de Córdoba Etxeberria";

#[tokio::main]
async fn main() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::start(&home.path().join("server"), 400).await?;
    let officer = server.sign_in("officer", 0)?;
    let manager = server.of_branch("manager", officer.branch.as_deref()).remove(0);
    // One part alone, for whoever works on that.
    let alone = std::env::args().nth(1);
    let wanted = |part: &str| alone.as_deref().is_none_or(|alone| alone == part);
    if wanted("screens") {
        phone(&mut server, &officer).await?;
        desk(&server, &manager).await?;
    }
    if wanted("earlier") {
        earlier(&server, &officer, &manager).await?;
    }
    if wanted("states") {
        states(&mut server, &officer).await?;
    }
    drop(server);
    if !wanted("empty") {
        return Ok(());
    }
    let empty = Server::start(&home.path().join("empty"), 0).await?;
    nothing_yet(&empty).await
}

/// Whether the pictures of a screen in this dress are kept.
fn kept(language: &str, theme: &str) -> bool {
    matches!((language, theme), ("es", "light") | ("en", "dark"))
}

async fn phone(server: &mut Server, officer: &SignIn) -> Result<()> {
    let (width, height) = Shape::Phone.size();
    let desktop = Desktop::start(width, height).await?;
    let mut window = Window::open(&desktop, &desktop.home().join("phone"), Shape::Phone).await?;
    window.get("input-server").await?;
    window.dress("es", "light", 100).await?;
    shoot(&window, "phone-es-light-enrol", true).await?;
    window.enrol(server, officer).await?;
    settled(&window, 400).await?;

    // An interview that is half done, one that is scored and decided, and something that waits.
    let page = window.call("portfolio", json!({"query": "", "offset": 0, "limit": 9})).await?;
    let client = |n: usize| page["rows"][n]["id"].clone();
    let draft = interview(&window, &client(1), 6).await?;
    let scored = interview(&window, &client(2), ANSWERS.len()).await?;
    server.stop().await?;
    let result = window.call("score", json!({"draft": scored})).await?;
    let assessment = text(&result["assessment"]["id"]).to_owned();

    for language in LANGUAGES {
        for theme in THEMES {
            window.dress(language, theme, 100).await?;
            let name = |screen: &str| format!("phone-{language}-{theme}-{screen}");
            let screens = [
                ("portfolio", "/".to_owned(), "portfolio-search"),
                ("new-client", "/new-client".to_owned(), "create-client"),
                ("client", format!("/client/{}", text(&client(2))), "assess"),
                ("interview", format!("/interview/{}", text(&draft)), "estimate"),
                ("result", format!("/result/{assessment}"), "verdict"),
                ("letter", format!("/result/{assessment}/letter"), "letter"),
                ("decision", format!("/result/{assessment}/decision"), "decision-record"),
                ("sync", "/sync".to_owned(), "sync-state"),
                ("model", "/model".to_owned(), "model-active"),
                ("settings", "/settings".to_owned(), "lock"),
            ];
            for (screen, path, sign) in screens {
                window.go(&path).await?;
                window.get(sign).await.with_context(|| name(screen))?;
                shoot(&window, &name(screen), kept(language, theme)).await?;
            }
            window.call("lock", Value::Null).await?;
            window.get("pin-pad").await?;
            shoot(&window, &name("unlock"), kept(language, theme)).await?;
            window.unlock().await?;
        }
    }
    server.go_on().await?;
    window.call("sync_now", Value::Null).await?;
    // Closed for good, so that the next one does not find its key store busy.
    window.kill().await
}

async fn desk(server: &Server, manager: &SignIn) -> Result<()> {
    let (width, height) = Shape::Desktop.size();
    let desktop = Desktop::start(width, height).await?;
    let window = Window::open(&desktop, &desktop.home().join("desk"), Shape::Desktop).await?;
    window.enrol(server, manager).await?;
    settled(&window, 800).await?;
    let review = window
        .call(
            "review",
            json!({"undecided": true, "group": null, "officer": null,
        "mismatch": false, "overridden": false, "max_age_days": null, "offset": 0, "limit": 3}),
        )
        .await?;
    let row = &review["rows"][0];
    for language in LANGUAGES {
        for theme in THEMES {
            // The other half than the phone's.
            let kept = |language, theme| !kept(language, theme);
            window.dress(language, theme, 100).await?;
            let name = |screen: &str| format!("desktop-{language}-{theme}-{screen}");
            let screens = [
                ("review", format!("/review/{}", text(&row["assessment"])), "review-detail-model-sha"),
                ("client", format!("/client/{}", text(&row["client"])), "client-data"),
                ("model", "/model".to_owned(), "model-active"),
                ("sync", "/sync".to_owned(), "sync-state"),
            ];
            for (screen, path, sign) in screens {
                window.go(&path).await?;
                window.get(sign).await.with_context(|| name(screen))?;
                shoot(&window, &name(screen), kept(language, theme)).await?;
            }
        }
    }
    window.close().await
}

/// Assessments of one client, more than one page of a pull has.
const MANY: u32 = 620;

/// A new device, with everybody and their last assessment, while the earlier ones are still coming.
async fn earlier(server: &Server, officer: &SignIn, manager: &SignIn) -> Result<()> {
    let (width, height) = Shape::Phone.size();
    let desktop = Desktop::start(width, height).await?;
    let window = Window::open(&desktop, &desktop.home().join("many"), Shape::Phone).await?;
    window.enrol(server, officer).await?;
    settled(&window, 400).await?;
    let page = window.call("portfolio", json!({"query": "", "offset": 3, "limit": 1})).await?;
    for _ in 0..MANY {
        let draft = interview(&window, &page["rows"][0]["id"], ANSWERS.len()).await?;
        window.call("score", json!({"draft": draft})).await?;
    }
    settled(&window, 400).await?;
    window.close().await?;

    // Before it is known how many there are, and when some have come.
    for (who, shape, clients, dressed, pages) in [
        (officer, Shape::Phone, 400, "begun-phone", 0),
        (officer, Shape::Phone, 400, "phone", 1),
        (manager, Shape::Desktop, 800, "begun-desktop", 0),
        (manager, Shape::Desktop, 800, "desktop", 1),
    ] {
        let mut gate = Gate::before(&server.url(), "assessments=earlier", pages).await?;
        let (width, height) = shape.size();
        let desktop = Desktop::start(width, height).await?;
        let window = Window::open(&desktop, &desktop.home().join("new"), shape).await?;
        window.enrol_at(gate.url(), who).await?;
        gate.holds().await?;
        for language in LANGUAGES {
            for theme in THEMES {
                window.dress(language, theme, 100).await?;
                window.go("/sync").await?;
                window.get("sync-state").await?;
                let keep = kept(language, theme) == (shape == Shape::Phone);
                shoot(&window, &format!("state-earlier-{dressed}-{language}-{theme}"), keep).await?;
            }
        }
        gate.open();
        settled(&window, clients).await?;
        window.close().await?;
    }
    Ok(())
}

/// What is unusual: text at 200 %, a long name, a refused bundle, an ended session, a wrong PIN, a
/// form with a wrong answer, a server that is not there.
async fn states(server: &mut Server, officer: &SignIn) -> Result<()> {
    let (width, height) = Shape::Phone.size();
    let desktop = Desktop::start(width, height).await?;
    let window = Window::open(&desktop, &desktop.home().join("states"), Shape::Phone).await?;
    window.dress("en", "light", 100).await?;
    window.enter("input-server", "http://127.0.0.1:9").await?;
    window.click("enrol-next").await?;
    window.enter("input-username", &officer.username).await?;
    window.enter("input-password", &officer.password).await?;
    window.click("enrol-next").await?;
    window.type_pin(PIN).await?;
    window.type_pin(PIN).await?;
    window.get("error").await?;
    shoot(&window, "state-error-unreachable", true).await?;
    window.dress("es", "light", 100).await?;
    window.enrol(server, officer).await?;
    settled(&window, 400).await?;

    let fields = json!({"name": LONG, "document": "CC 1.234.567.890", "phone": "311 222 33 44",
        "place": "Vereda El Ejemplo Largo del Alto de la Cruz, kilómetro 17"});
    window.go("/new-client").await?;
    for (field, text) in fields.as_object().context("fields")? {
        window.enter(&format!("input-client-{field}"), text.as_str().unwrap_or_default()).await?;
    }
    window.click("consent").await?;
    window.click("create-client").await?;
    window.get("assess").await?;
    shoot(&window, "state-long-name", true).await?;

    let page = window.call("portfolio", json!({"query": "", "offset": 20, "limit": 3})).await?;
    let draft = interview(&window, &page["rows"][0]["id"], 6).await?;
    let wrong = json!({"draft": draft, "field": "amount", "value": "mil"});
    window.call("save_field", wrong).await?;
    let scored = interview(&window, &page["rows"][1]["id"], ANSWERS.len()).await?;
    let result = window.call("score", json!({"draft": scored})).await?;
    let result = format!("/result/{}", text(&result["assessment"]["id"]));
    let form = format!("/interview/{}", text(&draft));
    window.go(&form).await?;
    window.get("section-step").await?;
    window.get("input-amount").await?;
    shoot(&window, "state-wrong-answer", true).await?;

    window.dress("es", "light", 200).await?;
    let large = [
        ("portfolio", "/", "portfolio-search"),
        ("interview", form.as_str(), "estimate"),
        ("result", result.as_str(), "verdict"),
        ("sync", "/sync", "sync-state"),
    ];
    for (screen, path, sign) in large {
        window.go(path).await?;
        window.get(sign).await?;
        shoot(&window, &format!("state-200-percent-{screen}"), true).await?;
    }
    window.dress("en", "light", 100).await?;

    // A flipped byte in a published bundle, and everybody's sessions ended.
    until("everything to be sent", || async {
        let sync = window.call("sync", Value::Null).await?;
        Ok((sync["line"]["waiting"] == 0).then_some(()))
    })
    .await?;
    server.stop().await?;
    let reference = std::fs::read_to_string(root().join("models/bundles/reference-boosted-2.json"))?;
    server.serve_bundle(2, reference.replacen("T8", "T7", 1).as_bytes(), Some(reference.as_bytes()))?;
    server.go_on().await?;
    window.call("sync_now", Value::Null).await?;
    window.go("/model").await?;
    window.get("model-refused").await?;
    shoot(&window, "state-refused-bundle", true).await?;
    server.stop().await?;
    server.end_sessions()?;
    server.go_on().await?;
    window.call("lock", Value::Null).await?;
    window.type_pin("111222").await?;
    window.get("unlock-message").await?;
    shoot(&window, "state-wrong-pin", true).await?;
    window.unlock().await?;
    window.go("/sync").await?;
    window.get("sign-in-again").await?;
    shoot(&window, "state-session-ended", true).await?;
    window.close().await
}

/// A server without a client.
async fn nothing_yet(server: &Server) -> Result<()> {
    for (role, shape, screen, sign) in [
        ("officer", Shape::Phone, "portfolio", "portfolio-search"),
        ("manager", Shape::Desktop, "review", "review"),
    ] {
        let (width, height) = shape.size();
        let desktop = Desktop::start(width, height).await?;
        let window = Window::open(&desktop, &desktop.home().join(screen), shape).await?;
        window.dress("es", "light", 100).await?;
        window.enrol(server, &server.sign_in(role, 0)?).await?;
        settled(&window, 0).await?;
        window.get(sign).await?;
        shoot(&window, &format!("state-empty-{screen}"), true).await?;
        window.close().await?;
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Begins an interview and answers so many questions.
async fn interview(window: &Window<'_>, client: &Value, answers: usize) -> Result<Value> {
    let draft = window.call("start_interview", json!({"client": client})).await?["id"].clone();
    for (feature, answer) in &ANSWERS[..answers] {
        let request = json!({"draft": draft, "field": feature, "value": answer.value()});
        window.call("save_field", request).await?;
    }
    Ok(draft)
}

/// Waits until the whole portfolio is here, all is sent and sync rests.
async fn settled(window: &Window<'_>, clients: u32) -> Result<()> {
    until("the first sync", || async {
        let page = window.call("portfolio", json!({"query": "", "offset": 0, "limit": 1})).await?;
        let sync = window.call("sync", Value::Null).await?;
        let line = &sync["line"];
        let settled = line["waiting"] == 0 && line["state"]["state"] == "idle";
        Ok((page["total"] == json!(clients) && settled).then_some(()))
    })
    .await
}

/// Takes the picture once nothing loads and nothing moves any more, and axe-core finds nothing.
async fn shoot(window: &Window<'_>, name: &str, keep: bool) -> Result<()> {
    window.gone("loading").await?;
    let still = "const done = arguments[0]; const fonts = document.fonts.ready; \
        const moving = document.getAnimations().map(a => a.finished.catch(() => 0)); \
        const limit = new Promise(r => setTimeout(r, 1000)); \
        Promise.race([Promise.all([fonts, ...moving]), limit]).then(() => \
          requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(true), 60))))";
    window.script_async(still, vec![]).await?;
    let found = window.axe().await?;
    ensure!(found.is_empty(), "{name}, as axe-core sees it:\n{}", found.join("\n"));
    let file = root().join(format!("target/screenshots/{name}.png"));
    window.picture(&file).await?;
    if keep {
        std::fs::copy(&file, root().join(format!("docs/screenshots/{name}.png")))?;
    }
    println!("{name}");
    Ok(())
}
