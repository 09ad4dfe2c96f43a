//! One question of the form, drawn from the model's schema.

use super::sheet::Sheet;
use crate::components::*;
use crate::fmt;
use crate::i18n::{Lang, lang};
use crate::t;
use dioxus::prelude::*;
use vereda_scoring::bundle::{Feature, Kind, Unit};
use vereda_scoring::{FieldProblem, Value};

const YES: &str = "true";
const NO: &str = "false";

/// The unit beside a number.
fn unit_text(unit: Unit, currency: &str) -> String {
    match unit {
        Unit::None | Unit::Count => String::new(),
        Unit::Currency if currency == "XXX" => String::new(),
        Unit::Currency => currency.to_owned(),
        Unit::Years => t!("unit-years"),
        Unit::Months => t!("unit-months"),
        Unit::Percent => "%".to_owned(),
    }
}

/// What is wrong with an answer and what would be accepted.
pub fn problem_text(lang: Lang, problem: &FieldProblem) -> String {
    match problem {
        FieldProblem::Required => t!("problem-required"),
        FieldProblem::WrongType { .. } => t!("problem-number"),
        FieldProblem::OutOfRange { min, max } => {
            t!("problem-range", min = fmt::number_short(lang, *min), max = fmt::number_short(lang, *max))
        }
        FieldProblem::NotAnOption { .. } => t!("problem-option"),
        FieldProblem::NotFinite => t!("problem-number"),
        FieldProblem::Unknown => t!("problem-unknown"),
    }
}

/// The choices of a question that has them.
fn choices(feature: &Feature, lang: Lang) -> Vec<Choice> {
    match &feature.kind {
        Kind::Category { options, .. } => {
            options.iter().map(|option| Choice::new(&option.code, lang.pick(&option.label))).collect()
        }
        Kind::Boolean => vec![Choice::new(YES, t!("answer-yes")), Choice::new(NO, t!("answer-no"))],
        Kind::Number { .. } | Kind::Integer { .. } => Vec::new(),
    }
}

/// The code of a choice's answer; "not known" is none of the choices.
fn code_of(value: &Value) -> Option<String> {
    match value {
        Value::Missing => None,
        Value::Boolean(true) => Some(YES.to_owned()),
        Value::Boolean(false) => Some(NO.to_owned()),
        Value::Category(code) => Some(code.clone()),
        Value::Number(number) => Some(number.to_string()),
    }
}

fn value_of(kind: &Kind, code: String) -> Value {
    match kind {
        Kind::Boolean => Value::Boolean(code == YES),
        _ => Value::Category(code),
    }
}

/// One question. `tried`: whether the officer wants a score, so that what is lacking is said.
#[component]
pub fn Question(feature: Feature, sheet: Sheet, currency: String, tried: bool) -> Element {
    let lang = lang();
    let name = feature.name.clone();
    let given = sheet.values.read().get(&name).cloned();
    let problem = sheet.problems.read().get(&name).cloned();
    let error = match (&given, &problem) {
        (None, _) => tried.then(|| t!("problem-required")),
        (Some(_), Some(problem)) => Some(problem_text(lang, problem)),
        (Some(_), None) => None,
    };
    let saved = sheet.saved.read().get(&name).map(|at| t!("field-saved", time = fmt::time_with_seconds(*at)));
    let help = lang.pick(&feature.help).to_owned();
    let label = lang.pick(&feature.label).to_owned();
    let focus = {
        let (sheet, name) = (sheet.clone(), name.clone());
        move |()| sheet.at(&name)
    };
    let number = match feature.kind {
        Kind::Number { unit, .. } => Some((unit, true)),
        Kind::Integer { unit, .. } => Some((unit, false)),
        Kind::Category { .. } | Kind::Boolean => None,
    };
    let unknown = given == Some(Value::Missing);
    let text = sheet.texts.read().get(&name).cloned().unwrap_or_default();
    rsx! {
        div { class: "question",
            if let Some((unit, decimals)) = number {
                NumberField {
                    id: name.clone(),
                    label,
                    help,
                    error,
                    saved,
                    unit: unit_text(unit, &currency),
                    decimals,
                    value: if unknown { String::new() } else { text },
                    onfocus: focus,
                    oninput: {
                        let (sheet, name) = (sheet.clone(), name.clone());
                        move |text| sheet.type_number(lang, &name, text)
                    },
                }
            } else {
                ChoiceField {
                    id: name.clone(),
                    label,
                    help,
                    error,
                    saved,
                    options: choices(&feature, lang),
                    value: given.as_ref().and_then(code_of),
                    onfocus: focus,
                    onchange: {
                        let (sheet, name) = (sheet.clone(), name.clone());
                        let kind = feature.kind.clone();
                        move |code| sheet.answer(&name, Some(value_of(&kind, code)))
                    },
                }
            }
            if feature.missing_allowed {
                Switch {
                    id: "{name}-unknown",
                    label: t!("answer-missing"),
                    on: unknown,
                    onchange: move |on: bool| {
                        sheet.texts.clone().write().remove(&name);
                        sheet.answer(&name, on.then_some(Value::Missing));
                    },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_comes_back_as_the_answer_it_was() {
        for value in [Value::Boolean(true), Value::Boolean(false)] {
            assert_eq!(code_of(&value).map(|code| value_of(&Kind::Boolean, code)), Some(value));
        }
        assert_eq!(code_of(&Value::Missing), None);
        let category = Kind::Category { options: Vec::new(), unseen: Default::default() };
        let own = Value::Category("own".into());
        assert_eq!(code_of(&own).map(|code| value_of(&category, code)), Some(own));
        // A category may well be called "true".
        assert_eq!(value_of(&category, "true".into()), Value::Category("true".into()));
    }
}
