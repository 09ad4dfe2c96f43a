//! Model bundles: what a model is, how it is checked, what it says, and why.
//!
//! A [`Bundle`] is the document (JSON) as an analyst publishes it. [`Model::load`] checks all of it
//! once and gives a [`Model`], whose evaluation can neither fail nor loop for inputs that its
//! schema accepts. There is no I/O here, no clock and no random number: the same bytes and the same
//! inputs give the same bits on a phone, a desktop, a server and in a browser.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod bundle;
pub mod value;

pub use bundle::Bundle;
pub use value::{Inputs, Value};
