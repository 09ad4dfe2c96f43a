//! What the operator does by hand.

pub mod clients;
pub mod people;
pub mod services;

use std::io::Read;
use std::str::FromStr;

/// A secret from standard input.
pub fn first_line() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// An id that was typed.
fn id<T: FromStr>(text: &str, listed_by: &str) -> anyhow::Result<T> {
    text.parse().map_err(|_| anyhow::anyhow!("{text:?} is no id; see `{listed_by}`"))
}
