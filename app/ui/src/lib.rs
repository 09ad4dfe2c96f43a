//! The screens. One page, compiled to wasm, that talks to the world through [`gateway::Gateway`] alone.
//!
//! - [`i18n`] and [`fmt`]: every text comes from a Fluent catalogue, every number from a locale.
//! - [`state`]: what all screens share, and the long poll that keeps it fresh.
//! - [`route`]: where the user is; the address after `#`, so that a platform's back gesture works.
//! - [`shell`]: what surrounds a screen. [`components`]: what screens are made of.
//! - [`query`] and [`pages`]: reading for a screen, once or window by window.
//! - [`screens`]: one module per screen.
//!
//! There is no rule about credit here: a screen shows what a command answered.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod browser;
mod components;
mod fmt;
mod gateway;
mod i18n;
mod pages;
mod query;
mod route;
mod screens;
mod shell;
mod state;
#[cfg(test)]
mod tokens;

/// Shows the first screen.
pub fn launch() {
    browser::on_panic();
    dioxus::launch(shell::Root);
}
