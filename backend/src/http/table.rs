//! The table of routes: the one place that says which there are, who may call them and how far they
//! reach, what they take and what they answer. The router, the guard, the description of the API and the
//! tests are made from it.

use super::route::Reach::{All, Any, Branch, Home, Own};
use super::route::{Access, Route, Who};
use super::{
    audit, auth, devices, docs, erasure, export, files, history, insight, models, openapi, outcomes,
};
use super::{people, predict, query, services, status, sync, web};
use crate::config::Config;
use crate::rates::RouteClass;
use query::{Form, Param};
use vereda_domain::api::*;
use vereda_domain::attachment::CHUNK_BYTES;
use vereda_domain::event::ChainHead;

const EVERYBODY: Who = &[
    (Role::Officer, Any),
    (Role::Manager, Any),
    (Role::Analyst, Any),
    (Role::Admin, Any),
    (Role::Service, Any),
];
/// Who sees scores.
const READERS: Who = &[
    (Role::Officer, Own),
    (Role::Manager, Branch),
    (Role::Analyst, All),
    (Role::Admin, All),
    (Role::Service, Own),
];
/// Who sees to people, branches and systems.
const ADMIN: Who = &[(Role::Admin, Any)];
/// Whoever has a password.
const PEOPLE: Who = &[(Role::Officer, Any), (Role::Manager, Any), (Role::Analyst, Any), (Role::Admin, Any)];
/// Who sees to devices.
const OVERSIGHT: Who = &[(Role::Manager, Branch), (Role::Admin, All)];
/// Who asks for scores.
const SYSTEMS: Who = &[(Role::Service, Any), (Role::Analyst, Any)];
/// Who reports outcomes: a system without a branch for all, whoever asked for the score.
const REPORTERS: Who = &[(Role::Service, Home), (Role::Analyst, Home)];
/// Who watches how models do.
const WATCH: Who = &[(Role::Manager, Branch), (Role::Analyst, All), (Role::Admin, All)];
/// The same, where the answer is of the whole institution.
const WATCH_ALL: Who = &[(Role::Manager, Any), (Role::Analyst, Any), (Role::Admin, Any)];
/// Who syncs, each the chain of one device.
const DEVICES: Who = &[(Role::Officer, Own), (Role::Manager, Own)];
/// Who gets records to work with.
const FIELD: Who = &[(Role::Officer, Own), (Role::Manager, Branch)];

/// Who delivers files: whoever captured one does even if the client has moved on since.
const DELIVERERS: Who = &[(Role::Officer, Branch), (Role::Manager, Branch)];

const CLIENT: Param = Param::new("client", Form::Uuid, "A client's id.");
const SHA256: Param =
    Param::new("sha256", Form::Hash, "SHA-256 of the file, as the client's record names it.");
const VERSION: Param = Param::new("version", Form::Number { min: 0, max: u32::MAX }, "A model's version.");
const ID: Param = Param::new("id", Form::Uuid, "Its id.");
const SECRET: Param = Param::new("secret", Form::Uuid, "The secret's id.");
const FILE: Param = Param::new("file", Form::OneOf(docs::FILES), "A file of the page.");

const PREDICT_NDJSON: &str = concat!(
    r#"{"features":{"amount":800,"term_months":60,"price":846,"job":"freelance","seniority_years":9,"income":129,"#,
    r#""home":"rent","expenses":73,"assets":0,"debt":0,"records":false},"client_ref":"solicitud-77"}"#,
    "\n"
);
const PREDICT_CSV: &str = "client_ref,amount,term_months,price,job,seniority_years,income,home,expenses,assets,debt,records\n\
    solicitud-77,800,60,846,freelance,9,129,rent,73,0,0,false\n";
const OUTCOME_NDJSON: &str = concat!(
    r#"{"client_ref":"solicitud-77","defaulted":true,"observed_on":"2026-11-23","horizon_months":12}"#,
    "\n"
);
const OUTCOME_CSV: &str =
    "client_ref,defaulted,observed_on,horizon_months\nsolicitud-77,true,2026-11-23,12\n";

