//! The program itself, on the committed bundles.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn file(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name).to_str().unwrap().to_owned()
}

const SCORECARD: &str = "bundles/reference-scorecard-1.json";
const BOOSTED: &str = "bundles/reference-boosted-2.json";

fn run(arguments: &[&str], password: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vereda-model"));
    command.args(arguments).stdin(Stdio::null()).env_remove("VEREDA_PASSWORD");
    // A proxy of the machine must not come between the test and its own port.
    command.env("NO_PROXY", "127.0.0.1");
    if let Some(password) = password {
        command.env("VEREDA_PASSWORD", password);
    }
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Rows of the real data, against what the training libraries said about them: to the bit.
#[test]
fn scores_equal_the_training_libraries_to_the_bit() {
    for (bundle, expected) in [(SCORECARD, "sample-scorecard.csv"), (BOOSTED, "sample-boosted.csv")] {
        let output = run(&["score", &file(bundle), &file("tests/data/sample.csv")], None);
        assert!(output.status.success(), "{}", err(&output));
        let text = out(&output);
        let mut found = text.lines();
        assert_eq!(found.next(), Some("margin,pd,group"));
        let expected = std::fs::read_to_string(file(&format!("tests/data/{expected}"))).unwrap();
        let mut rows = 0;
        for (line, expected) in found.zip(expected.lines().skip(1)) {
            let found: Vec<&str> = line.split(',').collect();
            let expected: Vec<&str> = expected.split(',').collect();
            let margin: f64 = found[0].parse().unwrap();
            assert_eq!(format!("{:016x}", margin.to_bits()), expected[0], "{bundle} row {rows}");
            let (pd, expected_pd): (f64, f64) = (found[1].parse().unwrap(), expected[1].parse().unwrap());
            assert!((pd - expected_pd).abs() <= 1e-12, "{bundle} row {rows}");
            assert_eq!(found[2], expected[2], "{bundle} row {rows}");
            rows += 1;
        }
        assert_eq!(rows, 297);
        assert_eq!(text.lines().count(), rows + 1);
        assert!(err(&output).contains("297 rows scored"), "{}", err(&output));
    }
}

#[test]
fn score_writes_a_file_and_names_unused_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let rows = "id,amount,term_months,price,job,seniority_years,income,home,expenses,assets,debt,records\n\
                a,800,60,846,freelance,9,NA,rent,73,NaN,,false\n\
                b,800,60,846,NA,9,129,rent,73,0,0,1\n";
    std::fs::write(path("rows.csv"), rows).unwrap();
    let output = run(&["score", &file(SCORECARD), &path("rows.csv"), "--out", &path("out.csv")], None);
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(out(&output), "");
    assert!(err(&output).contains("does not ask for: id"), "{}", err(&output));
    assert_eq!(std::fs::read_to_string(path("out.csv")).unwrap().lines().count(), 3);
}

#[test]
fn verify_accepts_the_reference_bundles_and_refuses_a_damaged_one() {
    let output = run(&["verify", &file(SCORECARD), &file(BOOSTED)], None);
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(out(&output).matches("golden vectors equal to the bit").count(), 2);
    assert_eq!(out(&output).matches("invariants hold for 1028 inputs").count(), 2);
    assert!(out(&output).contains("monotone in 9 features"));

    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.json");
    let text = std::fs::read_to_string(file(SCORECARD)).unwrap();
    let changed = text.replacen("\"intercept\": -", "\"intercept\": ", 1);
    assert_ne!(changed, text);
    std::fs::write(&damaged, changed).unwrap();
    let output = run(&["verify", damaged.to_str().unwrap()], None);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("golden[0].margin_bits"), "{}", err(&output));

    let output = run(&["verify", "no/such/bundle.json"], None);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("cannot read"), "{}", err(&output));
    assert_eq!(run(&["verify"], None).status.code(), Some(2));
}

#[test]
fn inspect_tells_what_matters_in_both_languages() {
    let english = out(&run(&["inspect", &file(BOOSTED)], None));
    for part in [
        "reference-boosted",
        "200 trees",
        "must train its own",
        "auc",
        "T8 PD  65.0 %",
        "seniority_years",
        "Permanent job",
        "never lowers",
    ] {
        assert!(english.contains(part), "{part}: {english}");
    }
    let spanish = out(&run(&["inspect", &file(SCORECARD), "--language", "es"], None));
    for part in ["Tarjeta de puntaje", "debe entrenar el suyo", "not scored"] {
        assert!(spanish.contains(part), "{part}: {spanish}");
    }
}

/// One request as it came over the wire.
struct Request {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// Answers one request after the other, and gives back what was asked.
fn serve(answers: Vec<(u16, &'static str, String)>) -> (String, std::thread::JoinHandle<Vec<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for (status, kind, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim_end().is_empty() {
                    break;
                }
                lines.push(line.trim_end().to_owned());
            }
            let length = lines
                .iter()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
                })
                .map_or(0, |length| length.parse().unwrap());
            let mut received = vec![0; length];
            reader.read_exact(&mut received).unwrap();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            reader.get_mut().write_all(head.as_bytes()).unwrap();
            reader.get_mut().write_all(body.as_bytes()).unwrap();
            requests.push(Request { line: lines[0].clone(), headers: lines[1..].to_vec(), body: received });
        }
        requests
    });
    (address, thread)
}

const SESSION: &str = r#"{"access_token":"the-token","expires_in_s":900,"refresh_token":"the-refresh",
    "user":{"id":"01890a5d-ac96-774b-bcce-b302099a8057","username":"ana","name":"Ana","role":"analyst","branch":null},
    "colleagues":[],"server_ms":1700000000000}"#;

