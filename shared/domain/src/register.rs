//! A field that several people write, and what is remembered of it.
//!
//! Of each device the last write is kept, and of all of them the [`WHOLE`] last: however often a field
//! is edited, its register stays the size of the number of devices that wrote it. That is sound
//! because a device knows what it wrote itself, so its later write replaces its earlier ones without
//! naming them; only what it had seen of others it has to name. (What is kept is a multi-value
//! register with dotted causality: Preguiça et al., *Dotted Version Vectors*, 2010.)
//!
//! Joining is commutative, associative and idempotent, for whatever somebody forges, too: what a
//! register holds depends on the set of writes that reached it alone.

use crate::hlc::Hlc;
use crate::{DeviceId, Millis, UserId};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::btree_map::{BTreeMap, Entry as Place};
use std::fmt;

/// How many writes keep their values when they were replaced: the last by time, whoever wrote them.
pub const WHOLE: usize = 3;

/// One value written to a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Write {
    /// The value.
    pub value: String,
    /// Who wrote it.
    pub actor: UserId,
    /// When, by the writer's clock.
    pub at: Millis,
    /// Whether somebody wrote after it who knew it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub replaced: bool,
}

impl Write {
    /// A write that nobody has replaced yet.
    pub fn new(value: String, actor: UserId, at: Millis) -> Write {
        Write { value, actor, at, replaced: false }
    }
}

/// What is left of a write without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It is the last of its device, and was replaced.
    Replaced,
    /// Somebody says that they replaced it, and it has not come yet.
    Named,
}

/// What is kept of a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Kept {
    /// All of it.
    Write(Write),
    /// That it was there.
    Mark(Mark),
}

impl Kept {
    fn write(&self) -> Option<&Write> {
        match self {
            Kept::Write(write) => Some(write),
            Kept::Mark(_) => None,
        }
    }

    /// What two replicas know of one write. Two writes with one timestamp come only from a broken
    /// device: every replica keeps the same one.
    fn join(&mut self, other: Kept) {
        let larger = |a: Write, b: Write| {
            let replaced = a.replaced || b.replaced;
            let write = if (&a.value, a.actor, a.at) < (&b.value, b.actor, b.at) { b } else { a };
            Write { replaced, ..write }
        };
        *self = match (std::mem::replace(self, Kept::Mark(Mark::Named)), other) {
            (Kept::Write(a), Kept::Write(b)) => Kept::Write(larger(a, b)),
            (Kept::Write(write), Kept::Mark(_)) | (Kept::Mark(_), Kept::Write(write)) => {
                Kept::Write(Write { replaced: true, ..write })
            }
            (Kept::Mark(Mark::Named), Kept::Mark(Mark::Named)) => Kept::Mark(Mark::Named),
            (Kept::Mark(_), Kept::Mark(_)) => Kept::Mark(Mark::Replaced),
        };
    }
}

/// A field: the writes that hold or held. The value is the last, in causal order, of those that nobody
/// replaced; the others of those are conflicts. So a clock that is days ahead wins only until somebody
/// edits the field in knowledge of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Register {
    kept: BTreeMap<Hlc, Kept>,
}

impl Register {
    /// Takes in a write, and what it was made in knowledge of.
    pub fn write(&mut self, hlc: Hlc, write: Write, replaces: impl IntoIterator<Item = Hlc>) {
        self.add(hlc, write, replaces);
        self.settle();
    }

    /// Takes in another replica's register.
    pub fn join(&mut self, other: &Register) {
        for (hlc, kept) in &other.kept {
            self.keep(*hlc, kept.clone());
        }
        self.settle();
    }

    /// The register as if nothing had been written at these times.
    pub fn forget(&mut self, gone: impl Fn(&Hlc) -> bool) {
        self.kept.retain(|hlc, _| !gone(hlc));
    }

