//! Everything that goes wrong around an officer, through the real window: each says what happened and
//! what to do, in Spanish and in English, and none of it costs any work. One story, in which unsent
//! work and an unfinished interview are there from the second step on and are looked for after each.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use vereda_e2e::process::{free_port, signal};
use vereda_e2e::steps::{ANSWERS, Answer, PIN};
use vereda_e2e::texts::LANGUAGES;
use vereda_e2e::{Desktop, Server, Shape, SignIn, Window, root, until};

const CLIENTS: u32 = 8;

#[tokio::test]
async fn whatever_goes_wrong_is_said_in_both_languages_and_costs_nothing() -> Result<()> {
    let desktop = Desktop::start(400, 820).await?.steady();
    let mut server = Server::start(&desktop.home().join("server"), CLIENTS).await?;
    let officer = server.sign_in("officer", 0)?;
    let data = desktop.home().join("phone");
    let mut phone = Window::open(&desktop, &data, Shape::Phone).await?;

    let foreign = foreign_server().await?;
    for language in LANGUAGES {
        phone.dress(language, "light", 100).await?;
        enrolment_is_refused(&phone, language, &foreign, &server, &officer).await?;
    }
    // The last refusal left the wizard where the password is typed.
    phone.enter("input-password", &officer.password).await?;
    pin_again(&phone).await?;
    phone.home().await?;
    arrived(&phone).await?;

    // From here on without the server: something is captured, and something is unfinished.
    server.stop().await?;
    let draft = form_values_are_wrong(&phone).await?;
    let first = capture(&phone, 1).await?;
    for language in LANGUAGES {
        phone.dress(language, "light", 100).await?;
        phone.go("/sync").await?;
        phone.says("sync-state", language, &["sync-offline-next"]).await.context("unreachable, at work")?;
    }
    let work = Work { draft, waiting: 1 };
    work.is_there(&phone).await?;

    page_process_dies(&mut phone, desktop.home(), &work).await?;
    wrong_pins(&phone, &work).await?;
    key_store_fails(&desktop, &phone, &work).await?;
    store_is_damaged(&phone, &data, &work).await?;

    // The server is back, has forgotten everybody's sessions, and serves a bundle with a flipped byte.
    let reference = std::fs::read(root().join("models/bundles/reference-boosted-2.json"))?;
    server.end_sessions()?;
    let flipped = String::from_utf8(reference.clone())?.replacen("T8", "T7", 1);
    server.serve_bundle(2, flipped.as_bytes(), Some(&reference))?;
    server.go_on().await?;
    phone.unlock().await?;
    session_has_ended(&phone, &officer, &work).await?;
    delivered(&phone, &server, &officer, &first).await?;
    let work = Work { waiting: 0, ..work };
    work.is_there(&phone).await?;
    bundle_is_refused(&phone, "model-refusal-hash").await?;

    // And then one of a format that this app does not know.
    server.stop().await?;
    let mut unknown: Value = serde_json::from_slice(&reference)?;
    unknown["version"] = json!(3);
    unknown["format_version"] = json!(999);
    server.serve_bundle(3, &serde_json::to_vec(&unknown)?, None)?;
    server.go_on().await?;
    phone.call("sync_now", Value::Null).await?;
    bundle_is_refused(&phone, "model-refusal-format").await?;
    work.is_there(&phone).await?;
    nobody_waits_for_the_clock(&phone).await?;
    phone.close().await?;

    // A clock that is a year ahead, and then one that is a year behind.
    for clock in ["+365d", "-365d"] {
        let phone = Window::open_at(&desktop, &data, Shape::Phone, Some(clock)).await?;
        phone.unlock().await?;
        clock_is_off(&phone, &server, &officer).await.with_context(|| format!("a clock {clock}"))?;
        work.is_there(&phone).await?;
        phone.close().await?;
    }
    Ok(())
}

/// What must be there after everything that goes wrong.
struct Work {
    draft: String,
    waiting: u64,
}

impl Work {
    async fn is_there(&self, window: &Window<'_>) -> Result<()> {
        let draft = window.call("draft", json!({"draft": self.draft})).await?;
        ensure!(draft["inputs"]["amount"] == "mil", "the draft is as it was typed: {}", draft["inputs"]);
        ensure!(draft["inputs"]["term_months"] == 36.0, "and its other answer: {}", draft["inputs"]);
        let sync = window.call("sync", Value::Null).await?;
        ensure!(sync["line"]["waiting"] == self.waiting, "what waits: {}", sync["line"]);
        ensure!(sync["line"]["quarantined"] == 0, "nothing is put aside: {}", sync["line"]);
        Ok(())
    }
}