#[test]
fn publish_sends_exactly_the_bytes_of_the_file() {
    let bytes = std::fs::read(file(BOOSTED)).unwrap();
    let verify = out(&run(&["verify", &file(BOOSTED)], None));
    let sha256 = verify.split_whitespace().find(|word| word.len() == 64).unwrap().to_owned();
    let manifest = format!(
        r#"{{"id":"reference-boosted","version":2,"sha256":"{sha256}","bytes":{},"published_at":1700000000000,"published_by":"Ana"}}"#,
        bytes.len()
    );
    let json = "application/json";
    let (server, thread) =
        serve(vec![(200, json, SESSION.into()), (201, json, manifest), (204, json, String::new())]);
    let output = run(&["publish", &file(BOOSTED), "--server", &server, "--user", "ana"], Some("a secret"));
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains(&sha256));
    assert!(!err(&output).contains("a secret") && !out(&output).contains("a secret"));

    let requests = thread.join().unwrap();
    assert_eq!(requests[0].line, "POST /api/auth/sign-in HTTP/1.1");
    let sign_in: serde_json::Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(sign_in, serde_json::json!({"username": "ana", "password": "a secret"}));
    assert_eq!(requests[1].line, "POST /api/models HTTP/1.1");
    assert!(requests[1].headers.contains(&"authorization: Bearer the-token".to_owned()));
    assert!(requests[1].headers.contains(&"content-type: application/json".to_owned()));
    assert!(requests[1].body == bytes, "other bytes arrived");
    assert_eq!(requests[2].line, "POST /api/auth/sign-out HTTP/1.1");
}

#[test]
fn a_refusal_is_shown_in_the_servers_words() {
    let problem = r#"{"type":"about:blank","title":"Version not above","status":409,"detail":"The newest is 5.","code":"version_not_above","request_id":"r-1"}"#;
    let (server, thread) = serve(vec![
        (200, "application/json", SESSION.into()),
        (409, "application/problem+json", problem.into()),
        (204, "application/json", String::new()),
    ]);
    let output = run(&["publish", &file(SCORECARD), "--server", &server, "--user", "ana"], Some("x"));
    assert_eq!(output.status.code(), Some(1));
    for part in
        ["publishing was refused", "Version not above", "version_not_above", "The newest is 5.", "r-1"]
    {
        assert!(err(&output).contains(part), "{part}: {}", err(&output));
    }
    assert_eq!(thread.join().unwrap().len(), 3, "it signs out after a refusal too");
}

#[test]
fn publish_tells_apart_what_may_work_later() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = format!("http://{free}");
    let output = run(&["publish", &file(SCORECARD), "--server", &server, "--user", "ana"], Some("x"));
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert!(err(&output).contains("signing in failed"), "{}", err(&output));

    // A page of some other server.
    let (server, thread) = serve(vec![(502, "text/html", "<html>".into())]);
    let output = run(&["publish", &file(SCORECARD), "--server", &server, "--user", "ana"], Some("x"));
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    thread.join().unwrap();

    let output =
        run(&["publish", &file(SCORECARD), "--server", "http://vereda.example", "--user", "a"], Some("x"));
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("https://"), "{}", err(&output));

    let output = run(&["publish", &file(SCORECARD), "--server", "http://127.0.0.1:1", "--user", "a"], None);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("VEREDA_PASSWORD"), "{}", err(&output));
}

/// The page is one file that asks for nothing else, in both languages, and its texts are inert.
#[test]
fn render_writes_a_page_that_needs_nothing_beside_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card.html");
    for (bundle, parts) in [
        (SCORECARD, ["Tarjeta de puntaje de referencia", "Scorecard", "Points", "101.2"]),
        (BOOSTED, ["Reference boosted trees", "partial dependence", "Calibration", "never raises the risk"]),
    ] {
        let output =
            run(&["render", &file(bundle), "--out", path.to_str().unwrap(), "--language", "es"], None);
        assert!(output.status.success(), "{}", err(&output));
        let page = std::fs::read_to_string(&path).unwrap();
        for part in parts {
            assert!(page.contains(part), "{part} is not on the page of {bundle}");
        }
        assert!(page.starts_with("<!doctype html>\n<html lang=\"es\">"));
        assert!(page.contains("id=\"es\" checked"));
        for loads in
            ["http://", "https://", "src=", "href=", "url(", "@import", "<script", "<link", "NaN", "inf"]
        {
            // Words such as "information" are no number.
            let found =
                page.match_indices(loads).any(|(at, _)| loads != "inf" || page[at..].starts_with("inf<"));
            assert!(!found, "{loads} is on the page of {bundle}");
        }
        // Every element that opens closes; SVG is XML, so that all of the body can be read as such.
        let body = &page[page.find("<main>").unwrap()..page.find("</main>").unwrap()];
        for element in
            ["section", "table", "tr", "td", "th", "svg", "g", "span", "tspan", "article", "div", "p"]
        {
            let opens =
                body.matches(&format!("<{element}>")).count() + body.matches(&format!("<{element} ")).count();
            assert_eq!(opens, body.matches(&format!("</{element}>")).count(), "{element} of {bundle}");
        }
    }
    let hostile = std::fs::read_to_string(file(SCORECARD)).unwrap();
    let hostile = hostile.replace("Reference scorecard", "<script>alert('1')</script>&amp;");
    let bundle = folder.path().join("hostile.json");
    std::fs::write(&bundle, hostile).unwrap();
    let output = run(&["render", bundle.to_str().unwrap()], None);
    assert!(output.status.success(), "{}", err(&output));
    let page = out(&output);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(&#39;1&#39;)"), "not escaped");
}
