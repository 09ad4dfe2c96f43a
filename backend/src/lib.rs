//! The central backend: history, identity, sync, model distribution, prediction.
//!
//! [`start`] runs the whole server inside the caller's process and says where it listens; the
//! program, the demonstration and the tests all go through it. Inside: [`store`] keeps rows and
//! knows no rules; [`sync`], [`models`] and [`identity`] know the rules and no HTTP; [`http`] is
//! the API.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod audit;
pub mod backup;
pub mod clock;
pub mod commons;
pub mod config;
pub mod demo;
pub mod erasure;
pub mod error;
pub mod http;
pub mod identity;
pub mod import;
pub mod insight;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod models;
pub mod predictions;
pub mod rates;
pub mod server;
pub mod store;
pub mod sync;
pub mod tls;
pub mod traces;

pub use config::Config;
pub use error::ServerError;
pub use server::{Running, start};