/// Answers like a hotel's network, whatever it is asked.
async fn foreign_server() -> Result<String> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let page = "<html><title>Bienvenido al hotel</title></html>";
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close";
                let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    Ok(address)
}

/// A server that is not there, one that is something else, and a wrong password.
async fn enrolment_is_refused(
    phone: &Window<'_>,
    language: &str,
    foreign: &str,
    server: &Server,
    officer: &SignIn,
) -> Result<()> {
    let nowhere = format!("http://127.0.0.1:{}", free_port()?);
    let error = |code: &str| [format!("error-{code}"), format!("error-{code}-do")];
    let said = async |code: &str| -> Result<()> {
        phone.find(&format!("[data-testid=error][data-code={code}]")).await?;
        let keys = error(code);
        phone.says("error", language, &[&keys[0], &keys[1]]).await
    };
    phone.enter("input-server", &nowhere).await?;
    phone.click("enrol-next").await?;
    phone.enter("input-username", &officer.username).await?;
    phone.enter("input-password", "no es esta").await?;
    phone.click("enrol-next").await?;
    phone.type_pin(PIN).await?;
    phone.type_pin(PIN).await?;
    said("unreachable").await?;
    for _ in 0..3 {
        phone.click("enrol-back").await?;
    }
    ensure!(phone.value("input-server").await? == nowhere, "what was typed stays");

    phone.enter("input-server", foreign).await?;
    again(phone).await?;
    said("foreign-server").await?;
    phone.enter("input-server", &server.url()).await?;
    again(phone).await?;
    said("wrong-credentials").await?;
    ensure!(phone.value("input-username").await? == officer.username, "what was typed stays");
    Ok(())
}

/// On through the wizard from its first step, with what was typed before.
async fn again(phone: &Window<'_>) -> Result<()> {
    phone.click("enrol-next").await?;
    phone.get("input-password").await?;
    pin_again(phone).await
}

/// From the password on: the PIN that was chosen before stands there, and is repeated.
async fn pin_again(phone: &Window<'_>) -> Result<()> {
    phone.click("enrol-next").await?;
    phone.get("pin-pad").await?;
    phone.click("pin-enter").await?;
    phone.wait_text("enrol-step", |step| step.contains("4 ")).await?;
    phone.type_pin(PIN).await
}

/// Waits for the portfolio and the model.
async fn arrived(phone: &Window<'_>) -> Result<()> {
    until("the portfolio and the model", || async {
        let page = phone.call("portfolio", json!({"query": "", "offset": 0, "limit": 1})).await?;
        let model = phone.call("model", Value::Null).await?;
        Ok((page["total"] == json!(CLIENTS) && !model["active"].is_null()).then_some(()))
    })
    .await
}

async fn client(phone: &Window<'_>, n: u32) -> Result<String> {
    let page = phone.call("portfolio", json!({"query": "", "offset": n, "limit": 1})).await?;
    Ok(page["rows"][0]["id"].as_str().context("a client")?.to_owned())
}

/// Leaves an interview with an answer that is no number, and gives it.
async fn form_values_are_wrong(phone: &Window<'_>) -> Result<String> {
    phone.go(&format!("/client/{}", client(phone, 0).await?)).await?;
    phone.click("assess").await?;
    phone.answer("term_months", Answer::Number("36")).await?;
    for (typed, problem) in [("7", "problem-range"), ("mil", "problem-number")] {
        phone.enter("input-amount", typed).await?;
        phone.get("saved-amount").await.context("it is kept as it was typed")?;
        for language in LANGUAGES {
            phone.dress(language, "light", 100).await?;
            phone.says("error-amount", language, &[problem]).await?;
            ensure!(phone.value("input-amount").await? == typed, "it stands as it was typed");
        }
    }
    let drafts = phone.call("drafts", Value::Null).await?;
    Ok(drafts[0]["id"].as_str().context("a draft")?.to_owned())
}

/// Captures an assessment and gives its id.
async fn capture(phone: &Window<'_>, of: u32) -> Result<String> {
    let client = client(phone, of).await?;
    let draft = phone.call("start_interview", json!({"client": client})).await?["id"].clone();
    for (field, answer) in ANSWERS {
        let request = json!({"draft": draft, "field": field, "value": answer.value()});
        phone.call("save_field", request).await?;
    }
    let result = phone.call("score", json!({"draft": draft})).await?;
    Ok(result["assessment"]["id"].as_str().context("an assessment")?.to_owned())
}

