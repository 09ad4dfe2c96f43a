//! A route: its method, path, handler, who may call it and how far they reach, what it takes and what
//! it answers. The router, the guard and the description of the API are all made from this.

use super::body::FORM;
use super::query::{Param, Takes};
use super::rows::NDJSON;
use super::{Shared, problem::PROBLEM_JSON};
use crate::rates::RouteClass;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::extensions::{Extensions, ExtensionsBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, OneOfBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};
use vereda_domain::api::{Problem, Role, Scope};

/// The name of the security scheme for programs.
pub const BEARER: &str = "bearer";
/// The name of the one for pages.
pub const COOKIE: &str = "page";
/// JSON.
const JSON: &str = "application/json";

/// How far a role reaches on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Nothing here belongs to a branch.
    Any,
    /// What the caller, or the caller's device, did.
    Own,
    /// The caller's branch.
    Branch,
    /// The caller's branch if there is one, else everything.
    Home,
    /// Everything.
    All,
}

/// Roles with how far they reach.
pub type Who = &'static [(Role, Reach)];

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// These roles.
    Roles(Who),
    /// These roles, and users who were disabled while their token still holds: work that is done
    /// already is taken in before access ends.
    Escrow(Who),
}

impl Access {
    /// The roles; none for [`Access::Public`].
    pub fn who(self) -> Who {
        match self {
            Access::Public => &[],
            Access::Roles(who) | Access::Escrow(who) => who,
        }
    }
}

/// Schemas by name.
pub type Schemas = BTreeMap<String, RefOr<Schema>>;

/// One route.
pub struct Route {
    method: HttpMethod,
    path: &'static str,
    access: Access,
    scope: Option<Scope>,
    class: RouteClass,
    body_limit: usize,
    ticket: bool,
    params: Vec<Param>,
    handler: MethodRouter<Shared>,
    operation: OperationBuilder,
    body: RequestBody,
    answers: BTreeMap<u16, Response>,
    refuses: Vec<u16>,
    schemas: Schemas,
}

/// What the guard of a route needs to know.
#[derive(Clone)]
pub struct Rules {
    /// Who may call.
    pub access: Access,
    /// What a service's token must be good for.
    pub scope: Option<Scope>,
    /// What kind of work it is.
    pub class: RouteClass,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// What a query may hold.
    pub takes: Takes,
    /// Whether a device's ticket is enough.
    pub ticket: bool,
}

impl Route {
    fn new(method: HttpMethod, path: &'static str, access: Access, handler: MethodRouter<Shared>) -> Route {
        let (operation, params) = (OperationBuilder::new(), Vec::new());
        // Too many, the server's fault, and what it cannot now or in time, may befall any request.
        let refuses = vec![408, 429, 500, 503];
        let class = match (&method, access) {
            (HttpMethod::Get, Access::Public) => RouteClass::Public,
            (HttpMethod::Get, _) => RouteClass::Read,
            _ => RouteClass::Write,
        };
        Route {
            method,
            path,
            access,
            scope: None,
            class,
            body_limit: 0,
            ticket: false,
            params,
            handler,
            operation,
            body: RequestBodyBuilder::new().required(Some(Required::True)).build(),
            answers: BTreeMap::new(),
            refuses,
            schemas: Schemas::new(),
        }
    }

