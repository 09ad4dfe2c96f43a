//! Who somebody is: passwords, tokens, sessions, and delays for those who guess.

pub mod keys;
pub mod passwords;
pub mod people;
pub mod proof;
pub mod services;
pub mod throttle;
pub mod tokens;