/// The page comes back by itself on the screen that it was on. WebDriver loses a page whose process
/// ends, so pictures tell: the page that is killed is light, and whatever draws the dark one of the
/// picture has been loaded after it.
async fn page_process_dies(phone: &mut Window<'_>, folder: &Path, work: &Work) -> Result<()> {
    let interview = format!("/interview/{}", work.draft);
    phone.go(&interview).await?;
    phone.dress("es", "dark", 100).await?;
    phone.says("error-amount", "es", &["problem-number"]).await?;
    let wanted = folder.join("wanted.png");
    let shown = folder.join("shown.png");
    still(phone, &wanted, &folder.join("before.png")).await?;
    phone.dress("es", "light", 100).await?;
    phone.says("error-amount", "es", &["problem-number"]).await?;
    let dark = json!({"language": "es", "theme": "dark", "text_percent": 100, "auto_lock_minutes": 30});
    phone.call("set_settings", dark).await?;
    phone.picture(&shown).await?;
    ensure!(differing(&wanted, &shown).await? > 100_000, "the page is light until it is loaded again");

    let app = phone.pid()?;
    let drawing = phone.page_processes()?;
    ensure!(!drawing.is_empty(), "a process draws the page");
    for process in drawing {
        signal(process, "KILL").await?;
    }
    until("the same screen to be drawn again", || async {
        phone.picture(&shown).await?;
        let differs = differing(&wanted, &shown).await?;
        ensure!(differs <= CARET, "{differs} pixels differ");
        Ok(Some(()))
    })
    .await?;
    ensure!(phone.pid()? == app, "by the same app, whose store stayed open");
    phone.kill().await?;
    phone.start().await?;
    phone.unlock().await?;
    work.is_there(phone).await
}

/// So many pixels may differ where a caret blinks.
const CARET: u64 = 300;

/// Takes a picture of a page that moves no more.
async fn still(phone: &Window<'_>, file: &Path, before: &Path) -> Result<()> {
    phone.picture(file).await?;
    until("the page to be still", || async {
        std::fs::rename(file, before)?;
        phone.picture(file).await?;
        Ok((differing(file, before).await? <= CARET).then_some(()))
    })
    .await
}

/// In how many pixels two pictures differ.
async fn differing(one: &Path, other: &Path) -> Result<u64> {
    let mut compare = Command::new("compare");
    compare.args(["-metric", "AE", "-fuzz", "5%"]).arg(one).arg(other).arg("null:");
    let said = compare.output().await?.stderr;
    let said = String::from_utf8_lossy(&said);
    // Large counts are written as 1.2e+06.
    let count: f64 = said.trim().parse().with_context(|| format!("compare said {said:?}"))?;
    Ok(count as u64)
}

/// Each wrong PIN is said to be one, the waits grow, and the right one then opens everything.
async fn wrong_pins(phone: &Window<'_>, work: &Work) -> Result<()> {
    phone.dress("es", "light", 100).await?;
    phone.call("lock", Value::Null).await?;
    phone.type_pin("111222").await?;
    phone.says("unlock-message", "es", &["error-wrong-pin", "error-wrong-pin-do"]).await?;
    let mut waits = Vec::new();
    for (language, wait) in [("es", "Espere"), ("en", "Wait")] {
        phone.dress(language, "light", 100).await?;
        phone.type_pin("111222").await?;
        // The message has a plural, so its beginning stands here.
        phone.wait_text("unlock-message", |text| text.starts_with(wait)).await?;
        let status = phone.call("status", Value::Null).await?;
        let at = status["phase"]["retry_at"].as_i64().context("not before")?;
        waits.push(at - status["now"].as_i64().context("now")?);
    }
    ensure!(waits[0] > 0 && waits[1] > 2_000 && waits[1] > waits[0], "the waits grow: {waits:?}");
    phone.type_pin(PIN).await?;
    phone.gone("pin-pad").await?;
    work.is_there(phone).await
}

/// Locks, tries the right PIN, and looks for this refusal in both languages.
async fn unlocking_is_refused(phone: &Window<'_>, code: &str) -> Result<()> {
    for language in LANGUAGES {
        phone.dress(language, "light", 100).await?;
        phone.type_pin(PIN).await?;
        phone.find(&format!("[data-testid=error][data-code={code}]")).await?;
        let (what, todo) = (format!("error-{code}"), format!("error-{code}-do"));
        phone.says("error", language, &[&what, &todo]).await?;
    }
    Ok(())
}

/// No key store at all; one that has another's secrets; and the right one again.
async fn key_store_fails(desktop: &Desktop, phone: &Window<'_>, work: &Work) -> Result<()> {
    phone.call("lock", Value::Null).await?;
    desktop.key_ring(None).await?;
    unlocking_is_refused(phone, "key-store-unavailable").await?;
    desktop.key_ring(Some("another")).await?;
    unlocking_is_refused(phone, "key-missing").await?;
    desktop.key_ring(Some("data")).await?;
    phone.unlock().await?;
    work.is_there(phone).await
}

