//! Commands that need the services of the backend.

use crate::api;
use crate::deps::{self, Need};
use crate::run::{clean, command, step, succeed};
use anyhow::{Context as _, Result};
use std::process::Command;
use vereda_services::{Postgres, Redis};

/// The services of one command.
pub struct Services {
    postgres: Postgres,
    redis: Redis,
}

impl Services {
    /// Starts them and waits until they answer.
    ///
    /// # Errors
    /// When one is not installed, or does not start.
    pub fn start() -> Result<Services> {
        step("Starting PostgreSQL and Redis");
        Ok(Services { postgres: Postgres::start()?, redis: Redis::start()? })
    }

    /// Tells a command where they are.
    pub fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("VEREDA_TEST_POSTGRES", self.postgres.url()).env("VEREDA_TEST_REDIS", self.redis.url())
    }
}

/// Runs a command with services of its own.
///
/// # Errors
/// When a service does not start, or the command fails.
pub fn run(words: &[String]) -> Result<()> {
    deps::ensure(Need::SERVICES)?;
    let services = Services::start()?;
    let (program, arguments) = words.split_first().context("a command is needed")?;
    let mut command = command(program);
    succeed(api::tell(services.tell(clean(&mut command).args(arguments)))?)
}
