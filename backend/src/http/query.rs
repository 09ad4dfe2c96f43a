//! Query strings: what a parameter may be is said once, in a [`Param`], which the description of the API
//! shows and every request is held against; so a wrong one is named.

use super::body::{field_error, one_of};
use super::problem::{ApiError, ApiResult};
use crate::clock::parse_time;
use crate::store::Place;
use axum::extract::{FromRequestParts, Query as Pairs};
use axum::http::request::Parts;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use utoipa::openapi::schema::{KnownFormat, OneOfBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use uuid::Uuid;
use vereda_domain::api::ProblemCode;
use vereda_domain::event::Hash;
use vereda_scoring::FieldProblem;

/// A parameter of a path or a query.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// What it may be.
    pub form: Form,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// An id.
    Uuid,
    /// A whole number in a range.
    Number {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
    /// A place in a chain or in a branch's changes.
    Count,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// So many characters at most, none of them a control character.
    Text(usize),
    /// RFC 3339, or milliseconds since 1970.
    Time,
    /// A month such as 2026-11.
    Month,
    /// `next` of the page before.
    Cursor,
    /// `next` of the page of a portfolio before.
    Place,
    /// A SHA-256 in hexadecimal.
    Hash,
    /// The beginning of a SHA-256 in hexadecimal, or nothing; what is neither is that of no model.
    Digest,
}

impl Param {
    /// A parameter.
    pub const fn new(name: &'static str, form: Form, what: &'static str) -> Param {
        Param { name, what, form }
    }

    /// What is wrong with it, if anything is.
    fn check(&self, text: &str) -> ApiResult<()> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let refuse = |words: &[&str]| Err(field_error(self.name, one_of(words)));
        match self.form {
            Form::Uuid if Uuid::try_parse(text).is_err() => refuse(&["a UUID"]),
            Form::Number { min, max } => {
                let number = digits(text).then(|| text.parse::<u32>().ok()).flatten();
                match number.filter(|n| (min..=max).contains(n)) {
                    Some(_) => Ok(()),
                    None => {
                        let problem = FieldProblem::OutOfRange { min: min.into(), max: max.into() };
                        Err(field_error(self.name, problem))
                    }
                }
            }
            Form::Count if !digits(text) || text.parse::<i64>().is_err() => refuse(&["a number"]),
            Form::OneOf(options) if !options.contains(&text) => refuse(options),
            Form::Text(max)
                if !(1..=max).contains(&text.chars().count()) || text.chars().any(char::is_control) =>
            {
                refuse(&[&format!("a text of 1 to {max} characters, none of them control characters")])
            }
            Form::Time if parse_time(text).is_none() => {
                refuse(&["a time as RFC 3339 has it", "milliseconds since 1970"])
            }
            Form::Month if month(text).is_none() => refuse(&["a month such as 2026-11"]),
            Form::Cursor if text.len() != 48 || !hex(text) => refuse(&["`next` of the page before"]),
            Form::Place if text.parse::<Place>().is_err() => refuse(&["`next` of the page before"]),
            Form::Hash if text.parse::<Hash>().is_err() => refuse(&["a SHA-256 in hexadecimal"]),
            Form::Digest if text.chars().count() > 64 || text.chars().any(char::is_control) => {
                refuse(&["the beginning of a model's SHA-256"])
            }
            _ => Ok(()),
        }
    }

    /// How the description of the API shows it.
    pub fn schema(&self) -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let whole = || {
            let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
            ObjectBuilder::new().schema_type(Type::Integer).format(Some(format))
        };
        match self.form {
            Form::Uuid => text().format(Some(SchemaFormat::Custom("uuid".into()))),
            Form::Number { min, max } => whole().minimum(Some(min)).maximum(Some(max)),
            Form::Count => whole().minimum(Some(0)).maximum(Some(i64::MAX)),
            Form::OneOf(options) => text().enum_values(Some(options.iter().copied())),
            Form::Text(max) => {
                text().min_length(Some(1)).max_length(Some(max)).pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]+$"))
            }
            Form::Time => {
                let date = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
                return OneOfBuilder::new().item(date).item(whole()).into();
            }
            Form::Month => text().pattern(Some("^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$")),
            Form::Cursor => text().pattern(Some("^[0-9a-f]{48}$")),
            Form::Place => text().pattern(Some("^0[0-3][0-9a-f]{64}$")),
            Form::Hash => text().pattern(Some("^[0-9a-fA-F]{64}$")),
            Form::Digest => text().pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]{0,64}$")),
        }
        .into()
    }
}

