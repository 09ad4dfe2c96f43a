//! What a client answered: the values that go into a score.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answers of one interview, by feature name. A feature that is absent is missing, as is one
/// that is [`Value::Missing`].
pub type Inputs = BTreeMap<String, Value>;

/// One answer, as JSON: `null`, `true`, `12.5` or `"owner"`.
///
/// An integer is a number without a fraction; money is in whole units of the schema's currency, as
/// the training data has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
