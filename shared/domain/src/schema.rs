//! How the types that write themselves down by hand look as JSON Schema.

use crate::api::{RowError, RowResult};
use crate::event::Hash;
use crate::hlc::Hlc;
use crate::ids::{AssessmentId, BranchId, ClientId, DeviceId, DraftId, SecretId, UserId};
use crate::register::{Kept, Mark, Register, Write};
use std::borrow::Cow;
use utoipa::openapi::schema::{
    AdditionalProperties, AllOfBuilder, KnownFormat, OneOfBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Object, ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// By another name: utoipa takes everything called `Value` for any JSON.
pub type Answer = vereda_scoring::Value;

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn uuid(what: &str) -> ObjectBuilder {
    text().format(Some(SchemaFormat::Custom("uuid".into()))).description(Some(what))
}

macro_rules! schemas {
    ($($name:ident: $schema:expr;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

schemas! {
    DeviceId: uuid("One enrolment of one user on one machine.");
    UserId: uuid("Somebody, or another system, who signs in.");
    BranchId: uuid("A branch of the institution.");
    ClientId: uuid("A client.");
    AssessmentId: uuid("One score of one client.");
    SecretId: uuid("A secret of another system; never the secret itself.");
    DraftId: uuid("An interview that has not been scored yet.");
    Hash: text().pattern(Some("^[0-9a-fA-F]{64}$")).description(Some("SHA-256, hexadecimal."));
    Hlc: text()
        .pattern(Some(r"^[0-9]{16}\.[0-9]{5}\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"))
        .description(Some("A point in causal order: wall time in milliseconds, counter, device."));
    EventText: event();
    Username: text()
        .min_length(Some(1))
        .max_length(Some(64))
        .pattern(Some(r"^[\w.@-]+$"))
        .description(Some("1 to 64 letters, digits or `.`, `-`, `_`, `@`; capitals make no difference."));
    GivenName: text()
        .min_length(Some(1))
        .max_length(Some(120))
        .pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"))
        .description(Some("1 to 120 characters, not all of them blank, none of them control characters."));
    NewPassword: text()
        .min_length(Some(10))
        .max_length(Some(256))
        .description(Some("10 to 256 characters."));
}

/// What somebody, or another system, signs in with.
pub struct Username;

/// What people call somebody or something.
pub struct GivenName;

/// A password that is to hold from now on.
pub struct NewPassword;

/// An event as a device sends it: its header, which must be readable, and a body of any kind, for what
/// this version does not know is stored all the same.
pub struct EventText;

fn event() -> ObjectBuilder {
    let millis = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    // Numbers count from 1; what the body is, is judged event by event.
    let seq = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1));
    let of = |name: &str| Ref::from_schema_name(name);
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("An event, in the exact text that the device hashed."))
        .property("device", of("DeviceId"))
        .property("seq", seq)
        .property("prev", of("Hash"))
        .property("hlc", of("Hlc"))
        .property("at", millis)
        .property("actor", of("UserId"))
        .property("branch", of("BranchId"))
        .property(
            "body",
            ObjectBuilder::new()
                .schema_type(SchemaType::AnyValue)
                .description(Some("What happened, by `type`.")),
        )
        .required("device")
        .required("seq")
        .required("prev")
        .required("hlc")
        .required("at")
        .required("actor")
        .required("branch")
}

impl<T: ToSchema> PartialSchema for RowResult<T> {
    fn schema() -> RefOr<Schema> {
        let row =
            || ObjectBuilder::new().schema_type(Type::Object).property("row", u64::schema()).required("row");
        let taken = AllOfBuilder::new().item(row()).item(Ref::from_schema_name(T::name()));
        let refused = row().property("error", Ref::from_schema_name(RowError::name())).required("error");
        let what = "What became of a row: `row` is its number, from 1.";
        OneOfBuilder::new().item(taken).item(refused).description(Some(what)).into()
    }
}

impl<T: ToSchema> ToSchema for RowResult<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for (name, schema) in [(T::name(), T::schema()), (RowError::name(), RowError::schema())] {
            schemas.push((name.into_owned(), schema));
        }
        T::schemas(schemas);
        RowError::schemas(schemas);
    }
}

impl PartialSchema for Register {
    fn schema() -> RefOr<Schema> {
        let mut object = Object::with_type(Type::Object);
        if let RefOr::T(hlc) = Hlc::schema() {
            object.property_names = Some(Box::new(hlc));
        }
        object.additional_properties =
            Some(Box::new(AdditionalProperties::RefOr(Ref::from_schema_name("Kept").into())));
        object.description = Some("What is kept of the writes to a field, by time.".into());
        object.into()
    }
}

impl ToSchema for Register {
    fn name() -> Cow<'static, str> {
        "Register".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for (name, schema) in [("Kept", Kept::schema()), ("Write", Write::schema()), ("Mark", Mark::schema())]
        {
            schemas.push((name.into(), schema));
        }
        Write::schemas(schemas);
    }
}
