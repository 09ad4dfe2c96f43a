//! What a client answered: the values that go into a score.

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The answers of one interview, by feature name. A feature that is absent is missing, as is one
/// that is [`Value::Missing`].
pub type Inputs = BTreeMap<String, Value>;

/// One answer, as JSON: `null`, `true`, `12.5` or `"owner"`.
///
/// An integer is a number without a fraction; money is in whole units of the schema's currency, as
/// the training data has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Not answered, or the client does not know.
    Missing,
    /// Yes or no.
    Boolean(bool),
    /// A number, whole or not; always finite once a schema has accepted it.
    Number(f64),
    /// The code of an option of a category.
    Category(String),
}

/// By hand: what serde derives tries one kind after the other, and words an error for each that it is not.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Answer)
    }
}

struct Answer;

impl Visitor<'_> for Answer {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, true, false, a number or a text")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Missing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    // Beyond 2^53 the nearest number is meant, as for any other number of JSON.
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Category(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Category(value))
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Value {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        let types = [Type::Null, Type::Boolean, Type::Number, Type::String];
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter(types))
            .description(Some("An answer: a number, a yes or no, the code of an option, or none."))
            .into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Value {
    fn name() -> std::borrow::Cow<'static, str> {
        "Answer".into()
    }
}

impl Value {
    /// Whether there is no answer.
    pub fn is_missing(&self) -> bool {
        matches!(self, Value::Missing)
    }
}
