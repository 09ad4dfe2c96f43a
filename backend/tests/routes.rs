//! Every route, from the description of the API: who may call it, how far each role reaches, and that
//! the description is the one that is checked in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use reqwest::{Method, Response};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use uuid::Uuid;
use vereda_domain::BranchId;
use vereda_domain::api::{IssuedToken, Prediction, ProblemCode, Scope};
use vereda_domain::attachment::{Attachment, FileInfo, MediaType};
use vereda_domain::event::{EventBody, Hash};
use vereda_server::Config;
use vereda_server::clock::{now_ms, rfc3339};
use vereda_server::http::document;

const BYTES: &str = "application/octet-stream";

/// One method of one path.
struct Operation {
    method: Method,
    path: String,
    json: Json,
}

impl Operation {
    fn all(document: &Json) -> Vec<Operation> {
        let paths = document["paths"].as_object().unwrap();
        let of_path = |(path, item): (&String, &Json)| -> Vec<Operation> {
            let operations = item.as_object().unwrap().iter().map(|(method, json)| Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                json: json.clone(),
            });
            operations.collect()
        };
        paths.iter().flat_map(of_path).collect()
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn is_public(&self) -> bool {
        self.json["security"] == json!([])
    }

    /// How far a role reaches, if it may call at all.
    fn reach(&self, role: &str) -> Option<&str> {
        self.json["x-roles"].get(role).map(|reach| reach.as_str().unwrap())
    }

    fn takes(&self, parameter: &str) -> bool {
        let parameters = self.json["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|one| one["name"] == parameter))
    }

    /// Whether a request can name something that belongs to a branch.
    fn names_something(&self) -> bool {
        self.path.contains("{id}")
            || self.path.contains("{client}")
            || self.takes("branch")
            || self.json["operationId"] == "report_outcomes"
    }

    async fn send(&self, caller: &Caller<'_>, what: Option<&Portfolio>) -> Response {
        let mut path = self.path.replace("{version}", "1").replace("{file}", "start.js");
        if let Some(what) = what {
            path = match &self.path {
                of if of.starts_with("/api/history/") => path.replace("{id}", &what.assessment),
                of if of.starts_with("/api/devices/") => path.replace("{id}", &what.device),
                _ => path.replace("{client}", &what.client).replace("{sha256}", &what.sha256),
            };
            if self.takes("branch") {
                path = format!("{path}?branch={}", what.branch);
            }
        }
        let nothing = Uuid::nil().to_string();
        for name in ["{id}", "{client}", "{secret}"] {
            path = path.replace(name, &nothing);
        }
        path = path.replace("{sha256}", &Hash::ZERO.to_string());
        assert!(!path.contains('{'), "say here what the parameters of {} stand for", self.path);
        if self.takes("from") && self.method == Method::POST {
            path = format!("{path}?from=0");
        }
        if self.takes("format") {
            path = format!("{path}{}format=csv", if path.contains('?') { '&' } else { '?' });
        }
        let today = &rfc3339(now_ms())[..10];
        let body = match (self.json["operationId"].as_str().unwrap(), what) {
            ("predict", _) => json!({ "features": inputs() }),
            ("report_outcomes", Some(what)) => json!({
                "assessment": what.assessment, "defaulted": true, "observed_on": today, "horizon_months": 12
            }),
            _ => json!({}),
        };
        let taken = self.json["requestBody"]["content"].as_object();
        let media = match taken {
            Some(content) if content.contains_key(BYTES) => BYTES,
            Some(content) if !content.contains_key("application/json") => "application/x-ndjson",
            _ => "application/json",
        };
        let mut request = caller.request(self.method.clone(), &path);
        if self.method == Method::POST {
            request = request.header("content-type", media).body(body.to_string());
        }
        request.send().await.unwrap()
    }
}

/// What one person, or one system, did.
struct Portfolio {
    owner: &'static str,
    branch: String,
    device: String,
    client: String,
    sha256: String,
    assessment: String,
    /// What answers that show any of it hold.
    marks: BTreeSet<String>,
}

impl Portfolio {
    async fn of_officer(server: &Server, owner: &'static str, branch: BranchId) -> Portfolio {
        let mut device = server.device(owner).await;
        let client = new_client();
        let scored = assessment(client);
        let (id, secret) = (scored.id.to_string(), format!("Nadie-{owner}-Nadie"));
        let photo = format!("foto-{owner}-foto");
        let sha256 = Hash::of(photo.as_bytes());
        let bytes = photo.len() as u64;
        let file = FileInfo { sha256, bytes, media: MediaType::Jpeg, width: 1, height: 1 };
        let attached = EventBody::Attached { client, attachment: Attachment::Document(file) };
        let events = [captured(client, &secret), EventBody::Assessed(Box::new(scored)), attached];
        let events = events.map(|body| device.event(body));
        assert!(stored(&device.push(&events.each_ref()).await));
        let unknown = device.raw(json!({"type": "from_the_future"}));
        assert_eq!(device.send(&[&unknown]).await.status(), 200);
        let (client, sha256) = (client.to_string(), sha256.to_string());
        let path = format!("/api/clients/{client}/files/{sha256}?from=0");
        let request = device.caller.request(Method::POST, &path).header("content-type", BYTES);
        assert_eq!(request.body(photo.clone()).send().await.unwrap().status(), 200);
        let (branch, device) = (branch.to_string(), device.id.to_string());
        let marks = [&client, &sha256, &id, &secret, &photo, &device, &branch]
            .map(String::clone)
            .into_iter()
            .collect();
        Portfolio { owner, branch, device, client, sha256, assessment: id, marks }
    }

