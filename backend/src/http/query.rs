//! Query strings, one parameter at a time, so that a wrong one is named.

use super::body::{field_error, one_of};
use super::problem::{ApiError, ApiResult};
use axum::extract::{FromRequestParts, Query as Pairs};
use axum::http::request::Parts;
use std::collections::BTreeMap;
use std::str::FromStr;
use vereda_domain::api::ProblemCode;
use vereda_scoring::FieldProblem;

/// The parameters of a request. An empty one counts as absent.
#[derive(Debug)]
pub struct Query(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|e| ApiError::new(ProblemCode::BadRequest, "The query cannot be read.").because(e))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            if parameters.contains_key(&name) {
                return Err(field_error(&name, one_of(&["given once"])));
            }
            parameters.insert(name, value);
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Query(parameters))
    }
}

impl Query {
    /// Refuses parameters that are not among these.
    pub fn only(&self, known: &[&str]) -> ApiResult<()> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(unknown) => Err(field_error(unknown, FieldProblem::Unknown)),
        }
    }

    /// A parameter as it stands.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that `read` understands; `form` says what that is.
    pub fn read<T>(
        &self,
        name: &str,
        form: &[&str],
        read: impl FnOnce(&str) -> Option<T>,
    ) -> ApiResult<Option<T>> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| field_error(name, one_of(form))),
        }
    }

    /// An id.
    pub fn id<T: FromStr>(&self, name: &str) -> ApiResult<Option<T>> {
        self.read(name, &["a UUID"], |text| text.parse().ok())
    }

    /// A whole number in a range.
    pub fn number(&self, name: &str, min: u32, max: u32) -> ApiResult<Option<u32>> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => text.parse().ok().filter(|n| (min..=max).contains(n)).map(Some).ok_or_else(|| {
                field_error(name, FieldProblem::OutOfRange { min: min.into(), max: max.into() })
            }),
        }
    }
}
