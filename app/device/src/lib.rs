//! What runs natively on a phone or desktop: an encrypted store per user, the key store, sync, model
//! updates. Usable without Tauri: the host wraps each method of [`App`] in a command, and tests and
//! benchmarks drive the real thing.
//!
//! # The vault
//! Each user of a device has a folder of their own, `users/<user id>/`, so that one user's sign-in
//! never touches another's unsent work:
//!
//! - `vault.json`: the store's random key, wrapped (XChaCha20-Poly1305) under HKDF-SHA256 of a secret
//!   that only the platform's key store holds and of argon2id of the PIN. It also counts wrong PINs:
//!   each attempt is on disk before it is checked, and the wait grows up to an hour. Nothing is ever
//!   wiped. If its user wants it, the key is there once more for a finger or a face: under the key
//!   store's secret and one that the platform gives only to them ([`GuardedStore`]), never for a yes.
//! - `store.db`: SQLCipher with that key; WAL, `synchronous = FULL`. The refresh token and everything
//!   about clients is in it and nowhere else.
//!
//! A key store that does not answer, a file that cannot be decrypted, a store of a newer app: each is
//! an error with a code of its own, and the files stay as they are.
//!
//! # What is captured
//! Every change is an event appended to the device's hash chain, folded into its record and into the
//! tables that screens read, in one transaction that is on disk before anybody is told (see
//! `store`). Interviews are kept answer by answer and keep the model they began with.
//!
//! # Sync
//! See `sync`: one engine per open store that sends events past what the server holds, keeps the
//! receipt, receives records page by page and activates newer models after checking hash and golden
//! vectors. It retries by itself, and every state it can be in is visible.
//!
//! # Invariants
//! - No screen waits for the network but enrolment and signing in again.
//! - Tokens and keys leave this crate only towards the server and the key store.
//! - Logs hold no names, documents, phones, answers or scores.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod app;
mod board;
#[cfg(feature = "bench")]
mod bulk;
mod clock;
mod commands;
pub mod doctor;
mod error;
mod export;
#[doc(hidden)]
pub mod fail;
mod guarded;
mod keystore;
mod models;
mod people;
mod picture;
mod session;
#[cfg(any(debug_assertions, feature = "simulation"))]
mod simulation;
mod store;
mod sync;
#[cfg(test)]
mod tests;
mod vault;

pub use app::{App, AppConfig};
pub use clock::WallClock;
pub use error::DeviceError;
pub use guarded::{GuardedError, GuardedStore};
pub use keystore::KeyStore;
pub use vault::check_pin;
