//! The portfolio: windows, search, and who a new client might already be.

use super::meta::People;
use super::{id, lasts};
use crate::error::{DeviceError, Result};
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::{HashMap, HashSet};
use vereda_domain::client::{ClientField, ClientFields, compact, fold_name, phone_key};
use vereda_domain::gateway::{ClientRow, Duplicate, DuplicateReason, PortfolioPage, PortfolioRequest};
use vereda_domain::{ClientId, Decision};
use vereda_scoring::bundle::Group;

/// The most rows in one window.
pub(crate) const MAX_WINDOW: u32 = 200;
/// Fewer matches than this are sorted; for more the index by name is walked.
const SORTED_MATCHES: usize = 2000;
/// How alike two names are before the officer is asked (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.92;
/// The most candidates whose names are compared.
const MAX_CANDIDATES: usize = 5000;
/// The most likely duplicates shown.
const MAX_DUPLICATES: usize = 10;

const ROW: &str = "SELECT c.id, c.name, c.document, c.phone, c.place, c.officer, c.conflict,
    EXISTS (SELECT 1 FROM events e WHERE e.client = c.id AND e.status = 0), c.n FROM clients c";

/// A window of the portfolio, by name.
pub(crate) fn page(db: &Connection, request: &PortfolioRequest) -> Result<PortfolioPage> {
    let limit = request.limit.min(MAX_WINDOW);
    let people = People::load(db)?;
    let Some(search) = match_expression(&request.query) else {
        let total: u32 =
            db.prepare_cached("SELECT count(*) FROM clients")?.query_row([], |row| row.get(0))?;
        // The window by the index alone; the rows behind an offset are not read.
        let sql = format!(
            "{ROW} WHERE c.n IN (SELECT n FROM clients ORDER BY name_key, n LIMIT ?1 OFFSET ?2)
             ORDER BY c.name_key, c.n"
        );
        let mut statement = db.prepare_cached(&sql)?;
        let mut rows = statement.query((limit, request.offset))?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            page.push(client_row(&people, row)?);
        }
        with_last_scores(db, &mut page)?;
        return Ok(PortfolioPage { total, rows: page });
    };

    let mut statement = db.prepare_cached("SELECT rowid FROM clients_words WHERE clients_words MATCH ?1")?;
    let matches: Vec<i64> =
        statement.query_map([search], |row| row.get(0))?.collect::<std::result::Result<_, _>>()?;
    let total = u32::try_from(matches.len()).unwrap_or(u32::MAX);
    let (offset, limit) = (request.offset as usize, limit as usize);
    let window: Vec<i64> = if matches.len() <= SORTED_MATCHES {
        let mut key = db.prepare_cached("SELECT name_key FROM clients WHERE n = ?1")?;
        let mut keyed = Vec::with_capacity(matches.len());
        for n in matches {
            keyed.push((key.query_row([n], |row| row.get::<_, String>(0))?, n));
        }
        keyed.sort_unstable();
        keyed.into_iter().skip(offset).take(limit).map(|(_, n)| n).collect()
    } else {
        let matches: HashSet<i64> = matches.into_iter().collect();
        let mut by_name = db.prepare_cached("SELECT n FROM clients ORDER BY name_key, n")?;
        let mut rows = by_name.query([])?;
        let (mut seen, mut window) = (0, Vec::with_capacity(limit));
        while window.len() < limit
            && let Some(row) = rows.next()?
        {
            let n = row.get(0)?;
            if matches.contains(&n) {
                if seen >= offset {
                    window.push(n);
                }
                seen += 1;
            }
        }
        window
    };
    Ok(PortfolioPage { total, rows: rows_of(db, &people, &window)? })
}

/// What FTS5 looks for: every word as the beginning of one, in any field; or the whole as a document
/// or phone without its punctuation. `None` when there is nothing to look for.
fn match_expression(query: &str) -> Option<String> {
    let words: Vec<String> = query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{word}\"*"))
        .collect();
    if words.is_empty() {
        return None;
    }
    let mut expression = words.join(" AND ");
    let number = compact(query);
    if words.len() > 1 && number.chars().any(|c| c.is_ascii_digit()) {
        expression = format!("({expression}) OR \"{number}\"*");
    }
    Some(expression)
}

/// One client as in the list.
pub(crate) fn row(db: &Connection, people: &People, client: ClientId) -> Result<ClientRow> {
    let n: Option<i64> = db
        .prepare_cached("SELECT n FROM clients WHERE id = ?1")?
        .query_row([client.to_string()], |row| row.get(0))
        .optional()?;
    let found = rows_of(db, people, n.as_slice())?.pop();
    found.ok_or(DeviceError::NotFound("client"))
}

/// Clients as in the list, in this order.
fn rows_of(db: &Connection, people: &People, window: &[i64]) -> Result<Vec<ClientRow>> {
    let mut statement = db.prepare_cached(&format!("{ROW} WHERE c.n = ?1"))?;
    let mut found = Vec::with_capacity(window.len());
    for n in window {
        let mut rows = statement.query([n])?;
        let row = rows.next()?.ok_or(DeviceError::NotFound("client"))?;
        found.push(client_row(people, row)?);
    }
    with_last_scores(db, &mut found)?;
    Ok(found)
}