/// Every route.
pub fn routes(config: &Config) -> Vec<Route> {
    use Access::{Escrow, Public, Roles};
    let small = config.limits.body_bytes;
    vec![
        Route::get("/healthz", Public, status::healthz)
            .about("healthz", "The process answers", "")
            .gives_text(&["text/plain"], "`ok`."),
        Route::get("/readyz", Public, status::readyz)
            .about("readyz", "The server can do its work", "The database answers, and the server is not about to stop.")
            .gives_text(&["text/plain"], "`ready`."),
        Route::get("/.well-known/jwks.json", Public, auth::jwks)
            .about("jwks", "The public keys of access tokens", "")
            .gives::<openapi::Jwks>(200, "A JWK set (RFC 7517)."),
        Route::get("/api/server", Public, status::server)
            .about("server", "What tells this server from any other machine", "")
            .gives::<ServerInfo>(200, "Product, version, protocol and clock."),
        Route::get("/api/openapi.json", Public, openapi::serve)
            .about("openapi", "This description", "")
            .gives::<openapi::Document>(200, "OpenAPI 3.1."),
        Route::get("/api/docs", Public, docs::page)
            .about("docs", "This description as a page", "It loads nothing from elsewhere.")
            .gives_text(&["text/html"], "The page."),
        Route::get("/api/docs/{file}", Public, docs::file)
            .about("docs_file", "A file of the page", "Packed with gzip.")
            .at(FILE)
            .gives_text(&["text/javascript", "text/css"], "The file."),
        Route::post("/api/auth/sign-in", Public, auth::sign_in)
            .class(RouteClass::SignIn)
            .about(
                "sign_in",
                "Name and password for a session",
                "Wrong passwords make the next attempt wait, longer each time.",
            )
            .takes::<SignIn>(small)
            .gives::<Session>(200, "A session.")
            .refuses(&[401, 409]),
        Route::post("/api/auth/refresh", Public, auth::refresh)
            .class(RouteClass::Session)
            .about(
                "refresh",
                "A refresh token for the next session",
                "It works once; repeated within the grace time, the answer is the same again. A used one that comes \
                 later ends the session.",
            )
            .takes::<Refresh>(small)
            .gives::<Session>(200, "The next session.")
            .refuses(&[401]),
        Route::post("/api/auth/sign-out", Public, auth::sign_out)
            .class(RouteClass::Session)
            .about("sign_out", "End a session", "The answer is the same whether there was one.")
            .takes::<Refresh>(small)
            .gives_nothing(204, "There is no such session any more."),
        Route::post("/api/web/sign-in", Public, web::sign_in)
            .class(RouteClass::SignIn)
            .about(
                "web_sign_in",
                "Name and password for a session of a page",
                "For pages of this server's own origin, which their browser says by itself. The tokens are in cookies that no script can read.",
            )
            .takes::<WebSignIn>(small)
            .gives::<WebSession>(200, "A session.")
            .header("Set-Cookie", "The session.")
            .refuses(&[400, 401]),
        Route::post("/api/web/refresh", Public, web::refresh)
            .class(RouteClass::Session)
            .about("web_refresh", "The next session, for the cookie of this one", "As for a refresh token, it works once.")
            .gives::<WebSession>(200, "The next session.")
            .header("Set-Cookie", "The session.")
            .refuses(&[400, 401]),
        Route::get("/api/web/session", Roles(PEOPLE), web::current)
            .about("web_session", "The session of this page", "For a page that was loaded anew; who comes with a token has none.")
            .gives::<WebSession>(200, "The session.")
            .refuses(&[404]),
        Route::post("/api/web/sign-out", Public, web::sign_out)
            .class(RouteClass::Session)
            .about("web_sign_out", "End the session of this page", "The answer is the same whether there was one.")
            .gives_nothing(204, "There is no such session any more.")
            .header("Set-Cookie", "No session.")
            .refuses(&[400]),
        Route::post("/api/auth/token", Public, services::token)
            .class(RouteClass::SignIn)
            .about(
                "token",
                "A system's name and secret for an access token",
                "The client credentials grant of OAuth 2.0 (RFC 6749). Name and secret may also come as `Authorization: \
                 Basic`. Refusals say in `error` what that page calls them.",
            )
            .takes_form::<TokenRequest>(small)
            .gives::<IssuedToken>(200, "A token.")
            .refuses(&[401]),
        Route::post("/api/auth/password", Roles(PEOPLE), people::change_password)
            .class(RouteClass::SignIn)
            .about("change_password", "Another password for oneself", "All of one's sessions end.")
            .takes::<ChangePassword>(small)
            .gives_nothing(204, "It holds from now on.")
            .refuses(&[409]),
        Route::post("/api/setup", Public, people::set_up)
            .class(RouteClass::SignIn)
            .about(
                "set_up",
                "Make the first administrator",
                "With a token that works once, from `vereda-server setup-token`. Nobody else is there yet.",
            )
            .takes::<SetUp>(small)
            .gives::<Person>(201, "The administrator, who signs in now.")
            .refuses(&[401, 409]),
        Route::get("/api/users", Roles(ADMIN), people::list)
            .about("users", "Everybody, by user name", "Services are at `/api/services`.")
            .lists::<Person>("The people."),
        Route::post("/api/users", Roles(ADMIN), people::add)
            .about("add_user", "Add somebody", "")
            .takes::<AddUser>(small)
            .gives::<Person>(201, "They can sign in.")
            .refuses(&[409]),
        Route::post("/api/users/{id}", Roles(ADMIN), people::change)
            .about(
                "change_user",
                "Disable, enable or rename somebody, or set their password",
                "Also a service, which has no password. Role and branch stay: what somebody captured belongs there. \
                 The last administrator is not disabled.",
            )
            .at(ID)
            .takes::<UserChange>(small)
            .gives::<Person>(200, "As they are now.")
            .refuses(&[409]),
        Route::get("/api/branches", Roles(ADMIN), people::branches)
            .about("branches", "Every branch, by name", "")
            .lists::<BranchInfo>("The branches."),
        Route::post("/api/branches", Roles(ADMIN), people::add_branch)
            .about("add_branch", "Add a branch", "")
            .takes::<NamedBranch>(small)
            .gives::<BranchInfo>(201, "It is there.")
            .refuses(&[409]),
        Route::post("/api/branches/{id}", Roles(ADMIN), people::rename_branch)
            .about("rename_branch", "Give a branch another name", "")
            .at(ID)
            .takes::<NamedBranch>(small)
            .gives::<BranchInfo>(200, "As it is now.")
            .refuses(&[409]),
        Route::get("/api/services", Roles(ADMIN), services::list)
            .about("services", "Every other system, by user name", "")
            .lists::<ServiceAccount>("The systems."),
        Route::post("/api/services", Roles(ADMIN), services::add)
            .about("add_service", "Add another system", "It gets tokens with a secret.")
            .takes::<AddService>(small)
            .gives::<ServiceAccount>(201, "It is there.")
            .refuses(&[409]),
        Route::post("/api/services/{id}/scopes", Roles(ADMIN), services::grant)
            .about("grant_scopes", "Say what a system may do", "It holds at once, for tokens of before, too.")
            .at(ID)
            .takes::<GrantScopes>(small)
            .gives::<ServiceAccount>(200, "As it is now."),
        Route::post("/api/services/{id}/secrets", Roles(ADMIN), services::issue)
            .about(
                "issue_secret",
                "Make a secret for a system",
                "It is shown this once. Two hold at a time, so that one can follow the other without a gap.",
            )
            .at(ID)
            .gives::<IssuedSecret>(201, "The secret.")
            .refuses(&[409]),
        Route::post("/api/services/{id}/secrets/{secret}/revoke", Roles(ADMIN), services::revoke)
            .about("revoke_secret", "End a secret", "Tokens that were made with it hold until they end.")
            .at(ID)
            .at(SECRET)
            .gives_nothing(204, "It holds no more."),
        Route::get("/api/audit", Roles(ADMIN), audit::list)
            .class(RouteClass::Read)
            .about(
                "audit",
                "Who did what, oldest first",
                "Each entry names the SHA-256 of the one before, of its bytes as they stand here.",
            )
            .query(audit::PAGES)
            .gives::<AuditPage>(200, "Some of it."),
        Route::get("/api/sync/head", Escrow(DEVICES), sync::head)
            .class(RouteClass::Sync)
            .about("sync_head", "The end of the device's chain", "")
            .gives::<ChainHead>(200, "Its place and hash."),
        Route::post("/api/sync/push", Escrow(DEVICES), sync::push)
            .class(RouteClass::Sync)
            .about(
                "sync_push",
                "Take events in",
                "In the order of the chain. The body may be packed with zstd (`Content-Encoding: zstd`).",
            )
            .takes::<Push>(MAX_PUSH_BYTES)
            .gives::<Pushed>(200, "What became of each, and a receipt.")
            .refuses(&[409]),
        Route::get("/api/sync/pull", Roles(FIELD), sync::pull)
            .class(RouteClass::Sync)
            .about("sync_pull", "Records that changed past a cursor", "")
            .query(sync::WANTED)
            .gives::<Pulled>(200, "A page of changes."),
        Route::get("/api/sync/status", Roles(DEVICES), sync::status)
            .class(RouteClass::Sync)
            .by_ticket()
            .about("sync_status", "Whether anything is new", "A session's `ticket` is enough, as `Authorization: Ticket ...`.")
            .query(sync::HAS)
            .gives_nothing(204, "Nothing is.")
            .header(SERVER_MS, "The server's clock, in milliseconds since 1970.")
            .gives::<SyncStatus>(200, "What the server has."),
        Route::get("/api/sync/quarantined", Roles(FIELD), sync::quarantined)
            .class(RouteClass::Sync)
            .about("sync_quarantined", "Events that a person must look at", "Latest first.")
            .query(sync::AT_MOST)
            .lists::<Quarantined>("The events."),
        Route::post("/api/sync/fork", Escrow(DEVICES), auth::fork)
            .class(RouteClass::Sync)
            .about(
                "sync_fork",
                "A session for a device that was set back to a backup",
                "It goes on under a new identity; the chain that forked stays as it is.",
            )
            .takes::<DeviceInfo>(small)
            .gives::<Session>(200, "A session of the new device.")
            .refuses(&[409]),
        Route::get("/api/clients/{client}/files/{sha256}", Roles(FIELD), files::file)
            .class(RouteClass::Sync)
            .about("file", "A file of a client", "A picture or a signature, once all of it has come.")
            .at(CLIENT)
            .at(SHA256)
            .gives_text(&["image/jpeg", "image/png"], "Its bytes."),
        Route::post("/api/clients/{client}/files/{sha256}", Escrow(DELIVERERS), files::piece)
            .class(RouteClass::Sync)
            .about(
                "send_file",
                "Take a piece of a file",
                "One that does not begin where the file ends changes nothing: the answer says where to go on.",
            )
            .at(CLIENT)
            .at(SHA256)
            .needs(&[files::FROM])
            .takes_bytes(CHUNK_BYTES)
            .gives::<FileStatus>(200, "How much of it is here."),
        Route::get("/api/clients/{client}/files/{sha256}/status", Escrow(DELIVERERS), files::status)
            .class(RouteClass::Sync)
            .about("file_status", "How much of a file is here", "")
            .at(CLIENT)
            .at(SHA256)
            .gives::<FileStatus>(200, "How much of it is here."),
        Route::get("/api/clients/{client}/data", Roles(OVERSIGHT), erasure::data)
            .about(
                "client_data",
                "All that is kept about a client",
                "For whoever asks what is kept about them. That it was brought out is in the audit log.",
            )
            .at(CLIENT)
            .gives::<ClientData>(200, "Everything but the bytes of files."),
        Route::post("/api/clients/{client}/erase", Roles(OVERSIGHT), erasure::erase)
            .about(
                "erase_client",
                "Erase what is kept about a client",
                "At once for everybody who asks here; devices hear of it when they sync next. Scores stay without the \
                 client, and events without their text. It cannot be undone. Repeated, the answer says how far it is.",
            )
            .at(CLIENT)
            .gives::<Erasure>(200, "They are erased."),
        Route::get("/api/erasures", Roles(OVERSIGHT), erasure::list)
            .about("erasures", "Whose data was erased, latest first", "")
            .query(erasure::AT_MOST)
            .lists::<Erasure>("The erasures."),
        Route::post("/api/history/forget-client-ref", Roles(ADMIN), erasure::forget_client_ref)
            .about(
                "forget_client_ref",
                "Take a client off the scores that a service asked for",
                "The scores stay, and cannot be told from others any more.",
            )
            .takes::<ForgetClientRef>(small)
            .gives::<ForgottenClientRef>(200, "How many there were."),
        Route::get("/api/devices", Roles(OVERSIGHT), devices::list)
            .about("devices", "Every device that the caller sees to", "")
            .lists::<Device>("The devices."),
        Route::post("/api/devices/{id}/revoke", Roles(OVERSIGHT), devices::revoke)
            .about("revoke_device", "End a device's access", "What was captured on it is still taken in.")
            .at(ID)
            .gives_nothing(204, "It is revoked."),
        Route::get("/api/models", Roles(EVERYBODY), models::list)
            .about("models", "Every published version, newest first", "")
            .lists::<ModelManifest>("The versions."),
        Route::post("/api/models", Roles(&[(Role::Analyst, Any)]), models::publish)
            .about(
                "publish_model",
                "Publish a bundle",
                "Its version must be above the newest. The body may be packed with zstd (`Content-Encoding: zstd`).",
            )
            .takes::<openapi::Bundle>(config.limits.bundle_bytes)
            .gives::<ModelManifest>(201, "It is published.")
            .gives::<ModelManifest>(200, "The same bytes were published before.")
            .refuses(&[409]),
        Route::get("/api/models/current", Roles(EVERYBODY), models::current)
            .class(RouteClass::Sync)
            .about("current_model", "The newest version", "")
            .gives::<ModelManifest>(200, "The version.")
            .gives_nothing(304, "The caller has it (`If-None-Match`).")
            .header("ETag", "SHA-256 of the bundle, quoted.")
            .refuses(&[404]),
        Route::get("/api/models/{version}/bundle", Roles(EVERYBODY), models::bundle)
            .class(RouteClass::Sync)
            .about("model_bundle", "One version's bytes, exactly as published", "")
            .at(VERSION)
            .gives::<openapi::Bundle>(200, "The bundle.")
            .gives_nothing(304, "The caller has it (`If-None-Match`).")
            .header("ETag", "SHA-256 of the bundle, quoted."),
        Route::get("/api/models/{version}/performance", Roles(WATCH), insight::performance)
            .about("model_performance", "How a model's PDs came true", "Of scores whose horizon has passed as a whole.")
            .at(VERSION)
            .query(insight::SPAN)
            .gives::<Performance>(200, "Figures in all, by group, month and branch."),
        Route::get("/api/models/{version}/drift", Roles(WATCH_ALL), insight::drift)
            .about(
                "model_drift",
                "How far those who are scored have moved from those that the model was trained on",
                "",
            )
            .at(VERSION)
            .query(insight::WINDOWS)
            .gives::<ModelDrift>(200, "PSI by window, of the whole institution."),
        Route::get("/api/models/{version}/overrides", Roles(WATCH), insight::overrides)
            .about("model_overrides", "How often people decided against the suggestion, and how that turned out", "")
            .at(VERSION)
            .query(insight::SPAN)
            .gives::<Overrides>(200, "Rates and outcomes by group and decision."),
        Route::post("/api/predict", Roles(SYSTEMS), predict::predict)
            .class(RouteClass::Score)
            .about(
                "predict",
                "Ask for a score",
                "By the newest model. It is in the history before it is answered. `features` are the answers that the \
                 model asks for: `schema.features` of its bundle.",
            )
            .scope(Scope::Predict)
            .takes::<Predict>(small)
            .gives::<Prediction>(200, "The score.")
            .refuses(&[404]),
        Route::post("/api/predict/batch", Roles(SYSTEMS), predict::batch)
            .class(RouteClass::Score)
            .about(
                "predict_batch",
                "Ask for many scores",
                "Any number of rows, each at most 64 KiB, answered in order as soon as each is stored. A CSV's header \
                 names the features and perhaps `client_ref`. A stream without `done` broke off.",
            )
            .scope(Scope::Predict)
            .takes_rows::<Predict>(PREDICT_NDJSON, PREDICT_CSV)
            .streams::<PredictedRow, RowsDone>("A line for each row, and `done` at the end.")
            .refuses(&[404]),
        Route::post("/api/outcomes", Roles(REPORTERS), outcomes::take)
            .about(
                "report_outcomes",
                "Report what came of scores",
                "One as JSON, or any number of rows. The first outcome of a score and horizon is kept.",
            )
            .scope(Scope::OutcomesWrite)
            .takes::<ObservedOutcome>(small)
            .takes_rows::<ObservedOutcome>(OUTCOME_NDJSON, OUTCOME_CSV)
            .gives::<OutcomeTaken>(200, "What was done; for rows a line for each, and `done` at the end.")
            .streams::<RowResult<OutcomeTaken>, RowsDone>("")
            .refuses(&[409]),
        Route::get("/api/history", Roles(READERS), history::list)
            .about("history", "Scores, a page at a time", "")
            .scope(Scope::HistoryRead)
            .query(history::FILTERS)
            .query(history::PAGES)
            .gives::<HistoryPage>(200, "A page.")
            .refuses(&[404]),
        Route::get("/api/history/export", Roles(READERS), export::export)
            .about("export_history", "All scores that a search finds", "A broken export ends without its last chunk.")
            .scope(Scope::HistoryRead)
            .query(history::FILTERS)
            .needs(&[export::FORMAT])
            .gives_text(&["text/csv", export::PARQUET], "The scores.")
            .refuses(&[404]),
        Route::get("/api/history/{id}", Roles(READERS), history::one)
            .about("history_entry", "One score", "")
            .scope(Scope::HistoryRead)
            .at(ID)
            .gives::<HistoryEntry>(200, "The score."),
    ]
}
