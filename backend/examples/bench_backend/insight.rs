//! How long performance, drift and overrides of a model take when ten million assessments were counted, on
//! PostgreSQL.
//!
//! They are answered from sums, which the server keeps as scores come, and never from the history. So the
//! sums are made, by SQL, as that many assessments would have left them; the history itself is not.

use crate::people::{Applicants, PASSWORD};
use crate::predict;
use crate::process::load;
use crate::program::Program;
use crate::{Failure, Options, Table, median};
use reqwest::Client;
use std::fmt::Write as _;
use std::time::Instant;
use tokio_postgres::NoTls;
use vereda_domain::api::{AddUser, Role};
use vereda_server::identity::people::People;
use vereda_server::identity::tokens::Grant;
use vereda_server::{Config, server};
use vereda_services::Postgres;

/// Assessments by day that are scored by the server; their counts stand for ten times as many on each of
/// [`DAYS`]: 10,000,000.
const SCORED: usize = 1370;
const DAYS: u32 = 730;
/// Branches that the assessments are spread over.
const BRANCHES: u32 = 50;
/// How often each is asked for.
const ASKED: usize = 11;

/// Every day of two years as the one that was counted, ten times.
const DRIFT: &str = "INSERT INTO drift_counts SELECT model_version, day - n, feature, bin, scores * 10 \
    FROM drift_counts CROSS JOIN generate_series(1, $1::bigint - 1) AS n";
/// The day that was counted.
const TODAY: &str = "UPDATE drift_counts SET scores = scores * 10 \
    WHERE day = (SELECT max(day) FROM drift_counts)";

/// Ten million decisions and as many outcomes after 12 months: log-odds about -1.2, some defaults, one decision
/// in twelve against the suggestion, as `insight/count.rs` adds them up.
const CASES: &str = "
    WITH drawn AS MATERIALIZED (
      SELECT n, -1.2 + 1.1 * (random() + random() + random() + random() - 2) * sqrt(3) AS odds, random() AS luck
      FROM generate_series(1, 10000000) AS n
    ), scored AS (
      SELECT 24300 + n % 24 AS month, n % $1::integer AS branch, odds, luck < 1 / (1 + exp(-odds)) AS defaulted,
        1 / (1 + exp(-odds)) AS pd, n % 12 = 0 AS overridden FROM drawn
    ), cases AS (
      SELECT *, width_bucket(pd, ARRAY[0.03, 0.07, 0.13, 0.22, 0.34, 0.48, 0.65]) AS risk_group,
        CASE WHEN (pd < 0.22) <> overridden THEN 'approve' ELSE 'refuse' END AS decision FROM scored
    )
    INSERT INTO case_counts
    SELECT 2, horizon, month, lpad(to_hex(branch + 1), 32, '0')::uuid, risk_group,
      CASE horizon WHEN 0 THEN 0 ELSE floor(odds * 64)::integer END AS bin, decision, overridden,
      horizon > 0 AND defaulted AS late, count(*), sum(round(pd * 1e9))::bigint,
      CASE horizon WHEN 0 THEN 0 ELSE sum(round((defaulted::integer - pd) ^ 2 * 1e9))::bigint END
    FROM cases CROSS JOIN (VALUES (0), (12)) AS h(horizon)
    GROUP BY horizon, month, branch, risk_group, bin, decision, overridden, late";

/// Measures, and prints.
pub async fn measure(options: &Options) -> Result<(), Failure> {
    let postgres = Postgres::start()?;
    let data = options.work.join("insight");
    std::fs::create_dir_all(&data)?;
    let mut config = Config { data_dir: data.clone(), ..Config::default() };
    config.database.url = postgres.url();
    let account = predict::fill(config.clone()).await?;
    let app = server::open(config).await?;
    let people = People::new(app.store.clone(), app.passwords.clone());
    let analyst = AddUser {
        username: "analyst".into(),
        name: "Analyst".into(),
        password: PASSWORD.into(),
        role: Role::Analyst,
        branch: None,
    };
    let (sub, role) = (people.add_user(analyst).await?.id, Role::Analyst);
    let token = app.tokens.issue(Grant::new(sub, role, None))?;

    let server = Program::server_on(&options.server, &data, &postgres.url())?;
    let mut applicants = Applicants::new(6)?;
    let mut rows = String::new();
    for _ in 0..SCORED {
        let features = serde_json::to_string(&applicants.answers())?;
        writeln!(rows, "{{\"features\":{features}}}")?;
    }
    let http = Client::new();
    let scored = http.post(server.url("/api/predict/batch")).bearer_auth(account.token(&server).await?);
    let scored = scored.header("content-type", "application/x-ndjson").body(rows).send().await?;
    scored.error_for_status()?.bytes().await?;
    while app.insight.catch_up().await? > 0 {}

    let (client, connection) = tokio_postgres::connect(&postgres.url(), NoTls).await?;
    let connection = tokio::spawn(connection);
    client.execute(DRIFT, &[&i64::from(DAYS)]).await?;
    client.execute(TODAY, &[]).await?;
    client.execute(CASES, &[&i32::try_from(BRANCHES)?]).await?;
    client.batch_execute("VACUUM ANALYZE").await?;
    let sum = "SELECT (SELECT sum(scores)::bigint FROM drift_counts WHERE feature = ''), \
               (SELECT sum(scores)::bigint FROM case_counts WHERE horizon_months = 12), \
               (SELECT count(*) FROM drift_counts) + (SELECT count(*) FROM case_counts)";
    let sums = client.query_one(sum, &[]).await?;
    let [drift, cases, rows]: [i64; 3] = [sums.get(0), sums.get(1), sums.get(2)];
    println!("\nPostgreSQL: {drift} assessments in the sums of drift, {cases} with outcomes, in {rows} rows");

    let table = Table::new(&["what", "measured", "load", "goal"]);
    for what in ["performance", "drift", "overrides"] {
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..ASKED {
            let begun = Instant::now();
            let asked = http.get(server.url(&format!("/api/models/2/{what}"))).bearer_auth(&token);
            bytes = asked.send().await?.error_for_status()?.bytes().await?.len();
            times.push(begun.elapsed().as_secs_f64());
        }
        let slowest = times.iter().copied().fold(0.0, f64::max);
        let measured = format!("{:.3} s, {slowest:.3} s at most; {bytes} bytes", median(times));
        table.row(&[what, &measured, &load(), "2 s"]);
    }
    drop(client);
    connection.await??;
    Ok(())
}
