//! Passwords, hashed with argon2id at OWASP's parameters (19 MiB, 2 passes, 1 lane).

use crate::error::ServerError;
use crate::identity::keys::random;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The shortest password accepted when a user is added, in characters.
pub const MIN_CHARS: usize = 10;
/// The longest, in characters, so that hashing stays bounded.
pub const MAX_CHARS: usize = 256;

/// Hashes and verifies, a few at a time: each takes 19 MiB.
#[derive(Debug, Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    /// Verified against when there is no such user, so that the answer takes as long.
    dummy: Arc<str>,
    cost: PasswordCost,
}

/// How much work one guess at a password is. No file and no variable of the environment sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PasswordCost {
    /// OWASP's: 19 MiB, 2 passes, 1 lane.
    #[default]
    Owasp,
    /// Next to none: for simulations with thousands of sign-ins. Optimised builds have it only with the
    /// feature `simulation`, which no server has.
    #[cfg(any(debug_assertions, feature = "simulation"))]
    Simulated,
}

impl PasswordCost {
    fn argon2(self) -> Result<Argon2<'static>, ServerError> {
        Ok(match self {
            PasswordCost::Owasp => Argon2::default(),
            #[cfg(any(debug_assertions, feature = "simulation"))]
            PasswordCost::Simulated => {
                use argon2::{Algorithm, Params, Version};
                let params = Params::new(Params::MIN_M_COST, 1, 1, None).map_err(|e| crypto(&e))?;
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            }
        })
    }
}

impl Passwords {
    /// Ready to hash.
    ///
    /// # Errors
    /// [`ServerError::Random`] and [`ServerError::Crypto`].
    pub fn new(cost: PasswordCost) -> Result<Passwords, ServerError> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let dummy = hash_now(&hex::encode(random::<16>()?), cost)?;
        Ok(Passwords { permits: Arc::new(Semaphore::new(cores)), dummy: dummy.into(), cost })
    }

    /// A PHC string for a new password.
    ///
    /// # Errors
    /// [`ServerError::Field`] for one that is too short or too long.
    pub async fn hash(&self, password: &str) -> Result<String, ServerError> {
        if !(MIN_CHARS..=MAX_CHARS).contains(&password.chars().count()) {
            return Err(ServerError::field("password", format!("{MIN_CHARS} to {MAX_CHARS} characters")));
        }
        let password = password.to_owned();
        let cost = self.cost;
        let _permit = self.permits.acquire().await.map_err(|e| crypto(&e))?;
        tokio::task::spawn_blocking(move || hash_now(&password, cost)).await.map_err(|e| crypto(&e))?
    }

    /// Takes one of the few places for hashing; hold it while deciding whether to verify at all.
    ///
    /// # Errors
    /// [`ServerError::Crypto`] when the server is closing.
    pub async fn turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit, ServerError> {
        self.permits.clone().acquire_owned().await.map_err(|e| crypto(&e))
    }

    /// Whether the password is the one behind `hash`; with no hash it takes as long and is not.
    ///
    /// # Errors
    /// [`ServerError::Crypto`] for a hash that cannot be read.
    pub async fn verify(
        &self,
        _turn: &tokio::sync::OwnedSemaphorePermit,
        password: &str,
        hash: Option<&str>,
    ) -> Result<bool, ServerError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy).to_owned();
        let bounded = password.chars().count() <= MAX_CHARS;
        let password: String = if bounded { password.to_owned() } else { String::new() };
        let same = tokio::task::spawn_blocking(move || {
            match Argon2::default().verify_password(password.as_bytes(), hash.as_str()) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(e) => Err(crypto(&e)),
            }
        })
        .await
        .map_err(|e| crypto(&e))??;
        Ok(same && known)
    }
}

fn hash_now(password: &str, cost: PasswordCost) -> Result<String, ServerError> {
    let salt = random::<16>()?;
    let hash = cost.argon2()?.hash_password_with_salt(password.as_bytes(), &salt).map_err(|e| crypto(&e))?;
    Ok(hash.to_string())
}

fn crypto(error: &dyn std::fmt::Display) -> ServerError {
    ServerError::Crypto { doing: "hash a password", what: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_and_nothing_else_does() {
        let passwords = Passwords::new(PasswordCost::default()).unwrap();
        let hash = passwords.hash("una vereda larga").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let turn = passwords.turn().await.unwrap();
        assert!(passwords.verify(&turn, "una vereda larga", Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&turn, "una vereda corta", Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&turn, "una vereda larga", None).await.unwrap());
        assert!(passwords.hash("short").await.is_err());
    }
}
