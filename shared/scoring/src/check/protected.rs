//! Protected attributes: no feature that says to be one is scored unless the card argues for it.

use super::{Checked, invalid, shown, text};
use crate::bundle::Bundle;
use std::collections::BTreeSet;

/// Words, without accents, that speak of a protected attribute when they stand alone in a name or a
/// label: the grounds of the European Charter of Fundamental Rights (art. 21) and of the US Equal
/// Credit Opportunity Act, in Spanish and English. Consecutive words are joined by a space.
const WORDS: &[&str] = &[
    // Age.
    "age",
    "edad",
    "birth",
    "birthdate",
    "birthday",
    "dob",
    "born",
    "nacimiento",
    // Sex, pregnancy, orientation.
    "sex",
    "sexo",
    "sexual",
    "gender",
    "genero",
    "male",
    "female",
    "hombre",
    "mujer",
    "masculino",
    "femenino",
    "pregnant",
    "pregnancy",
    "embarazo",
    "embarazada",
    // Marital and family status.
    "marital",
    "married",
    "divorced",
    "widowed",
    "spouse",
    "estado civil",
    "civil status",
    "casado",
    "casada",
    "soltero",
    "soltera",
    "divorciado",
    "divorciada",
    "viudo",
    "viuda",
    "conyuge",
    // Nationality and origin.
    "nationality",
    "nacionalidad",
    "national origin",
    "origen nacional",
    "citizen",
    "citizenship",
    "ciudadania",
    "immigrant",
    "inmigrante",
    "immigration",
    "foreigner",
    "extranjero",
    "extranjera",
    "birthplace",
    // Race, ethnicity, language.
    "race",
    "racial",
    "raza",
    "ethnic",
    "ethnicity",
    "etnia",
    "etnico",
    "etnica",
    "indigenous",
    "indigena",
    "tribe",
    "caste",
    "casta",
    "skin",
    "mother tongue",
    "lengua materna",
    // Belief.
    "religion",
    "religious",
    "religioso",
    "religiosa",
    "faith",
    "political",
    "trade union",
    "sindicato",
    // Health.
    "disability",
    "disabled",
    "discapacidad",
    "discapacitado",
    "health",
    "salud",
    "genetic",
    "genetico",
];

/// Lower-case words without accents, joined by single spaces, with one at either end.
fn words(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + 2);
    folded.push(' ');
    for c in text.chars().flat_map(char::to_lowercase) {
        let c = match c {
            'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
            'ú' | 'ù' | 'û' | 'ü' => 'u',
            // A combining accent stands after its letter.
            '\u{300}'..='\u{36f}' => continue,
            c if c.is_alphanumeric() => c,
            _ if folded.ends_with(' ') => continue,
            _ => ' ',
        };
        folded.push(c);
    }
    if !folded.ends_with(' ') {
        folded.push(' ');
    }
    folded
}

/// The protected attribute that a name or a label speaks of.
fn protected(text: &str) -> Option<&'static str> {
    let text = words(text);
    WORDS.iter().find(|word| text.contains(&format!(" {word} "))).copied()
}

pub(super) fn check(bundle: &Bundle, scored: &BTreeSet<&str>) -> Checked {
    let argued = &bundle.card.protected;
    for (name, argument) in argued {
        let place = format!("card.protected.{}", shown(name));
        if !scored.contains(name.as_str()) {
            return Err(invalid(
                place,
                "argues for a feature that is not scored",
                "remove it, or correct the name",
            ));
        }
        text(argument, &place, false)?;
    }
    for (i, feature) in bundle.schema.features.iter().enumerate() {
        if !scored.contains(feature.name.as_str()) || argued.contains_key(&feature.name) {
            continue;
        }
        for (of, place) in
            [(&feature.name, "name"), (&feature.label.es, "label.es"), (&feature.label.en, "label.en")]
        {
            if let Some(word) = protected(of) {
                return Err(invalid(
                    format!("schema.features[{i}].{place}"),
                    format!("speaks of {word:?}, a protected attribute, and the feature is scored"),
                    "train without it; or, if it is lawful and needed or means something else, say why in \
                     card.protected under the feature's name",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_speak_of_a_protected_attribute() {
        for (text, word) in [
            ("age", "age"),
            ("customer_age_years", "age"),
            ("Edad del cliente", "edad"),
            ("¿Cuál es su GÉNERO?", "genero"),
            ("Ge\u{301}nero", "genero"),
            ("Estado civil", "estado civil"),
            ("estado_civil", "estado civil"),
            ("etnia", "etnia"),
        ] {
            assert_eq!(protected(text), Some(word), "{text}");
        }
        for text in [
            "mileage",
            "antigüedad",
            "average_balance",
            "Estado de cuenta",
            "wages",
            "seguro civil",
            "package",
        ] {
            assert_eq!(protected(text), None, "{text}");
        }
    }
}
