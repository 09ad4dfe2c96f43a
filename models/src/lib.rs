//! What the analyst's command line does, apart from reading its arguments.
//!
//! A bundle is checked in full before anything else happens to it: by [`bundle::read`], which every
//! command begins with.

pub mod bundle;
pub mod error;
pub mod inspect;
pub mod publish;
pub mod rows;

pub use error::Error;
