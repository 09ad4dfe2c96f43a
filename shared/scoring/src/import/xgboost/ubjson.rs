//! A reader of UBJSON (draft 12), as much of it as XGBoost writes and a little more.
//!
//! Own code because the crates that read UBJSON are unmaintained, reserve whatever memory a file
//! claims, or build a tree of values many times the file's size; as a serde format the same structs
//! read JSON and UBJSON.

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Deep enough for any model; bounds the recursion.
const MAX_DEPTH: u32 = 32;

/// What is wrong, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Error {
    message: String,
    /// Whether the bytes are not UBJSON, rather than UBJSON of another shape.
    pub(super) syntax: bool,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error { message: message.to_string(), syntax: false }
    }
}

/// Reads one value from the start of `bytes`.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// A marker that was read ahead, or that a typed container gives to each element.
    pending: Option<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0, depth: 0, pending: None }
    }

    /// That nothing follows the value.
    pub(super) fn end(&self) -> Result<(), Error> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.syntax("more bytes follow the model")) }
    }

    fn syntax(&self, what: &str) -> Error {
        Error { message: format!("{what} at byte {}", self.at), syntax: true }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        match (taken, end) {
            (Some(taken), Some(end)) => {
                self.at = end;
                Ok(taken)
            }
            _ => Err(self.syntax("the file ends too early")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.syntax("the file ends too early"))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// The next marker; no-ops are skipped.
    fn marker(&mut self) -> Result<u8, Error> {
        if let Some(marker) = self.pending.take() {
            return Ok(marker);
        }
        loop {
            match self.byte()? {
                b'N' => {}
                marker => return Ok(marker),
            }
        }
    }

    fn peek(&mut self) -> Result<u8, Error> {
        let marker = self.marker()?;
        self.pending = Some(marker);
        Ok(marker)
    }

    fn integer(&mut self, marker: u8) -> Result<i64, Error> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.array()?)),
            b'U' => i64::from(self.byte()?),
            b'I' => i64::from(i16::from_be_bytes(self.array()?)),
            b'l' => i64::from(i32::from_be_bytes(self.array()?)),
            b'L' => i64::from_be_bytes(self.array()?),
            _ => return Err(self.syntax("a whole number is expected")),
        })
    }

    fn length(&mut self) -> Result<usize, Error> {
        let marker = self.marker()?;
        let length = self.integer(marker)?;
        usize::try_from(length).map_err(|_| self.syntax("a length is negative"))
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.syntax("a text is not UTF-8"))
    }

    /// After `[` or `{`: the type and the count, if given.
    fn header(&mut self) -> Result<Container, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.syntax("values are nested more than 32 deep"));
        }
        let mut container = Container { element: None, left: None };
        if self.peek()? == b'$' {
            self.pending = None;
            let element = self.byte()?;
            // Elements without bytes of their own would make a few bytes claim any number of them.
            if !b"iUIlLdD".contains(&element) {
                return Err(self.syntax("only numbers are expected in a typed array"));
            }
            container.element = Some(element);
            if self.peek()? != b'#' {
                return Err(self.syntax("a typed array must say its length"));
            }
        }
        if self.peek()? == b'#' {
            self.pending = None;
            container.left = Some(self.length()?);
        }
        Ok(container)
    }
}

/// What an array or an object said about itself.
#[derive(Debug, Clone, Copy)]
struct Container {
    element: Option<u8>,
    left: Option<usize>,
}

struct Items<'r, 'a> {
    reader: &'r mut Reader<'a>,
    container: Container,
    close: u8,
}

impl Items<'_, '_> {
    /// Whether another element follows.
    fn next(&mut self) -> Result<bool, Error> {
        match &mut self.container.left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if self.reader.peek()? == self.close => {
                self.reader.pending = None;
                // Nothing more to read: a further call must not look for another bracket.
                self.container.left = Some(0);
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if !self.next()? {
            return Ok(None);
        }
        if let Some(element) = self.container.element {
            self.reader.pending = Some(element);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.next()? {
            return Ok(None);
        }
        let key = self.reader.text()?;
        seed.deserialize(de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        if let Some(element) = self.container.element {
            self.reader.pending = Some(element);
        }
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.marker()? {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'd' => visitor.visit_f32(f32::from_be_bytes(self.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(self.array()?)),
            b'S' => visitor.visit_borrowed_str(self.text()?),
            b'C' => match self.byte()? {
                byte if byte.is_ascii() => visitor.visit_char(char::from(byte)),
                _ => Err(self.syntax("a character is not ASCII")),
            },
            marker @ (b'i' | b'U' | b'I' | b'l' | b'L') => visitor.visit_i64(self.integer(marker)?),
            open @ (b'[' | b'{') => {
                let container = self.header()?;
                let close = if open == b'[' { b']' } else { b'}' };
                let mut items = Items { reader: self, container, close };
                let value = if open == b'[' {
                    visitor.visit_seq(&mut items)?
                } else {
                    visitor.visit_map(&mut items)?
                };
                if items.next()? {
                    return Err(self.syntax("an array has more elements than expected"));
                }
                self.depth -= 1;
                Ok(value)
            }
            _ => Err(self.syntax("this is no UBJSON value")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.peek()? == b'Z' {
            self.pending = None;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
        let mut reader = Reader::new(bytes);
        let value = T::deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    #[test]
    fn containers_typed_counted_and_open() {
        assert_eq!(read::<Vec<f32>>(b"[$d#L\0\0\0\0\0\0\0\x02\x3f\x80\0\0\xc0\0\0\0"), Ok(vec![1.0, -2.0]));
        assert_eq!(read::<Vec<i32>>(b"[#i\x03i\xffI\x01\0U\xff"), Ok(vec![-1, 256, 255]));
        assert_eq!(read::<Vec<i64>>(b"[Nl\0\0\0\x07N]"), Ok(vec![7]));
        let map: BTreeMap<String, Vec<String>> =
            read(b"{i\x01a[Si\x02xyCz]L\0\0\0\0\0\0\0\x01b[#i\0}").unwrap();
        assert_eq!(map["a"], ["xy", "z"]);
        assert!(map["b"].is_empty());
        assert_eq!(read::<Vec<Option<bool>>>(b"[ZTF]"), Ok(vec![None, Some(true), Some(false)]));
    }

    #[test]
    fn lies_about_lengths_end_at_once() {
        let claims: [&[u8]; 6] = [
            b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"[#L\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"[$Z#L\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"[#l\xff\xff\xff\xff",
            b"SL\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        ];
        for claim in claims {
            assert!(read::<de::IgnoredAny>(claim).unwrap_err().syntax, "{claim:?}");
        }
        for end in 0..8 {
            assert!(read::<de::IgnoredAny>(&b"{i\x01aI\0\x01}"[..end]).unwrap_err().syntax);
        }
    }
}