/// A row without its last score.
fn client_row(people: &People, row: &Row<'_>) -> Result<ClientRow> {
    let officer: String = row.get(5)?;
    Ok(ClientRow {
        id: id(&row.get::<_, String>(0)?)?,
        name: row.get(1)?,
        document: row.get(2)?,
        phone: row.get(3)?,
        place: row.get(4)?,
        officer: people.name(&officer),
        conflict: row.get(6)?,
        waiting: row.get(7)?,
        last: None,
    })
}

/// Puts the last score of each to them.
fn with_last_scores(db: &Connection, rows: &mut [ClientRow]) -> Result<()> {
    let clients: Vec<ClientId> = rows.iter().map(|row| row.id).collect();
    let mut last = lasts::of(db, &clients)?;
    for row in rows {
        row.last = last.remove(&row.id);
    }
    Ok(())
}

/// A stored group's index as a group.
pub(crate) fn group(index: i64) -> Result<Group> {
    usize::try_from(index)
        .ok()
        .and_then(|index| Group::ALL.get(index).copied())
        .ok_or_else(|| DeviceError::StoreDamaged("a stored group is none".into()))
}

/// A stored decision's name as a decision.
pub(crate) fn decision(name: Option<String>) -> Result<Option<Decision>> {
    Ok(name.map(|name| serde_json::from_value(serde_json::Value::String(name))).transpose()?)
}

/// Who a client with these fields might already be: the same document first, then the same phone,
/// then nearly the same name, the most alike first.
pub(crate) fn duplicates(db: &Connection, fields: &ClientFields) -> Result<Vec<Duplicate>> {
    let value = |field| fields.get(&field).map(String::as_str).unwrap_or_default();
    let mut found: Vec<(i64, DuplicateReason)> = Vec::new();
    let mut add = |n: i64, why| {
        if !found.iter().any(|(other, _)| *other == n) {
            found.push((n, why));
        }
    };
    let document = compact(value(ClientField::Document));
    if !document.is_empty() {
        for n in numbers(db, "SELECT n FROM clients WHERE document_key = ?1 LIMIT 10", &document)? {
            add(n, DuplicateReason::Document);
        }
    }
    let phone = phone_key(value(ClientField::Phone));
    if phone.len() >= 5 {
        for n in numbers(db, "SELECT n FROM clients WHERE phone_key = ?1 LIMIT 10", &phone)? {
            add(n, DuplicateReason::Phone);
        }
    }
    for n in alike(db, &fold_name(value(ClientField::Name)))? {
        add(n, DuplicateReason::Name);
    }
    found.truncate(MAX_DUPLICATES);
    let (window, why): (Vec<i64>, Vec<DuplicateReason>) = found.into_iter().unzip();
    let rows = rows_of(db, &People::load(db)?, &window)?;
    Ok(rows.into_iter().zip(why).map(|(row, why)| Duplicate { row, why }).collect())
}

/// The clients whose name is nearly this one. Only names that share the beginnings of two words (or
/// of the only one) are compared, which keeps this fast in a large branch.
fn alike(db: &Connection, name: &str) -> Result<Vec<i64>> {
    let words: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() >= 2).collect();
    let beginning = |word: &str, length: usize| {
        let beginning: String = word.chars().take(length).collect();
        format!("\"{beginning}\"*")
    };
    let mut alternatives = Vec::new();
    for (index, first) in words.iter().enumerate() {
        for second in &words[index + 1..] {
            alternatives.push(format!("({} AND {})", beginning(first, 2), beginning(second, 2)));
        }
    }
    if let [only] = words.as_slice() {
        alternatives.push(beginning(only, 4));
    }
    alternatives.truncate(15);
    if alternatives.is_empty() {
        return Ok(Vec::new());
    }
    let search = format!("name : ({})", alternatives.join(" OR "));
    let mut statement = db.prepare_cached(
        "SELECT c.n, c.name_key FROM clients_words w JOIN clients c ON c.n = w.rowid
         WHERE w.clients_words MATCH ?1 LIMIT ?2",
    )?;
    let mut rows = statement.query((search, MAX_CANDIDATES as i64))?;
    let sorted = in_order(name);
    let mut best: HashMap<i64, f64> = HashMap::new();
    while let Some(row) = rows.next()? {
        let other: String = row.get(1)?;
        // The second way finds the same names in another order.
        let likeness =
            strsim::jaro_winkler(name, &other).max(strsim::jaro_winkler(&sorted, &in_order(&other)));
        if likeness >= ALIKE {
            best.insert(row.get(0)?, likeness);
        }
    }
    let mut best: Vec<(i64, f64)> = best.into_iter().collect();
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(best.into_iter().take(MAX_DUPLICATES).map(|(n, _)| n).collect())
}

fn in_order(name: &str) -> String {
    let mut words: Vec<&str> = name.split(' ').collect();
    words.sort_unstable();
    words.join(" ")
}

fn numbers(db: &Connection, sql: &str, value: &str) -> Result<Vec<i64>> {
    let mut statement = db.prepare_cached(sql)?;
    Ok(statement.query_map([value], |row| row.get(0))?.collect::<std::result::Result<_, _>>()?)
}

/// A client's name for lists; empty when the client is not here any more.
pub(crate) fn name(db: &Connection, client: ClientId) -> Result<String> {
    let name: Option<String> = db
        .prepare_cached("SELECT name FROM clients WHERE id = ?1")?
        .query_row([client.to_string()], |row| row.get(0))
        .optional()?;
    Ok(name.unwrap_or_default())
}
