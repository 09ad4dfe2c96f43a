//! Settings of what is told to a collector of traces.

use serde::{Deserialize, Serialize};

/// What is told to a collector of traces. See [`crate::traces`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Where it takes OTLP over HTTP, such as `http://127.0.0.1:4318`; empty for none.
    pub collector: String,
    /// The share of requests to tell of, from 0 to 1, of those that come without a trace; one that comes with a trace
    /// goes by what that says.
    pub share: f64,
}

impl Default for Traces {
    fn default() -> Self {
        Traces { collector: String::new(), share: 1.0 }
    }
}

impl Traces {
    /// What is wrong, if anything is.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let web = |text: &str| text.starts_with("http://") || text.starts_with("https://");
        if !self.collector.is_empty() && !web(&self.collector) {
            return Err(
                "`traces.collector` must begin with http:// or https://, such as http://127.0.0.1:4318",
            );
        }
        if !(0.0..=1.0).contains(&self.share) {
            return Err("`traces.share` must be from 0 to 1");
        }
        Ok(())
    }
}
