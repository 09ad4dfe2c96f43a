//! `cargo xtask bench`: measures the optimised app and server, and prints a table for
//! `docs/BENCHMARKS.md`. Times inside the app are taken in its page, from the call of a command to
//! its answer, so that the webview's part is counted.

mod native;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::path::Path;
use vereda_e2e::steps::ANSWERS;
use vereda_e2e::{Desktop, Server, Shape, Window, root, until};

/// Clients per officer; a branch has two officers, so a manager's portfolio is twice as large.
const LARGE: u32 = 50_000;
const STARTS: usize = 9;

#[tokio::main]
async fn main() -> Result<()> {
    if let Some(folder) = std::env::args_os().nth(1) {
        return native::measure(Path::new(&folder)).await;
    }
    let desktop = Desktop::start(1366, 768).await?;
    let mut rows = sizes()?;

    let mut server = Server::start(&desktop.home().join("small"), 400).await?;
    rows.push((
        "memory of the server, 400 clients an officer (RSS)".into(),
        megabytes(memory(server.pid())?),
    ));
    let officer = server.sign_in("officer", 0)?;
    let data = desktop.home().join("officer");
    let mut window = Window::open(&desktop, &data, Shape::Phone).await?;
    enrol(&window, &server, &officer.username, &officer.password, 400).await?;
    // As in the field: without a network.
    server.stop().await?;
    rows.extend(interview(&window).await?);
    rows.extend(screen(&window).await?);
    // And while everything that was captured is on its way.
    server.go_on().await?;
    rows.push(("score of one applicant while sync is at work".into(), score_while_syncing(&window).await?));
    rows.push(("memory of the app after the interview (RSS, without WebKit's own processes)".into(), {
        megabytes(memory(Some(window.pid()?))?)
    }));
    rows.push(("cold start: program started to first usable screen".into(), {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            window.kill().await?;
            window.start().await?;
            times.push(cold_start(&window).await?);
        }
        summary(&mut times)
    }));
    window.close().await?;
    server.stop().await?;
    rows.extend(native::rows(&desktop, &data).await?);
    drop(server);

    eprintln!("making {} clients...", 4 * LARGE);
    let server = Server::start(&desktop.home().join("large"), LARGE).await?;
    let manager = server.sign_in("manager", 0)?;
    let window = Window::open(&desktop, &desktop.home().join("manager"), Shape::Desktop).await?;
    let took = enrol(&window, &server, &manager.username, &manager.password, 2 * LARGE).await?;
    rows.push((
        "first sync of 100,000 clients with their assessments".into(),
        format!("{:.1} s", took / 1000.0),
    ));
    rows.push((
        "memory of the app with 100,000 clients (RSS)".into(),
        megabytes(memory(Some(window.pid()?))?),
    ));
    rows.extend(search(&window).await?);
    window.go("/").await?;
    window.get("portfolio-search").await?;
    window.picture(&root().join("docs/screenshots/state-100000-clients.png")).await?;
    window.close().await?;

    println!("| what | measured |\n| --- | --- |");
    for (what, measured) in rows {
        println!("| {what} | {measured} |");
    }
    println!("\nOn {}.", machine());
    Ok(())
}

type Row = (String, String);

fn sizes() -> Result<Vec<Row>> {
    let size = |path: &Path| -> Result<u64> {
        Ok(std::fs::metadata(path).with_context(|| path.display().to_string())?.len())
    };
    let page = size(&root().join("dist/vereda-ui_bg.wasm"))?;
    Ok(vec![
        ("size of the page's wasm".into(), megabytes(page)),
        ("size of the app (page included)".into(), megabytes(size(&vereda_e2e::built("vereda")?)?)),
        ("size of the server".into(), megabytes(size(&vereda_e2e::built("vereda-server")?)?)),
    ])
}

/// Calls a command for each request, one after the other, and gives the times in milliseconds.
async fn times(window: &Window<'_>, command: &str, requests: Vec<Value>) -> Result<Vec<f64>> {
    let script = "const [command, requests, done] = arguments; (async () => { const times = []; \
        for (const request of requests) { const start = performance.now(); \
          await window.__TAURI__.core.invoke(command, {request}); \
          times.push(performance.now() - start); } return times; \
        })().then(times => done({times}), refusal => done({refusal}))";
    let answer = window.script_async(script, vec![json!(command), json!(requests)]).await?;
    anyhow::ensure!(answer.get("refusal").is_none(), "{command} was refused: {}", answer["refusal"]);
    Ok(serde_json::from_value(answer["times"].clone())?)
}

/// Enrols, waits for the whole portfolio, and gives the milliseconds from the call to there.
async fn enrol(
    window: &Window<'_>,
    server: &Server,
    username: &str,
    password: &str,
    clients: u32,
) -> Result<f64> {
    let start = std::time::Instant::now();
    let request =
        json!({"server": server.url(), "username": username, "password": password, "pin": "739154"});
    window.call("enrol", request).await?;
    let end = start + std::time::Duration::from_secs(900);
    loop {
        let arrived = until("the first sync", || async {
            let portfolio = window.call("portfolio", json!({"query": "", "offset": 0, "limit": 1})).await?;
            let sync = window.call("sync", Value::Null).await?;
            let all = portfolio["total"].as_u64() >= Some(u64::from(clients));
            Ok((all && sync["line"]["state"]["state"] == "idle").then_some(()))
        })
        .await;
        match arrived {
            Ok(()) => return Ok(start.elapsed().as_secs_f64() * 1000.0),
            Err(error) if std::time::Instant::now() > end => return Err(error),
            Err(_) => {}
        }
    }
}