    async fn of_system(server: &Server, owner: &'static str, branch: Option<BranchId>) -> Portfolio {
        let name = format!("solicitud-de-{owner}-1");
        let body = json!({"features": inputs(), "client_ref": name});
        let response = server.caller(owner).await.post("/api/predict", &body).await;
        let id = response.json::<Prediction>().await.unwrap().id.to_string();
        // Without a device, and perhaps without a branch: one that nobody has.
        let (nobody, mut marks) = (Uuid::now_v7().to_string(), BTreeSet::from([id.clone(), name]));
        marks.extend(branch.map(|branch| branch.to_string()));
        let branch = branch.map_or(nobody.clone(), |branch| branch.to_string());
        let (client, sha256) = (nobody.clone(), Hash::ZERO.to_string());
        Portfolio { owner, branch, device: nobody, client, sha256, assessment: id, marks }
    }
}

/// Somebody who calls every route.
struct Tester<'s> {
    username: &'static str,
    role: &'static str,
    branch: Option<String>,
    caller: Caller<'s>,
}

impl Tester<'_> {
    fn sees(&self, reach: &str, what: &Portfolio) -> bool {
        match reach {
            "own" => self.username == what.owner,
            "branch" => self.branch.as_ref() == Some(&what.branch),
            "home" => self.branch.as_ref().is_none_or(|branch| *branch == what.branch),
            "all" => true,
            other => panic!("{other} says nothing about branches"),
        }
    }

    /// Whether what is named to an operation is found.
    fn finds(&self, operation: &Operation, reach: &str, what: &Portfolio) -> bool {
        let named = match &operation.path {
            path if path.contains("/devices/") => &what.device,
            path if path.contains("{client}") => &what.client,
            _ => &what.assessment,
        };
        let exists = what.marks.contains(named);
        if operation.takes("branch") {
            // One may search in one's own branch, whatever one then sees there.
            return reach == "all" || self.branch.as_ref() == Some(&what.branch);
        }
        exists && self.sees(reach, what)
    }
}

