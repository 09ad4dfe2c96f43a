//! The branch's assessments as a list to go through.

use super::id;
use super::meta::People;
use super::portfolio::{MAX_WINDOW, decision, group};
use crate::error::Result;
use rusqlite::Connection;
use rusqlite::types::Value;
use vereda_domain::Millis;
use vereda_domain::gateway::{ReviewPage, ReviewRequest, ReviewRow};

/// A window of assessments, latest first.
pub(crate) fn page(db: &Connection, request: &ReviewRequest, now: Millis) -> Result<ReviewPage> {
    let mut conditions = vec!["1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut with = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(format!("{condition} ?{}", values.len()));
    };
    if let Some(group) = request.group {
        with("a.risk_group =", Value::Integer(group.index() as i64));
    }
    if let Some(officer) = request.officer {
        with("a.officer =", Value::Text(officer.to_string()));
    }
    if let Some(days) = request.max_age_days {
        with("a.at >=", Value::Integer(now - i64::from(days) * 24 * 3_600_000));
    }
    if request.undecided {
        with("a.rank IS NOT", Value::Text("manager".into()));
    }
    if request.mismatch {
        conditions.push("a.mismatch".into());
    }
    if request.overridden {
        conditions.push("a.overridden".into());
    }
    let conditions = conditions.join(" AND ");

    let count = format!("SELECT count(*) FROM assessments a WHERE {conditions}");
    let total = db
        .prepare_cached(&count)?
        .query_row(rusqlite::params_from_iter(&values), |row| row.get::<_, u32>(0))?;
    let window = format!(
        "SELECT a.id, a.client, coalesce(c.name, ''), a.officer, a.at, a.risk_group, a.probability,
                a.model_version, a.decision, a.rank, a.overridden, a.mismatch,
                EXISTS (SELECT 1 FROM events e WHERE e.record = 'assessment/' || a.id AND e.status = 0)
         FROM assessments a LEFT JOIN clients c ON c.id = a.client
         WHERE {conditions} ORDER BY a.at DESC, a.id DESC LIMIT {} OFFSET {}",
        request.limit.min(MAX_WINDOW),
        request.offset
    );
    let people = People::load(db)?;
    let mut statement = db.prepare_cached(&window)?;
    let mut found = statement.query(rusqlite::params_from_iter(&values))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let rank: Option<String> = row.get(9)?;
        rows.push(ReviewRow {
            assessment: id(&row.get::<_, String>(0)?)?,
            client: id(&row.get::<_, String>(1)?)?,
            client_name: row.get(2)?,
            officer: people.name(&row.get::<_, String>(3)?),
            at: row.get(4)?,
            group: group(row.get(5)?)?,
            probability: row.get(6)?,
            model_version: row.get(7)?,
            decision: decision(row.get(8)?)?,
            rank: rank.map(|rank| serde_json::from_value(rank.into())).transpose()?,
            overridden: row.get(10)?,
            mismatch: row.get(11)?,
            waiting: row.get(12)?,
        });
    }

    let mut statement = db.prepare_cached("SELECT DISTINCT officer FROM assessments")?;
    let mut found = statement.query([])?;
    let mut officers = Vec::new();
    while let Some(row) = found.next()? {
        let officer: String = row.get(0)?;
        officers.push((id(&officer)?, people.name(&officer)));
    }
    officers.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(ReviewPage { total, rows, officers })
}