/// An interview again and again: saving a field, what-if, scoring. On a screen that shows none of it,
/// so that drawing does not stand in the way of the commands.
async fn interview(window: &Window<'_>) -> Result<Vec<Row>> {
    window.go("/settings").await?;
    window.get("lock").await?;
    let page = window.call("portfolio", json!({"query": "", "offset": 0, "limit": 200})).await?;
    let (mut saves, mut what_ifs, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    for row in page["rows"].as_array().context("rows")? {
        let draft = window.call("start_interview", json!({"client": row["id"]})).await?["id"].clone();
        let answers = ANSWERS
            .iter()
            .map(|(field, answer)| json!({"draft": draft, "field": field, "value": answer.value()}));
        saves.extend(times(window, "save_field", answers.collect()).await?);
        let base = json!({"of": "draft", "id": draft});
        let change = json!({"base": base, "changes": {"amount": 700}});
        what_ifs.extend(times(window, "what_if", vec![change]).await?);
        scores.extend(times(window, "score", vec![json!({"draft": draft})]).await?);
    }
    Ok(vec![
        ("saving one answer durably: page to disk and back".into(), summary(&mut saves)),
        ("what-if: page to score and back".into(), summary(&mut what_ifs)),
        ("score of one applicant, kept as an event: page to disk and back".into(), summary(&mut scores)),
    ])
}

/// Scores one applicant after the other, so that each is captured while the one before is being sent.
async fn score_while_syncing(window: &Window<'_>) -> Result<String> {
    let page = window.call("portfolio", json!({"query": "", "offset": 300, "limit": 100})).await?;
    let mut drafts = Vec::new();
    for row in page["rows"].as_array().context("rows")? {
        let draft = window.call("start_interview", json!({"client": row["id"]})).await?["id"].clone();
        for (field, answer) in ANSWERS {
            let request = json!({"draft": draft, "field": field, "value": answer.value()});
            window.call("save_field", request).await?;
        }
        drafts.push(json!({"draft": draft}));
    }
    Ok(summary(&mut times(window, "score", drafts).await?))
}

/// From *Score* pressed to the result shown, in the page.
async fn screen(window: &Window<'_>) -> Result<Vec<Row>> {
    let page = window.call("portfolio", json!({"query": "", "offset": 250, "limit": 20})).await?;
    let mut taken = Vec::new();
    for row in page["rows"].as_array().context("rows")? {
        let draft = window.call("start_interview", json!({"client": row["id"]})).await?["id"].clone();
        for (field, answer) in ANSWERS {
            let request = json!({"draft": draft, "field": field, "value": answer.value()});
            window.call("save_field", request).await?;
        }
        let script = "location.hash = arguments[0]; return null";
        window
            .script(script, vec![json!(format!("#/interview/{}", draft.as_str().unwrap_or_default()))])
            .await?;
        window.get("score").await?;
        let script = "const done = arguments[arguments.length - 1]; const start = performance.now(); \
            const shown = () => document.querySelector('[data-testid=\"verdict\"]'); \
            const look = () => shown() ? requestAnimationFrame(() => done(performance.now() - start)) \
                                       : requestAnimationFrame(look); \
            document.querySelector('[data-testid=\"score\"]').click(); look();";
        taken.push(window.script_async(script, vec![]).await?.as_f64().context("a time")?);
    }
    Ok(vec![("*Score* pressed to result shown".into(), summary(&mut taken))])
}

/// Words of names, accents and case aside, documents and phones, over the large portfolio.
async fn search(window: &Window<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let first = window.call("portfolio", json!({"query": "", "offset": 0, "limit": 200})).await?;
    let people = first["rows"].as_array().context("rows")?;
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let by = |query: &dyn Fn(&Value) -> String| -> Vec<Value> {
        people.iter().map(|row| json!({"query": query(row), "offset": 0, "limit": 50})).collect()
    };
    let queries: [(&str, Vec<Value>); 4] = [
        ("search over 100,000 clients: full name", by(&|row| text(row, "name"))),
        (
            "search over 100,000 clients: first letters of a name",
            by(&|row| text(row, "name").chars().take(3).collect()),
        ),
        ("search over 100,000 clients: document", by(&|row| text(row, "document"))),
        ("search over 100,000 clients: phone", by(&|row| text(row, "phone"))),
    ];
    for (what, requests) in queries {
        rows.push((what.into(), summary(&mut times(window, "portfolio", requests).await?)));
    }
    let far = (0..100).map(|n| json!({"query": "", "offset": n * 990, "limit": 50})).collect();
    rows.push((
        "a window anywhere in the list of 100,000".into(),
        summary(&mut times(window, "portfolio", far).await?),
    ));
    Ok(rows)
}

/// From the start of the process to the mark that the page sets when its first screen can be used.
async fn cold_start(window: &Window<'_>) -> Result<f64> {
    let usable = until("the page's mark", || async {
        let script = "const mark = performance.getEntriesByName('vereda-usable')[0]; \
                      return mark ? performance.timeOrigin + mark.startTime : null";
        Ok(window.script(script, vec![]).await?.as_f64())
    })
    .await?;
    Ok(usable - started(window.pid()?)?)
}

/// When a process started, in milliseconds since 1970, to the hundredth of a second that Linux keeps.
fn started(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("stat")?;
    let ticks: f64 = rest.split_whitespace().nth(19).context("stat")?.parse()?;
    let boot = std::fs::read_to_string("/proc/uptime")?;
    let uptime: f64 = boot.split_whitespace().next().context("uptime")?.parse()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs_f64();
    Ok((now - uptime + ticks / 100.0) * 1000.0)
}

fn memory(pid: Option<u32>) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.context("no process")?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn summary(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    format!("median {:.1} ms, mean {mean:.1} ms, p99 {:.1} ms, of {}", at(0.5), at(0.99), times.len())
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cores} cores", model.trim_start_matches(['\t', ' ', ':']))
}