    /// A route that reads.
    pub fn get<H: Handler<T, Shared>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
        Route::new(HttpMethod::Get, path, access, get(handler))
    }

    /// A route that does something.
    pub fn post<H: Handler<T, Shared>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
        Route::new(HttpMethod::Post, path, access, post(handler))
    }

    /// Its name for programs, what it does in a few words, and what else must be known.
    pub fn about(mut self, id: &str, summary: &str, description: &str) -> Route {
        let description = (!description.is_empty()).then_some(description);
        self.operation =
            self.operation.operation_id(Some(id)).summary(Some(summary)).description(description);
        self
    }

    /// What kind of work it is, where its method does not say.
    pub fn class(mut self, class: RouteClass) -> Route {
        self.class = class;
        self
    }

    /// Where a device's ticket is enough, so that asking costs it little.
    pub fn by_ticket(mut self) -> Route {
        self.ticket = true;
        self
    }

    /// What a service's token must be good for.
    pub fn scope(mut self, scope: Scope) -> Route {
        self.scope = Some(scope);
        self
    }

    /// What stands for `{name}` in the path.
    pub fn at(mut self, param: Param) -> Route {
        self.operation = self.operation.parameter(parameter(&param, ParameterIn::Path));
        self.refuses.extend([400, 404]);
        self
    }

    /// What a query may hold.
    pub fn query(mut self, params: &[Param]) -> Route {
        for param in params {
            self.operation = self.operation.parameter(parameter(param, ParameterIn::Query));
        }
        self.params.extend(params);
        self.refuses.extend([400, 422]);
        self
    }

    /// What a query must hold.
    pub fn needs(mut self, params: &[Param]) -> Route {
        for param in params {
            let mut parameter = parameter(param, ParameterIn::Query);
            parameter.required = Required::True;
            self.operation = self.operation.parameter(parameter);
        }
        self.params.extend(params);
        self.refuses.extend([400, 422]);
        self
    }

    /// A body of JSON, of so many bytes at most.
    pub fn takes<T: ToSchema>(mut self, limit: usize) -> Route {
        let schema = self.schema::<T>();
        self.body.content.insert(JSON.into(), Content::new(Some(schema)));
        self.body_limit = limit;
        self.refuses.extend([400, 413, 415, 422]);
        self
    }

    /// A body that is a form, of so many bytes at most.
    pub fn takes_form<T: ToSchema>(mut self, limit: usize) -> Route {
        let schema = self.schema::<T>();
        self.body.content.insert(FORM.into(), Content::new(Some(schema)));
        self.body_limit = limit;
        self.refuses.extend([400, 413, 415]);
        self
    }

    /// A body of bytes, so many at most.
    pub fn takes_bytes(mut self, limit: usize) -> Route {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        let schema = ObjectBuilder::new().schema_type(Type::String).format(Some(format));
        self.body.content.insert("application/octet-stream".into(), Content::new(Some(schema)));
        self.body_limit = limit;
        self.refuses.extend([400, 413, 415, 422]);
        self
    }

    /// A body of any number of rows, each such a value, with an example for each form of them.
    pub fn takes_rows<T: ToSchema>(mut self, ndjson: &str, csv: &str) -> Route {
        self.schema::<T>();
        let what = format!("Rows, each a `{}`.", T::name());
        for (media, example) in [(NDJSON, ndjson), ("text/csv", csv)] {
            let schema = ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(&what));
            let content = ContentBuilder::new().schema(Some(schema)).example(Some(example.into()));
            self.body.content.insert(media.into(), content.build());
        }
        self.refuses.extend([400, 413, 415, 422]);
        self
    }

    /// An answer of JSON.
    pub fn gives<T: ToSchema>(mut self, status: u16, what: &str) -> Route {
        let schema = self.schema::<T>();
        self.answer(status, answer(what).content(JSON, Content::new(Some(schema))))
    }

    /// An answer that is a list, of JSON.
    pub fn lists<T: ToSchema>(mut self, what: &str) -> Route {
        let schema = ArrayBuilder::new().items(self.schema::<T>());
        self.answer(200, answer(what).content(JSON, Content::new(Some(schema))))
    }

    /// An answer of lines of JSON, each one of these two; they are described as the list of them.
    pub fn streams<T: ToSchema, U: ToSchema>(mut self, what: &str) -> Route {
        let line = OneOfBuilder::new().item(self.schema::<T>()).item(self.schema::<U>());
        // Beside the answer to a single value, if there is one.
        let response = self.answers.entry(200).or_insert_with(|| answer(what).build());
        let lines = ArrayBuilder::new().items(line);
        response.content.insert(NDJSON.into(), Content::new(Some(lines)));
        self
    }

    /// An answer that is no JSON.
    pub fn gives_text(self, media: &[&str], what: &str) -> Route {
        let mut response = answer(what);
        for media in media {
            let schema = ObjectBuilder::new().schema_type(Type::String);
            response = response.content(*media, ContentBuilder::new().schema(Some(schema)).build());
        }
        self.answer(200, response)
    }

    /// An answer without a body.
    pub fn gives_nothing(self, status: u16, what: &str) -> Route {
        self.answer(status, answer(what))
    }

    /// A header of the answers so far.
    pub fn header(mut self, name: &str, what: &str) -> Route {
        let header = HeaderBuilder::new().schema(String::schema()).description(Some(what)).build();
        self.answers.values_mut().for_each(|answer| {
            answer.headers.insert(name.into(), header.clone());
        });
        self
    }

    /// Refusals beyond those that come with what the route takes.
    pub fn refuses(mut self, statuses: &[u16]) -> Route {
        self.refuses.extend(statuses);
        self
    }

    fn answer(mut self, status: u16, response: ResponseBuilder) -> Route {
        self.answers.insert(status, response.build());
        self
    }

    /// A reference to a type, which is noted.
    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut found = Vec::new();
        T::schemas(&mut found);
        let name = name_of::<T>();
        found.push((name.clone(), T::schema()));
        self.schemas.extend(found);
        Ref::from_schema_name(name).into()
    }

    /// For the router: the path, the handler, and what its guard holds requests against.
    pub fn mount(self) -> (&'static str, MethodRouter<Shared>, Rules) {
        let takes = Takes(Arc::from(self.params));
        (
            self.path,
            self.handler,
            Rules {
                access: self.access,
                scope: self.scope,
                class: self.class,
                body_limit: self.body_limit,
                takes,
                ticket: self.ticket,
            },
        )
    }

    /// For the description: the path, the method, the operation and the schemas it refers to.
    pub fn describe(self) -> (&'static str, HttpMethod, Operation, Schemas) {
        let mut refuses = self.refuses;
        let mut operation = self.operation;
        let tag = match self.path.strip_prefix("/api/").and_then(|rest| rest.split('/').next()) {
            Some("server" | "openapi.json" | "docs") | None => "server",
            Some(first) => first,
        };
        operation = operation.tag(tag);
        match self.access {
            Access::Public => operation = operation.securities(Some(Vec::<SecurityRequirement>::new())),
            Access::Roles(_) | Access::Escrow(_) => refuses.extend([401, 403]),
        }
        if !self.body.content.is_empty() {
            operation = operation.request_body(Some(self.body));
        }
        for (status, response) in self.answers {
            operation = operation.response(status.to_string(), response);
        }
        for status in refuses {
            operation = operation.response(status.to_string(), Ref::from_response_name(status.to_string()));
        }
        let mut extensions = self.access.extensions(self.class, self.body_limit);
        if let Some(scope) = self.scope {
            extensions.merge(ExtensionsBuilder::new().add("x-scope", scope.as_str()).build());
        }
        operation = operation.extensions(Some(extensions));
        (self.path, self.method, operation.build(), self.schemas)
    }
}