#[tokio::test]
async fn every_route_answers_every_role_for_the_own_and_another_branch_as_described() {
    let server = Server::with_model().await;
    let (north, south) = (server.north.id, server.south.id);
    let portfolios = [
        Portfolio::of_officer(&server, "officer", north).await,
        Portfolio::of_officer(&server, "officer2", north).await,
        Portfolio::of_officer(&server, "officer-south", south).await,
        Portfolio::of_system(&server, "service", None).await,
        Portfolio::of_system(&server, "service-south", Some(south)).await,
    ];
    let mut testers = Vec::new();
    for (username, role, branch) in USERS {
        let caller = match role.as_str() {
            "officer" | "manager" => server.device(username).await.caller,
            _ => server.caller(username).await,
        };
        let branch = branch.map(|name| if name == "Norte" { north.to_string() } else { south.to_string() });
        testers.push(Tester { username, role: role.as_str(), branch, caller });
    }
    let mut operations = Operation::all(&document(&Config::default()));
    assert!(operations.len() > 25);
    // What ends somebody's data comes after what shows it.
    operations.sort_by_key(|operation| operation.json["operationId"] == "erase_client");
    for operation in &operations {
        let name = operation.name();
        let anonymous = operation.send(&server.anonymous(), None).await;
        if operation.is_public() {
            assert!(![401, 403].contains(&anonymous.status().as_u16()), "{name}: {}", anonymous.status());
            assert!(operation.json.get("x-roles").is_none(), "{name}");
            continue;
        }
        refused(anonymous, 401, ProblemCode::Unauthenticated).await;
        let mut answers = BTreeMap::new();
        for tester in &testers {
            let who = format!("{name} by {}", tester.username);
            let Some(reach) = operation.reach(tester.role) else {
                for what in [None, Some(&portfolios[0]), Some(&portfolios[2])] {
                    let response = operation.send(&tester.caller, what).await;
                    assert_eq!(response.status(), 403, "{who}");
                    refused(response, 403, ProblemCode::Forbidden).await;
                }
                continue;
            };
            let response = operation.send(&tester.caller, None).await;
            let status = response.status();
            assert!(status != 401 && status != 403 && !status.is_server_error(), "{who}: {status}");
            let described = operation.json["responses"].get(status.as_str());
            assert!(described.is_some(), "{who}: {status} is not described");
            answers.insert(tester.username, text(response).await);
            if reach == "any" {
                continue;
            }
            let seen = portfolios.iter().filter(|what| tester.sees(reach, what));
            let seen: BTreeSet<&String> = seen.flat_map(|what| &what.marks).collect();
            let mut shown = vec![answers[tester.username].clone()];
            for what in portfolios.iter().filter(|_| operation.names_something()) {
                let response = operation.send(&tester.caller, Some(what)).await;
                let (status, of) = (response.status(), what.owner);
                if tester.finds(operation, reach, what) {
                    assert!(status.is_success(), "{who}, what {of} did: {status}");
                } else {
                    let hidden = [404, 422].contains(&status.as_u16());
                    assert!(hidden, "{who}, what {of} did: {status} {}", text(response).await);
                    continue;
                }
                shown.push(text(response).await);
            }
            for mark in portfolios.iter().flat_map(|what| &what.marks).filter(|mark| !seen.contains(mark)) {
                assert!(!shown.iter().any(|body| body.contains(mark.as_str())), "{who} shows {mark}");
            }
        }
        // What one caller is shown, everybody who reaches as far is shown: nothing is hidden by mistake.
        for what in &portfolios {
            for mark in what.marks.iter().filter(|mark| answers.values().any(|body| body.contains(*mark))) {
                for tester in &testers {
                    let reach = operation.reach(tester.role).filter(|reach| *reach != "any");
                    if reach.is_some_and(|reach| tester.sees(reach, what)) {
                        assert!(
                            answers[tester.username].contains(mark),
                            "{name} hides {mark}: {}",
                            tester.username
                        );
                    }
                }
            }
        }
    }
    for operation in &operations {
        let path = operation
            .path
            .replace("{version}", "1")
            .replace("{id}", "x")
            .replace("{file}", "x")
            .replace("{client}", "x")
            .replace("{secret}", "x")
            .replace("{sha256}", "x");
        for other in [Method::PUT, Method::DELETE, Method::PATCH] {
            let response = server.http.request(other, server.url(&path)).send().await.unwrap();
            assert!(response.headers().contains_key("allow"));
            refused(response, 405, ProblemCode::MethodNotAllowed).await;
        }
    }
}

