//! Reading a page of changes fast.
//!
//! What names its own kind inside (`{"kind":"client", ...}`) is read by serde into a tree first and from
//! that into the type, twice for a change. Here the kind is looked up and the rest read once: a device's
//! first portfolio has hundreds of thousands of these.

use crate::api::Change;
use crate::record::{AssessmentRecord, ClientRecord, Record, RecordKey};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

/// How what is usual begins.
const STATE: &str = r#"{"change":"state","record":"#;
const CLIENT: &str = r#"{"kind":"client","#;
const ASSESSMENT: &str = r#"{"kind":"assessment","#;

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    change: Cow<'a, str>,
    #[serde(borrow)]
    record: Option<&'a RawValue>,
    key: Option<RecordKey>,
    #[serde(default)]
    erased: bool,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

impl Change {
    /// Reads what `serde_json::from_str` reads, without a tree in between; and the record's text.
    ///
    /// # Errors
    /// As `serde_json::from_str`.
    pub fn read(text: &str) -> serde_json::Result<(Change, Option<&str>)> {
        // As a server writes it. Whatever else there is would not be read as the one record.
        let usual = text.strip_prefix(STATE).and_then(|rest| rest.strip_suffix('}'));
        if let Some(text) = usual
            && let Some(record) = Record::read_usual(text)
        {
            return Ok((Change::State { record }, Some(text)));
        }
        let outer: Outer<'_> = serde_json::from_str(text)?;
        match (&*outer.change, outer.record, outer.key) {
            ("state", Some(record), _) => {
                Ok((Change::State { record: Record::read(record.get())? }, Some(record.get())))
            }
            ("purge", _, Some(key)) => Ok((Change::Purge { key, erased: outer.erased }, None)),
            _ => Err(serde_json::Error::custom("a change of an unknown shape")),
        }
    }
}

impl Record {
    /// Reads what `serde_json::from_str` reads, without a tree in between.
    ///
    /// # Errors
    /// As `serde_json::from_str`.
    pub fn read(text: &str) -> serde_json::Result<Record> {
        if let Some(record) = Record::read_usual(text) {
            return Ok(record);
        }
        match &*serde_json::from_str::<Kind<'_>>(text)?.kind {
            "client" => serde_json::from_str::<ClientRecord>(text).map(Record::Client),
            "assessment" => serde_json::from_str::<AssessmentRecord>(text).map(Record::Assessment),
            _ => Err(serde_json::Error::custom("a record of an unknown kind")),
        }
    }

    /// Reads a record whose kind comes first, as it is written, without looking for it in all of the text.
    fn read_usual(text: &str) -> Option<Record> {
        if text.starts_with(CLIENT) {
            serde_json::from_str::<ClientRecord>(text).map(Record::Client).ok()
        } else if text.starts_with(ASSESSMENT) {
            serde_json::from_str::<AssessmentRecord>(text).map(Record::Assessment).ok()
        } else {
            None
        }
    }

    /// What it is called.
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Client(client) => RecordKey::Client(client.id),
            Record::Assessment(record) => RecordKey::Assessment(record.assessment.id),
        }
    }
}

/// Reads what is written as a text, without a copy of it in between.
pub(crate) fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(Parse(PhantomData))
}

struct Parse<T>(PhantomData<T>);

impl<T: FromStr<Err: Display>> Visitor<'_> for Parse<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: &str = r#"{"kind":"client","id":"00000000-0000-0000-0000-00000000004d",
        "branch":"00000000-0000-0000-0000-000000000001","officer":"00000000-0000-0000-0000-000000000002",
        "since":"0001790000000000.00000.00000000-0000-0000-0000-000000000003","captured_at":1790000000000,
        "fields":{"name":{"0001790000000000.00000.00000000-0000-0000-0000-000000000003":{"value":"Ana \"la\" R\u00edos",
        "actor":"00000000-0000-0000-0000-000000000002","at":1790000000000,"replaces":[]}}},"consents":{},"later":1}"#;

    #[test]
    fn the_fast_way_reads_what_serde_reads() {
        let last = ANA.replacen(r#""kind":"client","#, "", 1).replace(r#""later":1"#, r#""kind":"client""#);
        for record in [ANA, last.as_str()] {
            for state in [
                format!(r#"{{"change":"state","record":{record}}}"#),
                format!(r#"{{"change":"state","record":{record},"later":[{{}}]}}"#),
                format!(r#"{{"record":{record},"change":"state"}}"#),
            ] {
                let (change, text) = Change::read(&state).unwrap();
                assert_eq!(text, Some(record));
                assert_eq!(change, serde_json::from_str::<Change>(&state).unwrap());
            }
        }
        let purge =
            r#"{"change":"purge","key":{"kind":"client","id":"00000000-0000-0000-0000-00000000004d"}}"#;
        assert_eq!(Change::read(purge).unwrap().0, serde_json::from_str::<Change>(purge).unwrap());
        for other in [
            r#"{"change":"merge","of":[1]}"#,
            r#"{"change":"state"}"#,
            r#"{"change":"state","record":{"kind":"guarantee","id":"x"}}"#,
            r#"{"change":"state","record":{"kind":"client","id":"x"}}"#,
            &format!(r#"{{"change":"state","record":{ANA}"#),
            &format!(r#"{{"change":"state","record":{ANA},}}"#),
            &format!(r#"{{"change":"state","record":{ANA}}}}}"#),
            "{}",
            "[",
        ] {
            assert!(
                Change::read(other).is_err() && serde_json::from_str::<Change>(other).is_err(),
                "{other}"
            );
        }
    }
}