impl Access {
    fn extensions(self, class: RouteClass, body_limit: usize) -> Extensions {
        let roles: serde_json::Map<String, serde_json::Value> = self
            .who()
            .iter()
            .map(|(role, reach)| (role.as_str().to_owned(), serde_json::json!(reach)))
            .collect();
        let mut extensions = ExtensionsBuilder::new();
        if self != Access::Public {
            extensions = extensions.add("x-roles", roles);
        }
        extensions = extensions.add("x-rate-class", class.as_str());
        if matches!(self, Access::Escrow(_)) {
            extensions = extensions.add("x-escrow", true);
        }
        if body_limit > 0 {
            extensions = extensions.add("x-max-body-bytes", body_limit);
        }
        extensions.build()
    }
}

/// The name of a type's schema; of a generic one, with what it is made of.
fn name_of<T: ToSchema>() -> String {
    let inner = std::any::type_name::<T>().split_once('<').map(|(_, inner)| inner.trim_end_matches('>'));
    match inner.and_then(|inner| inner.rsplit("::").next()) {
        Some(inner) => format!("{}Of{inner}", T::name()),
        None => T::name().into_owned(),
    }
}

fn answer(what: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(what)
}

fn parameter(param: &Param, place: ParameterIn) -> utoipa::openapi::path::Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(param.name)
        .parameter_in(place)
        .required(required)
        .description(Some(param.what))
        .schema(Some(param.schema()))
        .build()
}

/// The refusals, by status, that operations refer to.
pub fn refusals() -> Vec<(u16, Response)> {
    let problem = || Content::new(Some(Ref::from_schema_name(Problem::name())));
    let of = |what: &str| answer(what).content(PROBLEM_JSON, problem());
    let header = |what: &str, schema| HeaderBuilder::new().schema(schema).description(Some(what)).build();
    let seconds = || u64::schema();
    vec![
        (400, of("It cannot be read.").build()),
        (
            401,
            of("No token, or one that does not hold; or wrong credentials.")
                .header("WWW-Authenticate", header("`Bearer`.", String::schema()))
                .build(),
        ),
        (403, of("Not for this role, or only for members of a branch or for enrolled devices.").build()),
        (404, of("Nothing there, or not for the caller: the answer is the same.").build()),
        (408, of("It took too long.").build()),
        (409, of("It contradicts what is stored.").build()),
        (413, of("It is too large.").build()),
        (415, of("It is of another media type, or packed in a way that is not taken.").build()),
        (422, of("Fields are wrong: `fields` says which.").build()),
        (
            429,
            of("Too many; wait.")
                .header("Retry-After", header("How many seconds to wait.", seconds()))
                .header(
                    "RateLimit",
                    header(
                        "What is left, and in how many seconds all of it is there again.",
                        String::schema(),
                    ),
                )
                .header(
                    "RateLimit-Policy",
                    header("How many requests in how many seconds.", String::schema()),
                )
                .build(),
        ),
        (500, of("The server's fault.").build()),
        (503, of("The server cannot now.").build()),
    ]
}