/// A store with flipped bytes is refused and left as it is; put right, it opens with all that was in it.
/// It is left locked.
async fn store_is_damaged(phone: &Window<'_>, data: &Path, work: &Work) -> Result<()> {
    phone.call("lock", Value::Null).await?;
    let file = store(data)?;
    // The last connection writes everything into the file and removes the log beside it.
    until("the store to be closed", || async { Ok((!file.with_extension("db-wal").exists()).then_some(())) })
        .await?;
    let sound = std::fs::read(&file)?;
    let mut damaged = sound.clone();
    for byte in &mut damaged[100..116] {
        *byte ^= 0x55;
    }
    std::fs::write(&file, &damaged)?;
    unlocking_is_refused(phone, "store-damaged").await?;
    ensure!(std::fs::read(&file)? == damaged, "the damaged store is left as it is");
    std::fs::write(&file, &sound)?;
    phone.unlock().await?;
    work.is_there(phone).await?;
    phone.call("lock", Value::Null).await?;
    Ok(())
}

/// The store of the only user.
fn store(data: &Path) -> Result<PathBuf> {
    let user = std::fs::read_dir(data.join("users"))?.next().context("no user")??;
    Ok(user.path().join("store.db"))
}

/// The password is asked for again, a wrong one is said to be, the right one goes on.
async fn session_has_ended(phone: &Window<'_>, officer: &SignIn, work: &Work) -> Result<()> {
    let keys = ["error-session-expired-short", "error-session-expired-do"];
    for language in LANGUAGES {
        phone.dress(language, "light", 100).await?;
        phone.go("/sync").await?;
        phone.says("sync-state", language, &keys).await?;
        work.is_there(phone).await?;
        phone.enter("input-password", "no es esta").await?;
        phone.click("sign-in-again").await?;
        phone.find("[data-testid=error][data-code=wrong-credentials]").await?;
        let keys = ["error-wrong-credentials", "error-wrong-credentials-do"];
        phone.says("error", language, &keys).await?;
    }
    phone.enter("input-password", &officer.password).await?;
    phone.click("sign-in-again").await?;
    phone.gone("sign-in-again").await
}

/// Waits until the server has it, by the server's own account.
async fn delivered(phone: &Window<'_>, server: &Server, officer: &SignIn, assessment: &str) -> Result<()> {
    until("what waited to be sent", || async {
        let sync = phone.call("sync", Value::Null).await?;
        Ok((sync["line"]["waiting"] == 0).then_some(()))
    })
    .await?;
    let token = server.token(officer).await?;
    let entry = server.get(&token, &format!("/api/history/{assessment}")).await?;
    ensure!(entry["rescore"]["outcome"] == "same", "scored there to the same bits: {}", entry["rescore"]);
    Ok(())
}

/// A minute after a sync the app looks again by itself. Whoever comes back to it, or whose network does, has it at once.
async fn nobody_waits_for_the_clock(phone: &Window<'_>) -> Result<()> {
    let done_at =
        async || -> Result<Value> { Ok(phone.call("sync", Value::Null).await?["line"]["done_at"].clone()) };
    for event in ["online", "visibilitychange"] {
        phone.call("sync_now", Value::Null).await?;
        let before = done_at().await?;
        phone.script("window.dispatchEvent(new Event(arguments[0]))", vec![json!(event)]).await?;
        let synced = until(event, || async { Ok((done_at().await? != before).then_some(())) });
        tokio::time::timeout(Duration::from_secs(30), synced)
            .await
            .with_context(|| format!("after {event}"))??;
    }
    Ok(())
}

/// The screen says why, in both languages, and version 1 goes on.
async fn bundle_is_refused(phone: &Window<'_>, why: &str) -> Result<()> {
    for language in LANGUAGES {
        phone.dress(language, "light", 100).await?;
        phone.go("/model").await?;
        phone.says("model-refused", language, &["model-refused-title", why, "model-refused-calm"]).await?;
    }
    let model = phone.call("model", Value::Null).await?;
    ensure!(model["active"]["model"]["version"] == 1, "version 1 goes on: {}", model["active"]["model"]);
    Ok(())
}

/// What is captured is delivered all the same, and the screen says what to do about the clock.
async fn clock_is_off(phone: &Window<'_>, server: &Server, officer: &SignIn) -> Result<()> {
    let assessment = capture(phone, 2).await?;
    delivered(phone, server, officer, &assessment).await?;
    for language in LANGUAGES {
        phone.dress(language, "light", 100).await?;
        phone.go("/sync").await?;
        phone.says("sync-state", language, &["error-clock-off-short", "error-clock-off-do"]).await?;
        phone.says("receipt", language, &["drift-worrying"]).await?;
    }
    Ok(())
}
