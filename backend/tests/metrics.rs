//! What documents and alert rules say of metrics, against what the server counts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Server, inputs};
use reqwest::Url;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use vereda_scoring::bundle::Group;
use vereda_server::metrics::Metrics;
use vereda_server::rates::{Exceeded, RouteClass};
use vereda_server::store::Saturation;
use vereda_services::Prometheus;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).expect(path)
}

/// Everything that can be counted, once.
fn rendered() -> BTreeSet<String> {
    let metrics = Metrics::new().unwrap();
    metrics.request("/healthz", "GET", 200, Duration::from_millis(1));
    metrics.pool(Saturation { connections: 1, in_use: 1, waiting: 0 });
    metrics.redis(true);
    metrics.connections(1, 2);
    metrics.certificate(true);
    metrics.connection_failed();
    metrics.rate_limited(Exceeded { class: RouteClass::Read, by: "account", wait_s: 1 });
    metrics.uncounted(1);
    metrics.prediction_cache(true);
    metrics.prediction("api", 1, Group::ALL[0], 0.1);
    metrics.rescore_mismatch(1);
    metrics.event(None);
    metrics.sign_in_failure("wrong_credentials");
    metrics.refresh_reuse();
    metrics.proof_refused("stale");
    metrics.spans_sent(true);
    metrics.devices("hour", 1);
    let text = metrics.render();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.map(str::to_owned).collect()
}

/// Every word of ours in a text, a histogram's series under the histogram's name.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("vereda_"))
        .map(|word| {
            let series = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
            series.unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn the_document_names_every_metric_and_no_other() {
    let document = read("docs/METRICS.md");
    let rows: BTreeSet<String> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(rows, rendered());
}

#[test]
fn alert_rules_name_only_metrics_that_there_are() {
    let there = rendered();
    for path in ["deploy/prometheus/alerts.yml", "deploy/prometheus/alerts.test.yml"] {
        let names = named(&read(path));
        assert!(!names.is_empty(), "{path} names none");
        assert!(names.is_subset(&there), "{path}: {:?}", names.difference(&there));
    }
}

/// The expressions of a dashboard, as Grafana would ask with every instance.
fn expressions(dashboard: &str) -> Vec<String> {
    let dashboard: Json = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().replace("$instance", ".*")).collect()
}

const DASHBOARDS: [&str; 3] =
    ["deploy/grafana/service.json", "deploy/grafana/models.json", "deploy/grafana/field.json"];

#[test]
fn dashboards_show_every_metric_and_name_no_other() {
    let shown: BTreeSet<String> =
        DASHBOARDS.iter().flat_map(|path| expressions(&read(path))).flat_map(|e| named(&e)).collect();
    assert_eq!(shown, rendered());
}

#[tokio::test]
async fn a_real_prometheus_reads_the_server_and_answers_every_panel() {
    let server = Server::with_model().await;
    let service = server.caller("service").await;
    assert_eq!(service.post("/api/predict", &json!({ "features": inputs() })).await.status(), 200);
    let target = server.running.metrics_addr;
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/alerts.yml");
    let configuration = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [rules],
        "scrape_configs": [{"job_name": "vereda", "static_configs": [{"targets": [target.to_string()]}]}],
    });
    // JSON is YAML, too.
    let prometheus = tokio::task::spawn_blocking(move || Prometheus::start(&configuration.to_string()));
    let prometheus = prometheus.await.unwrap().unwrap();
    let ask = async |path: &str, query: &[(&str, &str)]| -> Json {
        let url = Url::parse_with_params(&format!("{}/{path}", prometheus.url()), query).unwrap();
        let answer: Json = server.http.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{query:?}: {answer}");
        answer["data"].clone()
    };
    let patience = Instant::now() + Duration::from_secs(60);
    let seen = async |query: &str| ask("query", &[("query", query)]).await["result"].clone();
    while seen("vereda_predictions_total").await[0]["value"][1] != "1" {
        assert!(Instant::now() < patience, "Prometheus does not see the score");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(seen(r#"up{job="vereda"}"#).await[0]["value"][1], "1");
    let evaluated = async || {
        let groups = ask("rules", &[]).await;
        let rules = groups["groups"][0]["rules"].as_array().unwrap().clone();
        (rules.iter().all(|rule| rule["health"] == "ok"), rules)
    };
    loop {
        let (well, rules) = evaluated().await;
        if well {
            assert_eq!(rules.len(), read("deploy/prometheus/alerts.yml").matches("- alert: ").count());
            break;
        }
        assert!(Instant::now() < patience, "{rules:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for expression in DASHBOARDS.iter().flat_map(|path| expressions(&read(path))) {
        ask("query", &[("query", &expression)]).await;
    }
}

#[test]
fn alert_rules_fire_when_they_should() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let output =
            Command::new("promtool").args(arguments).current_dir(&rules).output().expect(
                "promtool is needed, from Debian's package `prometheus`; `cargo xtask test` installs it",
            );
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    }
}
