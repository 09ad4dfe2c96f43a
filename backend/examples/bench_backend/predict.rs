//! Scores over HTTP, by turns with FastAPI and XGBoost.

use crate::program::Program;
use crate::wrk::{self, Turn};
use crate::{Failure, Options, Table, bundle, median};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::path::Path;
use vereda_domain::api::{AddService, IssuedToken, Scope};
use vereda_server::identity::people::People;
use vereda_server::store::sqlite::SqliteStore;
use vereda_server::{Config, server};

/// PDs of XGBoost are f32, ours of the same margins f64.
const TOLERANCE: f64 = 1e-6;
/// How long each contestant is asked before anything counts, in seconds.
const WARM_S: u32 = 3;

/// A system that may ask for scores.
pub struct Account {
    client_id: String,
    client_secret: String,
}

impl Account {
    /// A token, by the same door as in real use.
    pub async fn token(&self, server: &Program) -> Result<String, Failure> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
        ];
        let answer = Client::new().post(server.url("/api/auth/token")).form(&form).send().await?;
        Ok(answer.error_for_status()?.json::<IssuedToken>().await?.access_token)
    }
}

/// Gives a new server the model and a system.
pub async fn fill(config: Config) -> Result<Account, Failure> {
    std::fs::create_dir_all(&config.data_dir)?;
    let app = server::open(config).await?;
    app.models.publish(bundle()?, "bench").await.map_err(|error| format!("{error:?}"))?;
    let people = People::new(app.store.clone(), app.passwords.clone());
    let new = AddService {
        username: "core-banking".into(),
        name: "Core banking".into(),
        scopes: vec![Scope::Predict],
        branch: None,
    };
    let secret = people.issue_secret(people.add_service(new).await?.id).await?;
    Ok(Account { client_id: secret.client_id, client_secret: secret.client_secret })
}

/// Lets a database drop every score: SQLite leaves out the row, and a commit without a change writes
/// nothing. No setting of the server does that; it does not know.
fn forget(folder: &Path) -> Result<(), Failure> {
    let database = rusqlite::Connection::open(SqliteStore::file_in(folder))?;
    for table in ["history", "uncounted"] {
        database.execute_batch(&format!(
            "CREATE TRIGGER bench_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END"
        ))?;
    }
    Ok(())
}

async fn probability(request: RequestBuilder, inputs: &Value) -> Result<f64, Failure> {
    let answer = request.json(&json!({ "features": inputs })).send().await?.error_for_status()?;
    let answer: Value = answer.json().await?;
    Ok(answer.get("probability").and_then(Value::as_f64).ok_or("an answer without a PD")?)
}

/// Whether both say the same about the golden applicants; the largest difference.
async fn compare(ours: &Program, token: &str, theirs: &Program) -> Result<(usize, f64), Failure> {
    let bundle: Value = serde_json::from_slice(&bundle()?)?;
    let golden = bundle.get("golden").and_then(Value::as_array).ok_or("a bundle without golden vectors")?;
    let (http, mut largest) = (Client::new(), 0.0_f64);
    for one in golden {
        let inputs = one.get("inputs").ok_or("a golden vector without inputs")?;
        let ask = |program: &Program| http.post(program.url("/api/predict"));
        let our = probability(ask(ours).bearer_auth(token), inputs).await?;
        let their = probability(ask(theirs), inputs).await?;
        largest = largest.max((our - their).abs());
    }
    if largest > TOLERANCE {
        return Err(format!("the PDs differ by {largest:e}: it is not the same model").into());
    }
    Ok((golden.len(), largest))
}

/// Who is asked.
struct Contestant {
    name: &'static str,
    program: Program,
    account: Option<Account>,
    turns: Vec<Turn>,
}

impl Contestant {
    /// One more turn; the tokens of services do not live long.
    async fn turn(&mut self, options: &Options, seed: u32, seconds: u32) -> Result<Turn, Failure> {
        let token = match &self.account {
            Some(account) => Some(account.token(&self.program).await?),
            None => None,
        };
        wrk::turn(options, &self.program, token.as_deref(), seed, seconds)
    }

    fn middle(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().map(of).collect())
    }
}

/// Measures, and prints.
pub async fn measure(options: &Options) -> Result<(), Failure> {
    let (stored, dropped) = (options.work.join("stored"), options.work.join("dropped"));
    let config = |folder: &Path| Config { data_dir: folder.to_owned(), ..Config::default() };
    let (account, careless) = (fill(config(&stored)).await?, fill(config(&dropped)).await?);
    forget(&dropped)?;
    let contestant = |name, program, account| Contestant { name, program, account, turns: Vec::new() };
    let mut all = [
        contestant(
            "Vereda, each score in its history",
            Program::server(&options.server, &stored)?,
            Some(account),
        ),
        contestant(
            "Vereda, its database drops the score",
            Program::server(&options.server, &dropped)?,
            Some(careless),
        ),
        contestant("FastAPI with XGBoost", Program::fastapi(&options.gunicorn, &options.booster)?, None),
        contestant("axum, always the same bytes", Program::constant()?, None),
    ];
    let [ours, _, theirs, _] = &all;
    let token = ours.account.as_ref().ok_or("no account")?.token(&ours.program).await?;
    let (golden, largest) = compare(&ours.program, &token, &theirs.program).await?;
    println!(
        "PDs of {golden} applicants by both servers: they differ by {largest:.1e} at most ({TOLERANCE:e} is allowed)"
    );

    let table = Table::new(&["turn", "who", "requests/s", "p50", "p99", "CPU a request", "load"]);
    let mut seed = 0;
    for turn in 0..=options.turns {
        for contestant in &mut all {
            seed += 1;
            if turn == 0 {
                contestant.turn(options, seed, WARM_S).await?;
                continue;
            }
            let one = contestant.turn(options, seed, options.seconds).await?;
            print(
                &table,
                &turn.to_string(),
                contestant.name,
                [one.rate, one.p50, one.p99, one.cpu],
                &one.load,
            );
            contestant.turns.push(one);
        }
    }
    for one in &all {
        let figures =
            [one.middle(|t| t.rate), one.middle(|t| t.p50), one.middle(|t| t.p99), one.middle(|t| t.cpu)];
        print(&table, "median", one.name, figures, "");
    }
    let [stored, dropped, theirs, constant] = &all;
    let table = Table::new(&["what", "measured", "goal"]);
    let ratio = |one: &Contestant| format!("{:.1} x", one.middle(|t| t.rate) / theirs.middle(|t| t.rate));
    let (p99, p50) = (stored.middle(|t| t.p99), theirs.middle(|t| t.p50));
    table.row(&["requests/s, each score durable, against FastAPI's", &ratio(stored), "8 x"]);
    table.row(&["its p99 against FastAPI's p50", &format!("{p99:.1} ms, {p50:.1} ms"), "below"]);
    table.row(&["requests/s without storage, against FastAPI's", &ratio(dropped), "15 x"]);
    table.row(&["requests/s that HTTP alone allows here, against FastAPI's", &ratio(constant), ""]);
    Ok(())
}

fn print(table: &Table, turn: &str, who: &str, [rate, p50, p99, cpu]: [f64; 4], load: &str) {
    let cells =
        [&format!("{rate:.0}"), &format!("{p50:.2} ms"), &format!("{p99:.2} ms"), &format!("{cpu:.0} us")];
    table.row(&[turn, who, cells[0], cells[1], cells[2], cells[3], load]);
}
