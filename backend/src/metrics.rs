//! What is counted, for Prometheus. One registry per server, so that several can run in a process.

use crate::rates::Exceeded;
use crate::store::Saturation;
use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::time::Duration;
use vereda_domain::api::QuarantineReason;
use vereda_scoring::bundle::Group;

const METADATA: Metadata<'static> = Metadata::new("vereda_server", Level::INFO, None);
const SECONDS: &str = "vereda_http_request_seconds";
const SCORE: &str = "vereda_score_probability";
/// Bounds of the histogram of PDs.
const PDS: [f64; 12] = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0];
/// Bounds of the request time's histogram, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

/// The server's counters.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// A registry with nothing counted.
    ///
    /// # Errors
    /// Never with the bounds above, says the exporter's contract.
    pub fn new() -> Result<Metrics, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &BUCKETS)?
            .set_buckets_for_metric(Matcher::Full(SCORE.to_owned()), &PDS)?
            .build_recorder();
        let handle = recorder.handle();
        let describe = |name: &'static str, text: &'static str| {
            recorder.describe_counter(name.into(), None, text.into());
        };
        describe("vereda_predictions_total", "Scores stored, by model version, group and source");
        describe("vereda_rescore_mismatches_total", "Assessments whose score differs when computed again");
        describe("vereda_events_total", "Events received for the first time, by outcome");
        describe("vereda_sign_in_failures_total", "Sign-ins refused, by reason");
        describe("vereda_proofs_refused_total", "Proofs of devices' keys that did not hold, by reason");
        describe("vereda_refresh_reuse_total", "Sessions revoked because a refresh token came twice");
        describe("vereda_prediction_cache_total", "Scores asked of the cache, by whether it had them");
        describe(
            "vereda_rate_limited_total",
            "Requests refused because there were too many, by class and by whose",
        );
        describe("vereda_tls_reloads_total", "Certificates that were read, by whether they could be used");
        describe("vereda_tls_failures_total", "Connections that came to no request: most failed at HTTPS");
        describe("vereda_trace_exports_total", "Batches of spans for the collector, by whether it took them");
        let gauge = |name: &'static str, text: &'static str| {
            recorder.describe_gauge(name.into(), None, text.into());
        };
        gauge("vereda_devices", "Devices with access, by how long ago they were last heard of");
        gauge("vereda_pool_connections", "Connections to the database there are at most");
        gauge("vereda_pool_in_use", "Connections to the database in use");
        gauge("vereda_pool_waiting", "Requests that wait for a connection, or for their turn to write");
        gauge("vereda_connections", "Connections to the API that are open");
        gauge("vereda_connections_limit", "Connections to the API that may be open; further ones wait");
        gauge(
            "vereda_tls_current",
            "Whether the certificate in the files is the one in use: 1 or 0; absent without HTTPS",
        );
        gauge("vereda_redis_up", "Whether Redis answers: 1 or 0; absent without Redis");
        gauge("vereda_uncounted_rows", "Scores and outcomes that performance and drift do not count yet");
        recorder.describe_histogram(SCORE.into(), None, "PDs of scores stored, by model version".into());
        recorder.describe_histogram(
            SECONDS.into(),
            None,
            "Time to answer, by route, method and status".into(),
        );
        Ok(Metrics { recorder, handle })
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        self.upkeep();
        self.handle.render()
    }

    /// Puts what was measured into the bins of histograms. Until then each measurement is kept by itself, so
    /// this must be called now and then even where no Prometheus asks.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn count(&self, name: &'static str, labels: Vec<Label>) {
        self.recorder.register_counter(&Key::from_parts(name, labels), &METADATA).increment(1);
    }

    /// A request was answered.
    pub fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        let labels = vec![
            Label::new("route", route.to_owned()),
            Label::new("method", method.to_owned()),
            Label::new("status", status.to_string()),
        ];
        self.recorder
            .register_histogram(&Key::from_parts(SECONDS, labels), &METADATA)
            .record(took.as_secs_f64());
    }

    fn gauge(&self, name: &'static str, value: f64) {
        self.recorder.register_gauge(&Key::from_name(name), &METADATA).set(value);
    }

    /// The collector of traces took a batch, or not.
    pub fn spans_sent(&self, taken: bool) {
        let result = if taken { "taken" } else { "dropped" };
        self.count("vereda_trace_exports_total", vec![Label::new("result", result)]);
    }

    /// How many devices were last heard of that long ago.
    pub fn devices(&self, heard: &'static str, devices: u64) {
        let key = Key::from_parts("vereda_devices", vec![Label::new("heard", heard)]);
        self.recorder.register_gauge(&key, &METADATA).set(devices as f64);
    }

    /// How busy the ways to the database are.
    pub fn pool(&self, saturation: Saturation) {
        self.gauge("vereda_pool_connections", saturation.connections as f64);
        self.gauge("vereda_pool_in_use", saturation.in_use as f64);
        self.gauge("vereda_pool_waiting", saturation.waiting as f64);
    }

    /// How many connections to the API are open, of how many.
    pub fn connections(&self, open: usize, limit: usize) {
        self.gauge("vereda_connections", open as f64);
        self.gauge("vereda_connections_limit", limit as f64);
    }

    /// A certificate was read from its files, and is in use now or cannot be.
    pub fn certificate(&self, usable: bool) {
        let result = if usable { "ok" } else { "failed" };
        self.count("vereda_tls_reloads_total", vec![Label::new("result", result)]);
        self.gauge("vereda_tls_current", f64::from(u8::from(usable)));
    }

    /// A connection came to no request.
    pub fn connection_failed(&self) {
        self.count("vereda_tls_failures_total", Vec::new());
    }

    /// A request was one too many.
    pub fn rate_limited(&self, exceeded: Exceeded) {
        let labels = vec![Label::new("class", exceeded.class.as_str()), Label::new("by", exceeded.by)];
        self.count("vereda_rate_limited_total", labels);
    }

    /// Whether Redis answers.
    pub fn redis(&self, up: bool) {
        self.gauge("vereda_redis_up", f64::from(u8::from(up)));
    }

    /// How much is not counted yet.
    pub fn uncounted(&self, rows: u64) {
        self.gauge("vereda_uncounted_rows", rows as f64);
    }

    /// The cache was asked for a score.
    pub fn prediction_cache(&self, hit: bool) {
        let result = if hit { "hit" } else { "miss" };
        self.count("vereda_prediction_cache_total", vec![Label::new("result", result)]);
    }

    /// A score was stored.
    pub fn prediction(&self, source: &'static str, version: u32, group: Group, probability: f64) {
        let labels = vec![Label::new("model_version", version.to_string())];
        self.recorder.register_histogram(&Key::from_parts(SCORE, labels), &METADATA).record(probability);
        let labels = vec![
            Label::new("source", source),
            Label::new("model_version", version.to_string()),
            Label::new("group", group.as_str()),
        ];
        self.count("vereda_predictions_total", labels);
    }

    /// An assessment's score differs when computed again.
    pub fn rescore_mismatch(&self, version: u32) {
        self.count("vereda_rescore_mismatches_total", vec![Label::new("model_version", version.to_string())]);
    }

    /// An event was stored.
    pub fn event(&self, quarantined: Option<QuarantineReason>) {
        let outcome = match quarantined {
            None => "stored",
            Some(QuarantineReason::UnknownKind) => "quarantined_unknown_kind",
            Some(QuarantineReason::Malformed) => "quarantined_malformed",
            Some(QuarantineReason::Foreign) => "quarantined_foreign",
            Some(QuarantineReason::NotAllowed) => "quarantined_not_allowed",
            Some(QuarantineReason::UnknownRecord) => "quarantined_unknown_record",
            Some(QuarantineReason::Contradiction) => "quarantined_contradiction",
            Some(QuarantineReason::Erased) => "quarantined_erased",
        };
        self.count("vereda_events_total", vec![Label::new("outcome", outcome)]);
    }

    /// A sign-in was refused.
    pub fn sign_in_failure(&self, reason: &'static str) {
        self.count("vereda_sign_in_failures_total", vec![Label::new("reason", reason)]);
    }

    /// A proof of a device's key did not hold.
    pub fn proof_refused(&self, reason: &'static str) {
        self.count("vereda_proofs_refused_total", vec![Label::new("reason", reason)]);
    }

    /// A session was revoked because a refresh token came twice.
    pub fn refresh_reuse(&self) {
        self.count("vereda_refresh_reuse_total", Vec::new());
    }
}
