//! What is known of a client, how it is checked, and how two are compared.

use crate::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A field of a client that can be edited on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientField {
    /// Full name.
    Name,
    /// Number of the identity document.
    Document,
    /// Telephone.
    Phone,
    /// Where the client lives or works: vereda, village, address.
    Place,
}

impl ClientField {
    /// Every field, in the order a form asks for them.
    pub const ALL: [ClientField; 4] =
        [ClientField::Name, ClientField::Document, ClientField::Phone, ClientField::Place];

    /// The longest accepted value, in characters.
    pub fn max_chars(self) -> usize {
        match self {
            ClientField::Name => 120,
            ClientField::Document => 30,
            ClientField::Phone => 30,
            ClientField::Place => 200,
        }
    }

    /// The name in JSON and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientField::Name => "name",
            ClientField::Document => "document",
            ClientField::Phone => "phone",
            ClientField::Place => "place",
        }
    }
}

/// The fields of one client.
pub type ClientFields = BTreeMap<ClientField, String>;

/// That a client agreed to have their data processed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Consent {
    /// When it was given, by the device's clock.
    pub at: Millis,
    /// Which text was read to the client, such as `consent-2026-01`.
    pub text_version: String,
}

/// The version of the consent text that the catalogues hold as `consent-text`.
pub const CONSENT_TEXT_VERSION: &str = "2026-01";

/// Why a client's field is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum ClientProblem {
    /// A name and a document are needed.
    Required,
    /// Longer than [`ClientField::max_chars`].
    TooLong {
        /// The longest accepted.
        max: usize,
    },
    /// Control characters, or no letter or digit where one is needed.
    Malformed,
}

/// Checks one field. A phone and a place may be empty: not everybody has one.
///
/// # Errors
/// What is wrong with the value.
pub fn check(field: ClientField, value: &str) -> Result<(), ClientProblem> {
    let value = value.trim();
    let needed = matches!(field, ClientField::Name | ClientField::Document);
    if value.is_empty() {
        return if needed { Err(ClientProblem::Required) } else { Ok(()) };
    }
    if value.chars().count() > field.max_chars() {
        return Err(ClientProblem::TooLong { max: field.max_chars() });
    }
    if value.chars().any(char::is_control) {
        return Err(ClientProblem::Malformed);
    }
    let fits = match field {
        ClientField::Name => value.chars().any(char::is_alphabetic),
        ClientField::Document => value.chars().any(|c| c.is_ascii_digit()),
        ClientField::Phone => value.chars().filter(char::is_ascii_digit).count() >= 5,
        ClientField::Place => true,
    };
    if fits { Ok(()) } else { Err(ClientProblem::Malformed) }
}

/// A document number or phone as it is compared: letters and digits only, upper case, so that
/// `1.020.345-6` and `10203456` are the same document.
pub fn compact(value: &str) -> String {
    value.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// A phone as it is compared: its last ten digits, so that a country code does not hide a match.
pub fn phone_key(value: &str) -> String {
    let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
    digits[digits.len().saturating_sub(10)..].iter().collect()
}

/// A name as it is compared and searched: lower case, without the accents of Latin letters, single
/// spaces.
pub fn fold_name(value: &str) -> String {
    // An accent may be a character of its own, as some keyboards and systems write it.
    let folded: String = value
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| !('\u{300}'..='\u{36f}').contains(c))
        .map(without_accent)
        .collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_accent(c: char) -> char {
    match c {
        'á' | 'à' | 'ä' | 'â' | 'ã' | 'å' => 'a',
        'é' | 'è' | 'ë' | 'ê' => 'e',
        'í' | 'ì' | 'ï' | 'î' => 'i',
        'ó' | 'ò' | 'ö' | 'ô' | 'õ' => 'o',
        'ú' | 'ù' | 'ü' | 'û' => 'u',
        'ñ' => 'n',
        'ç' => 'c',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_phones_compare_without_their_punctuation() {
        assert_eq!(compact("1.020.345-6k"), compact("10203456K"));
        assert_eq!(phone_key("+57 (300) 123 4567"), phone_key("3001234567"));
        assert_eq!(phone_key("12"), "12");
    }

    #[test]
    fn names_compare_without_case_accents_and_double_spaces() {
        assert_eq!(fold_name(" José   PEÑA "), "jose pena");
        assert_eq!(fold_name("Jose\u{301} Pen\u{303}a"), "jose pena");
    }

    #[test]
    fn a_script_is_a_name_like_any_other_but_a_control_character_is_not() {
        assert_eq!(check(ClientField::Name, "<script>alert(1)</script>"), Ok(()));
        assert_eq!(check(ClientField::Name, "a\u{1b}[31m"), Err(ClientProblem::Malformed));
        assert_eq!(check(ClientField::Name, "  "), Err(ClientProblem::Required));
        assert_eq!(check(ClientField::Phone, ""), Ok(()));
        assert_eq!(check(ClientField::Phone, "12"), Err(ClientProblem::Malformed));
        assert_eq!(check(ClientField::Name, &"a".repeat(121)), Err(ClientProblem::TooLong { max: 120 }));
    }
}
