//! The description of the API, made from the table of routes: OpenAPI 3.1.

use super::Shared;
use super::route::{BEARER, COOKIE, Schemas, refusals};
use super::table::routes;
use crate::config::Config;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::Value;
use utoipa::openapi::path::{PathItem, PathsBuilder};
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, SchemaFormat, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, License, ObjectBuilder, OpenApiBuilder, RefOr, Schema,
};
use utoipa::{PartialSchema, ToSchema};
use vereda_domain::api::Problem;

const ABOUT: &str = "Credit scores, their history and their models. `x-roles` of an operation says which roles may \
    call it and how far each reaches: `any` (nothing there belongs to a branch), `own` (what the caller or the \
    caller's device did), `branch` (the caller's), `home` (the caller's branch if there is one, else all) or `all`. \
    A service's token must have the scope that `x-scope` names. With `x-escrow`, so may users who were disabled and devices that were revoked while their token holds. Every \
    answer has an `X-Request-Id`; every refusal is a problem document (RFC 9457).";

macro_rules! by_hand {
    ($($(#[$doc:meta])* $name:ident: $schema:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

by_hand! {
    /// A JWK set.
    Jwks: object("Public keys (RFC 7517).")
        .property("keys", utoipa::openapi::schema::ArrayBuilder::new().items(object("A key.")))
        .required("keys");
    /// This description.
    Document: ["openapi", "info", "paths", "components"]
        .into_iter()
        .fold(object("OpenAPI 3.1."), ObjectBuilder::required);
    /// A model bundle, whose form docs/BUNDLE.md has.
    Bundle: [
        "format", "format_version", "id", "version", "name", "schema", "estimator", "calibration", "groups",
        "reasons", "golden", "reference", "card",
    ]
        .into_iter()
        .fold(object("A model with everything that is needed to ask, score, explain and check."), ObjectBuilder::required);
}

fn object(what: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(what))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
}

/// The description of the API of a server with these settings.
pub fn document(config: &Config) -> Value {
    let mut paths = PathsBuilder::new();
    let mut schemas = Schemas::from([(Problem::name().into_owned(), Problem::schema())]);
    let mut found = Vec::new();
    Problem::schemas(&mut found);
    schemas.extend(found);
    for route in routes(config) {
        let (path, method, operation, mentioned) = route.describe();
        schemas.extend(mentioned);
        paths = paths.path(path, PathItem::new(method, operation));
    }
    // An alias of a number, which has no name of its own.
    schemas.remove("i64");
    schemas.insert(MILLIS.into(), millis());
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
        "An access token from `/api/auth/sign-in` or `/api/auth/refresh`, or \
            for systems from `/api/auth/token`.",
    ));
    let mut components =
        ComponentsBuilder::new().security_scheme(BEARER, SecurityScheme::Http(scheme.build()));
    let page = ApiKeyValue::with_description(
        super::web::ACCESS,
        "Of a page's session, from `/api/web/sign-in`. What changes something also needs `X-CSRF-Token`, and to come from \
         this server's own origin.",
    );
    components = components.security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(page)));
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    for (status, response) in refusals() {
        components = components.response(status.to_string(), response);
    }
    let mut license = License::new("Apache-2.0 OR MIT");
    license.identifier = Some("Apache-2.0 OR MIT".into());
    let info = InfoBuilder::new()
        .title("Vereda")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build())
        .components(Some(components.build()))
        .security(Some([BEARER, COOKIE].map(|name| SecurityRequirement::new(name, Vec::<String>::new()))))
        .build();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    tidy(&mut document);
    document
}

/// Turns what only Rust's documentation understands into plain text, and gives times their name.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if name == "description" || name == "summary" => {
                        *text = text.replace("[`", "`").replace("`]", "`").replace("crate::", "");
                    }
                    Value::String(place) if name == "$ref" && place.ends_with("/i64") => {
                        *place = format!("#/components/schemas/{MILLIS}");
                    }
                    value => tidy(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// The name of [`vereda_domain::Millis`].
const MILLIS: &str = "Millis";

fn millis() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .description(Some("Milliseconds since 1970-01-01T00:00:00Z."))
        .into()
}

/// `GET /api/openapi.json`.
pub async fn serve(State(app): State<Shared>) -> impl IntoResponse {
    let text = app.description.get_or_init(|| Bytes::from(document(&app.config).to_string()));
    ([(header::CONTENT_TYPE, "application/json")], text.clone())
}
