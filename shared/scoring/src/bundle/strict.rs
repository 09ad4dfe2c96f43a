//! Collections of a document, for `#[serde(deserialize_with)]`.
//!
//! A name that stands twice would be read as one of the two by some programs and as the other by the
//! rest, so it is refused. And what may be long is cut off while it is read, not after.

use super::PackedTree;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// The most trees of an ensemble.
pub(crate) const MAX_TREES: usize = 5000;

/// A map whose keys are all different.
pub(crate) fn map<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(Unique(PhantomData))
}

/// The same, of a field that may be absent.
pub(crate) fn some_map<'de, D, V>(deserializer: D) -> Result<Option<BTreeMap<String, V>>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    map(deserializer).map(Some)
}

/// The trees of an ensemble.
pub(crate) fn trees<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<PackedTree>>, D::Error> {
    deserializer.deserialize_seq(Trees).map(Some)
}

struct Unique<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                let shown: String = key.chars().take(64).collect();
                return Err(A::Error::custom(format!("duplicate field `{shown}`")));
            }
            let value = access.next_value()?;
            map.insert(key, value);
        }
        Ok(map)
    }
}

struct Trees;

impl<'de> Visitor<'de> for Trees {
    type Value = Vec<PackedTree>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of trees")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut trees = Vec::new();
        while let Some(mut tree) = access.next_element::<PackedTree>()? {
            if trees.len() == MAX_TREES {
                return Err(A::Error::custom(format!(
                    "more than {MAX_TREES} trees, the most that are accepted"
                )));
            }
            // They grew while they were read, to twice what they hold.
            tree.nodes.shrink_to_fit();
            tree.values.shrink_to_fit();
            tree.covers.shrink_to_fit();
            trees.push(tree);
        }
        Ok(trees)
    }
}