    /// The writes that nobody replaced, oldest first; the last of them holds.
    pub fn heads(&self) -> Vec<(Hlc, &Write)> {
        let heads: Vec<_> = self.whole().filter(|(_, write)| !write.replaced).collect();
        if heads.is_empty() {
            // Only things forged to replace each other leave no head; the last one holds then.
            return self.whole().last().into_iter().collect();
        }
        heads
    }

    /// The value that holds.
    pub fn value(&self) -> Option<&str> {
        self.heads().last().map(|(_, write)| write.value.as_str())
    }

    /// Values that lost against a concurrent write and that nobody has settled yet.
    pub fn conflicts(&self) -> Vec<(Hlc, &Write)> {
        let mut heads = self.heads();
        let winner = heads.pop();
        heads.retain(|(_, write)| winner.is_none_or(|(_, winner)| winner.value != write.value));
        heads
    }

    /// The writes that are here with their values, oldest first: the heads, and the last ones.
    pub fn whole(&self) -> impl DoubleEndedIterator<Item = (Hlc, &Write)> {
        self.kept.iter().filter_map(|(hlc, kept)| Some((*hlc, kept.write()?)))
    }

    /// Every timestamp that is known, oldest first.
    pub fn times(&self) -> impl Iterator<Item = &Hlc> {
        self.kept.keys()
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn add(&mut self, hlc: Hlc, write: Write, replaces: impl IntoIterator<Item = Hlc>) {
        self.keep(hlc, Kept::Write(write));
        // What names itself is taken as if it did not: it would vanish without a successor.
        for named in replaces.into_iter().filter(|named| *named != hlc) {
            self.keep(named, Kept::Mark(Mark::Named));
        }
    }

    fn keep(&mut self, hlc: Hlc, kept: Kept) {
        match self.kept.entry(hlc) {
            Place::Vacant(place) => {
                place.insert(kept);
            }
            Place::Occupied(mut place) => place.get_mut().join(kept),
        }
    }

    /// Lets go of all that nothing depends on any more.
    fn settle(&mut self) {
        if self.kept.len() < 2 {
            return;
        }
        let named = |kept: &Kept| matches!(kept, Kept::Mark(Mark::Named));
        // In order of time: the last of each device stays.
        let written = self.kept.iter().filter(|(_, kept)| !named(kept));
        let last: BTreeMap<DeviceId, Hlc> = written.map(|(hlc, _)| (hlc.node, *hlc)).collect();
        let whole_from = self.whole().map(|(hlc, _)| hlc).rev().nth(WHOLE - 1);
        self.kept.retain(|hlc, kept| {
            let last = last.get(&hlc.node);
            match kept {
                Kept::Mark(Mark::Named) => last.is_none_or(|last| hlc > last),
                Kept::Mark(Mark::Replaced) => last == Some(hlc),
                Kept::Write(write) => {
                    write.replaced |= last != Some(hlc);
                    if !write.replaced || whole_from.is_none_or(|from| *hlc >= from) {
                        return true;
                    }
                    *kept = Kept::Mark(Mark::Replaced);
                    last == Some(hlc)
                }
            }
        });
    }
}

/// A write as a record has it. Records of before registers let go of anything say with each write what
/// it replaced, and have all of them.
#[derive(Deserialize)]
struct Told {
    value: String,
    actor: UserId,
    at: Millis,
    #[serde(default)]
    replaced: bool,
    #[serde(default)]
    replaces: Vec<Hlc>,
}

enum Found {
    Told(Told),
    Mark(Mark),
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Found;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a write, \"replaced\" or \"named\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Found, E> {
                match text {
                    "replaced" => Ok(Found::Mark(Mark::Replaced)),
                    "named" => Ok(Found::Mark(Mark::Named)),
                    _ => Err(E::unknown_variant(text, &["replaced", "named"])),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Found, A::Error> {
                Told::deserialize(MapAccessDeserializer::new(map)).map(Found::Told)
            }
        }
        // Not `untagged`, which reads into a tree first.
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Register {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut register = Register::default();
        for (hlc, found) in BTreeMap::<Hlc, Found>::deserialize(deserializer)? {
            match found {
                Found::Mark(mark) => register.keep(hlc, Kept::Mark(mark)),
                Found::Told(Told { value, actor, at, replaced, replaces }) => {
                    register.add(hlc, Write { value, actor, at, replaced }, replaces);
                }
            }
        }
        register.settle();
        Ok(register)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn hlc(wall: Millis, node: u128) -> Hlc {
        Hlc { wall, counter: 0, node: DeviceId(Uuid::from_u128(node)) }
    }

    fn write(value: &str) -> Write {
        Write::new(value.into(), UserId(Uuid::nil()), 7)
    }

    /// However often a field is edited, and by however few, what is kept of it does not grow.
    #[test]
    fn a_register_is_as_large_as_its_writers_are_many() {
        let mut register = Register::default();
        let mut sizes = Vec::new();
        for n in 0..1_000 {
            let replaces: Vec<Hlc> = register.heads().into_iter().map(|(hlc, _)| hlc).collect();
            register.write(hlc(n, 1 + u128::from(n % 50 == 0)), write(&n.to_string()), replaces);
            sizes.push(serde_json::to_string(&register).unwrap().len());
        }
        assert_eq!(register.value(), Some("999"));
        assert_eq!(register.whole().map(|(hlc, _)| hlc.wall).collect::<Vec<_>>(), [997, 998, 999]);
        assert!(sizes.iter().skip(100).all(|size| *size < 800), "{sizes:?}");
    }

    #[test]
    fn a_device_knows_what_it_wrote_itself_and_names_what_it_saw_of_others() {
        let mut register = Register::default();
        register.write(hlc(1, 1), write("a"), []);
        register.write(hlc(2, 1), write("b"), []);
        register.write(hlc(3, 2), write("c"), [hlc(1, 1)]);
        assert_eq!(register.value(), Some("c"));
        assert_eq!(register.conflicts().into_iter().map(|(hlc, _)| hlc).collect::<Vec<_>>(), [hlc(2, 1)]);
        // A name holds for that one write, so that nobody can end what others will write some day.
        register.write(hlc(4, 2), write("d"), [hlc(9_999, 1), hlc(2, 1)]);
        assert!(register.conflicts().is_empty());
        register.write(hlc(5, 1), write("e"), []);
        assert_eq!(register.value(), Some("e"));
    }

    /// What stores and servers have from before.
    #[test]
    fn registers_that_kept_every_write_are_read_and_let_go() {
        let device = "00000000-0000-0000-0000-000000000001";
        let time = |n: u32| format!("{n:016}.00000.{device}");
        let writes: Vec<String> = (0..9)
            .map(|n: u32| {
                let replaces =
                    n.checked_sub(1).map(|before| format!("{:?}", time(before))).unwrap_or_default();
                format!(
                    r#"{:?}:{{"value":"v{n}","actor":"{device}","at":{n},"replaces":[{replaces}]}}"#,
                    time(n)
                )
            })
            .collect();
        let register: Register = serde_json::from_str(&format!("{{{}}}", writes.join(","))).unwrap();
        assert_eq!(register.value(), Some("v8"));
        assert!(register.conflicts().is_empty());
        assert_eq!(register.whole().count(), WHOLE);
        let text = serde_json::to_string(&register).unwrap();
        assert!(!text.contains("replaces") && text.contains(r#""at":7,"replaced":true}"#), "{text}");
        assert_eq!(serde_json::from_str::<Register>(&text).unwrap(), register);
        for wrong in [r#"{"x":"named"}"#, "[]", &format!(r#"{{"{}":"gone"}}"#, time(1))] {
            assert!(serde_json::from_str::<Register>(wrong).is_err(), "{wrong}");
        }
    }
}