/// A month such as 2026-11, in months since the year 0.
pub fn month(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let digits =
        |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    if bytes.len() != 7 || bytes.get(4) != Some(&b'-') || !digits(0..4) || !digits(5..7) {
        return None;
    }
    let (year, month) = text.split_once('-')?;
    let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
    ((1970..=9999).contains(&year) && (1..=12).contains(&month)).then_some(year * 12 + month - 1)
}

/// The parameters that a route takes, put into the request by the route table.
#[derive(Debug, Clone)]
pub struct Takes(pub Arc<[Param]>);

/// The parameters of a request: those that the route takes, each as its [`Param`] says.
#[derive(Debug)]
pub struct Query(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|e| ApiError::new(ProblemCode::BadRequest, "The query cannot be read.").because(e))?;
        let takes = parts.extensions.get::<Takes>().map(|takes| takes.0.clone()).unwrap_or_default();
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            let Some(param) = takes.iter().find(|param| param.name == name) else {
                return Err(field_error(&name, FieldProblem::Unknown));
            };
            if parameters.contains_key(&name) {
                return Err(field_error(&name, one_of(&["given once"])));
            }
            param.check(&value)?;
            parameters.insert(name, value);
        }
        Ok(Query(parameters))
    }
}

impl Query {
    /// A parameter as it stands.
    pub fn text(&self, param: &Param) -> Option<&str> {
        self.0.get(param.name).map(String::as_str)
    }

    /// A parameter, read.
    pub fn read<T>(&self, param: &Param, read: impl FnOnce(&str) -> Option<T>) -> ApiResult<Option<T>> {
        match self.text(param) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| {
                ApiError::internal(format!("`{}` passed its check and cannot be read", param.name))
            }),
        }
    }

    /// A parameter whose type reads itself: an id, a number.
    pub fn parsed<T: FromStr>(&self, param: &Param) -> ApiResult<Option<T>> {
        self.read(param, |text| text.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 65 characters.
    const LONG: &str = "00000000000000000000000000000000000000000000000000000000000000000";

    #[test]
    fn what_a_parameter_may_be_is_what_its_schema_says() {
        let cases: [(Form, &[&str], &[&str]); 11] = [
            (Form::Uuid, &["01a20882-1729-73bb-80b2-b5eb6a5e30a6"], &["", "x", "01a20882-1729"]),
            (
                Form::Number { min: 1, max: 500 },
                &["1", "500"],
                &["", "0", "501", "+5", "1.0", "-1", "99999999999"],
            ),
            // One more than what the database counts to.
            (Form::Count, &["0", "9223372036854775807"], &["", "9223372036854775808", "-1", "+1", "x"]),
            (Form::OneOf(&["csv", "parquet"]), &["csv"], &["", "CSV", "csv "]),
            (Form::Text(3), &["a", "ñññ"], &["", "abcd", "a\n", "a\u{85}"]),
            (Form::Time, &["2026-11-23T00:00:00Z", "-5", "1790000000000"], &["", "2026-11-23", "yesterday"]),
            (
                Form::Month,
                &["2026-11", "1970-01"],
                &["", "2026-13", "2026-1", "1969-12", "+026-11", "2026-+1"],
            ),
            (
                Form::Cursor,
                &["0000000000000000000000000000000000000000000000ff"],
                &["", "ff", "00000000000000000000000000000000000000000000000g", "ññññññññññññññññññññññññ"],
            ),
            (
                Form::Place,
                &["01000000000000000000000000000000ff000000000000000000000000000000ff"],
                &["", "ff", "04000000000000000000000000000000ff000000000000000000000000000000ff", LONG],
            ),
            (
                Form::Hash,
                &["AC383f727fb2d8be5165fde701f3180239b34a6e476c050462c2ec2241d851c3"],
                &["", "ac", LONG],
            ),
            (Form::Digest, &["", "ac383f72", "x"], &["a\n", LONG]),
        ];
        for (form, right, wrong) in cases {
            let param = Param::new("p", form, "");
            for text in right {
                assert!(param.check(text).is_ok(), "{form:?} {text:?}");
            }
            for text in wrong {
                let error = param.check(text).unwrap_err();
                assert_eq!(error.field_errors()[0].field, "p", "{form:?} {text:?}");
            }
        }
    }
}
