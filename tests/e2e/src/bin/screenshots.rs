//! `cargo xtask screenshots`: pictures of every screen of the real app against the real server, in
//! both languages and themes, at a phone's size and a desktop's, into `docs/screenshots`.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vereda_e2e::steps::ANSWERS;
use vereda_e2e::{Desktop, Server, Shape, SignIn, Window, root, until};

const LANGUAGES: [&str; 2] = ["es", "en"];
const THEMES: [&str; 2] = ["light", "dark"];

#[tokio::main]
async fn main() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::start(&home.path().join("server"), 400).await?;
    let officer = server.sign_in("officer", 0)?;
    let manager = server.of_branch("manager", officer.branch.as_deref()).remove(0);
    phone(&mut server, &officer).await?;
    desk(&server, &manager).await
}

async fn phone(server: &mut Server, officer: &SignIn) -> Result<()> {
    let (width, height) = Shape::Phone.size();
    let desktop = Desktop::start(width, height).await?;
    let mut window = Window::open(&desktop, &desktop.home().join("phone"), Shape::Phone).await?;
    window.get("input-server").await?;
    shoot(&window, "phone-es-light-enrol").await?;
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
            dress(&window, language, theme).await?;
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
                shoot(&window, &name(screen)).await?;
            }
            window.call("lock", Value::Null).await?;
            window.get("pin-pad").await?;
            shoot(&window, &name("unlock")).await?;
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
            dress(&window, language, theme).await?;
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
                shoot(&window, &name(screen)).await?;
            }
        }
    }
    window.close().await
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

/// Waits until the whole portfolio is here and sync rests.
async fn settled(window: &Window<'_>, clients: u32) -> Result<()> {
    until("the first sync", || async {
        let page = window.call("portfolio", json!({"query": "", "offset": 0, "limit": 1})).await?;
        let sync = window.call("sync", Value::Null).await?;
        Ok((page["total"] == json!(clients) && sync["line"]["state"]["state"] == "idle").then_some(()))
    })
    .await
}

/// Chooses language and theme, and waits until the page wears them.
async fn dress(window: &Window<'_>, language: &str, theme: &str) -> Result<()> {
    let settings =
        json!({"language": language, "theme": theme, "text_percent": 100, "auto_lock_minutes": 30});
    window.call("set_settings", settings).await?;
    // The screens learn of settings when they unlock or set them themselves.
    window.script("location.reload(); return null", vec![]).await?;
    until("the page's dress", || async {
        let script = "const page = document.documentElement; return [page.lang, page.dataset.theme]";
        let worn = window.script(script, vec![]).await?;
        Ok((worn == json!([language, theme])).then_some(()))
    })
    .await
}

/// Takes the picture once nothing loads and nothing moves any more.
async fn shoot(window: &Window<'_>, name: &str) -> Result<()> {
    window.gone("loading").await?;
    let still = "const done = arguments[0]; const fonts = document.fonts.ready; \
        const moving = document.getAnimations().map(a => a.finished.catch(() => 0)); \
        const limit = new Promise(r => setTimeout(r, 1000)); \
        Promise.race([Promise.all([fonts, ...moving]), limit]).then(() => \
          requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(true), 60))))";
    window.script_async(still, vec![]).await?;
    window.picture(&root().join(format!("docs/screenshots/{name}.png"))).await?;
    println!("{name}");
    Ok(())
}
