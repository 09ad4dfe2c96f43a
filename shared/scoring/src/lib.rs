//! Model bundles: what a model is, how it is checked, what it says, and why.
//!
//! A [`Bundle`] is the document (JSON) as an analyst publishes it. [`Model::load`] checks all of it
//! once and gives a [`Model`], whose evaluation can neither fail nor loop for inputs that its
//! schema accepts. There is no I/O here, no clock and no random number: the same bytes and the same
//! inputs give the same bits on a phone, a desktop, a server and in a browser. Transcendental
//! functions come from `libm`, never from the platform.
//!
//! ```
//! use vereda_scoring::{Inputs, Model, Value};
//! # let bytes = include_bytes!("../../../models/bundles/reference-scorecard-1.json");
//! let model = Model::load(bytes)?;
//! let mut inputs = Inputs::new();
//! inputs.insert("amount".into(), Value::Number(1000.0));
//! for error in model.validate(&inputs) {
//!     println!("{error}"); // "term_months: an answer is required", ...
//! }
//! # Ok::<(), vereda_scoring::LoadError>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod bundle;
pub mod calibrate;
mod check;
pub mod drift;
mod error;
pub mod figures;
mod forest;
pub mod import;
mod model;
mod plan;
mod rows;
mod score;
pub mod value;

pub use bundle::Bundle;
pub use error::{ExpectedType, FieldError, FieldProblem, InputError, LoadError, RowsError};
pub use model::{MAX_BYTES, Model};
pub use score::{Contribution, Estimate, ModelRef, PointsLost, Reason, Score};
pub use value::{Inputs, Value};