#[tokio::test]
async fn a_system_may_do_what_its_scopes_say_and_nothing_else() {
    let server = Server::with_model().await;
    let secret = server.running.people().issue_secret(server.services["service"]).await.unwrap();
    let operations = Operation::all(&document(&Config::default()));
    let for_systems: Vec<&Operation> = operations.iter().filter(|of| of.reach("service").is_some()).collect();
    let mut scoped = BTreeSet::new();
    for scope in Scope::ALL {
        let scope = scope.as_str();
        let form = [("client_id", "service"), ("client_secret", &secret.client_secret), ("scope", scope)];
        let token: IssuedToken = server.token(&form).await.json().await.unwrap();
        let system = Caller { server: &server, token: Some(token.access_token) };
        for operation in &for_systems {
            let name = format!("{} with {scope}", operation.name());
            let needed = operation.json.get("x-scope").and_then(Json::as_str);
            let response = operation.send(&system, None).await;
            if needed.is_none_or(|needed| needed == scope) {
                assert!(![401, 403].contains(&response.status().as_u16()), "{name}: {}", response.status());
            } else {
                refused(response, 403, ProblemCode::Forbidden).await;
            }
            scoped.extend(needed.map(str::to_owned));
        }
        for operation in operations.iter().filter(|of| !of.is_public() && of.reach("service").is_none()) {
            refused(operation.send(&system, None).await, 403, ProblemCode::Forbidden).await;
        }
    }
    assert_eq!(scoped, Scope::ALL.map(|scope| scope.as_str().to_owned()).into(), "each opens something");
    // What systems write or see of scores is never open without a scope; the models are.
    let open = for_systems.iter().filter(|of| of.json.get("x-scope").is_none()).map(|of| of.path.as_str());
    assert!(open.clone().all(|path| path.starts_with("/api/models")), "{:?}", open.collect::<Vec<_>>());
}

/// A body as text; a model's bundle is no matter of branches, and other bytes show nothing.
async fn text(response: Response) -> String {
    String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned()
}

#[tokio::test]
async fn the_description_is_whole_and_is_what_is_served() {
    let server = Server::start().await;
    let served: Json = server.anonymous().get("/api/openapi.json").await.json().await.unwrap();
    assert_eq!(served, document(&server.config));
    let operations = Operation::all(&served);
    let mut names = BTreeSet::new();
    for operation in &operations {
        let name = operation.name();
        let id = operation.json["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no name"));
        assert!(names.insert(id.to_owned()), "{name}: another operation is called {id}");
        assert!(operation.json["summary"].as_str().is_some_and(|text| text.len() > 3), "{name}");
        let parameters = operation.json["parameters"].as_array().cloned().unwrap_or_default();
        let in_path = |of: &&Json| of["in"] == "path";
        let described: BTreeSet<_> = parameters
            .iter()
            .filter(in_path)
            .map(|of| format!("{{{}}}", of["name"].as_str().unwrap()))
            .collect();
        let there: BTreeSet<_> =
            operation.path.split('/').filter(|part| part.starts_with('{')).map(str::to_owned).collect();
        assert_eq!(described, there, "{name}");
        let answers = operation.json["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{name} answers nothing");
    }
    // Every reference leads somewhere.
    let mut left = vec![&served];
    while let Some(value) = left.pop() {
        match value {
            Json::Object(map) => {
                if let Some(place) = map.get("$ref").and_then(Json::as_str) {
                    let pointer = place.strip_prefix('#').unwrap();
                    assert!(served.pointer(pointer).is_some(), "{place} leads nowhere");
                }
                left.extend(map.values());
            }
            Json::Array(list) => left.extend(list),
            _ => {}
        }
    }
}

#[test]
fn the_description_is_the_one_that_is_checked_in() {
    let now = serde_json::to_string_pretty(&document(&Config::default())).unwrap();
    let kept = include_str!("../../docs/openapi.json");
    assert!(
        now.trim() == kept.trim(),
        "the API changed. Look at what changed, and renew its description with\n\n    \
         cargo run -p vereda-server -- openapi > docs/openapi.json\n"
    );
}

#[tokio::test]
async fn the_page_of_the_api_loads_nothing_from_elsewhere() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let page = anonymous.get("/api/docs").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("http"), "{policy}");
    let html = page.text().await.unwrap();
    let loads = html.split(['"']).filter(|part| part.starts_with("docs/")).map(str::to_owned);
    let loads: Vec<String> = loads.collect();
    assert_eq!(loads.len(), 3);
    assert!(!html.contains("//"), "everything is beside the page");
    for file in loads {
        let response = anonymous.get(&format!("/api/{file}")).await;
        assert_eq!(response.status(), 200, "{file}");
        let packed = response.headers().get("content-encoding").is_some_and(|value| value == "gzip");
        let bytes = response.bytes().await.unwrap();
        let mut plain = bytes.to_vec();
        if packed {
            plain.clear();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
        }
        assert!(plain.len() > 100, "{file}");
    }
    refused(anonymous.get("/api/docs/other.js").await, 404, ProblemCode::NotFound).await;
}
