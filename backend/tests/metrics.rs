//! What documents and alert rules say of metrics, against what the server counts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use vereda_scoring::bundle::Group;
use vereda_server::metrics::Metrics;
use vereda_server::store::Saturation;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).expect(path)
}

/// Everything that can be counted, once.
fn rendered() -> BTreeSet<String> {
    let metrics = Metrics::new().unwrap();
    metrics.request("/healthz", "GET", 200, Duration::from_millis(1));
    metrics.pool(Saturation { connections: 1, in_use: 1, waiting: 0 });
    metrics.redis(true);
    metrics.uncounted(1);
    metrics.prediction_cache(true);
    metrics.prediction("online", 1, Group::ALL[0], 0.1);
    metrics.rescore_mismatch(1);
    metrics.event(None);
    metrics.sign_in_failure("password");
    metrics.refresh_reuse();
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
