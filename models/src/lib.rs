//! The analyst's command line: a module per command, and what they share.
//!
//! A command has `Arguments`, which clap reads, and `run`. A bundle is checked in full before
//! anything else happens to it: by [`bundle::read`], which every command begins with. Tables of any
//! size go through [`stream`] in chunks, so that memory does not grow with them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod applicants;
pub mod bundle;
pub mod diff;
pub mod error;
pub mod evaluate;
pub mod import;
pub mod inspect;
pub mod output;
pub mod publish;
pub mod render;
pub mod score;
pub mod stream;
pub mod table;
pub mod verify;

pub use error::Error;
