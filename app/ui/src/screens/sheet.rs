//! The answers of one interview as they are typed, and the queue that keeps each one durably.
//!
//! Every change is saved at once, one save at a time and in order; while one is under way, later
//! changes of a field wait as its latest value. The queue outlives the screen, so that leaving it
//! loses nothing.

use crate::browser;
use crate::fmt;
use crate::i18n::Lang;
use crate::state::App;
use dioxus::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use vereda_domain::gateway::{
    DraftView, GatewayError, SaveField, SaveFieldRequest, SaveFocus, SaveFocusRequest,
};
use vereda_domain::{DraftId, Millis};
use vereda_scoring::bundle::{Feature, Kind};
use vereda_scoring::{Estimate, FieldProblem, Value};

/// How long a save may take before it is asked for again, in milliseconds. It takes a few; one that
/// was lost on its way must not hold up those behind it, and saving twice does no harm.
const PATIENCE_MS: i32 = 10_000;

/// What waits to be saved.
#[derive(Default)]
struct Queue {
    waiting: BTreeMap<String, Option<Value>>,
    running: bool,
}

/// One interview on the screen.
#[derive(Clone)]
pub struct Sheet {
    app: App,
    draft: DraftId,
    queue: Rc<RefCell<Queue>>,
    /// The answers.
    pub values: Signal<BTreeMap<String, Value>>,
    /// Numbers as they are typed.
    pub texts: Signal<BTreeMap<String, String>>,
    /// When each answer was durable.
    pub saved: Signal<BTreeMap<String, Millis>>,
    /// What is wrong with those that are wrong.
    pub problems: Signal<BTreeMap<String, FieldProblem>>,
    /// What the score would be now.
    pub estimate: Signal<Estimate>,
    /// Whether something waits to be saved.
    pub saving: Signal<bool>,
    /// Why the last save failed.
    pub trouble: Signal<Option<GatewayError>>,
}

impl PartialEq for Sheet {
    fn eq(&self, other: &Self) -> bool {
        self.draft == other.draft && Rc::ptr_eq(&self.queue, &other.queue)
    }
}

/// An answer as it is typed.
fn typed(lang: Lang, value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(fmt::number_short(lang, *number)),
        Value::Category(text) => Some(text.clone()),
        Value::Missing | Value::Boolean(_) => None,
    }
}

/// What is kept of what was typed: a number, or the text as it stands so that nothing is lost.
fn meant(lang: Lang, text: &str) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    Some(fmt::parse_number(lang, text).map_or_else(|| Value::Category(text.to_owned()), Value::Number))
}

impl Sheet {
    /// From a draft as it was left. A hook: it makes signals.
    pub fn open(app: App, lang: Lang, draft: &DraftView) -> Sheet {
        let numeric = |feature: &Feature| matches!(feature.kind, Kind::Number { .. } | Kind::Integer { .. });
        let texts = draft
            .schema
            .features
            .iter()
            .filter(|feature| numeric(feature))
            .filter_map(|feature| {
                Some((feature.name.clone(), typed(lang, draft.inputs.get(&feature.name)?)?))
            })
            .collect();
        let problems = draft.problems.iter().map(|error| (error.field.clone(), error.problem.clone()));
        Sheet {
            app,
            draft: draft.id,
            queue: Rc::default(),
            values: Signal::new(draft.inputs.clone()),
            texts: Signal::new(texts),
            saved: Signal::new(draft.saved_at.clone()),
            problems: Signal::new(problems.collect()),
            estimate: Signal::new(draft.estimate.clone()),
            saving: Signal::new(false),
            trouble: Signal::new(None),
        }
    }

    /// Takes in what was typed into a number.
    pub fn type_number(&self, lang: Lang, field: &str, text: String) {
        let value = meant(lang, &text);
        self.texts.clone().write().insert(field.to_owned(), text);
        self.answer(field, value);
    }

    /// Takes in an answer, or that it was taken out.
    pub fn answer(&self, field: &str, value: Option<Value>) {
        let mut values = self.values;
        match &value {
            Some(value) => values.write().insert(field.to_owned(), value.clone()),
            None => values.write().remove(field),
        };
        self.saved.clone().write().remove(field);
        self.queue.borrow_mut().waiting.insert(field.to_owned(), value);
        self.save();
    }

    /// Remembers where the officer is.
    pub fn at(&self, field: &str) {
        let (app, draft, field) = (self.app, self.draft, field.to_owned());
        // Losing this loses a convenience, so a refusal is not shown.
        dioxus::core::spawn_forever(async move {
            let _ = app.call::<SaveFocus>(SaveFocusRequest { draft, field }).await;
        });
    }

    /// Saves what waits, if nobody does already.
    pub fn save(&self) {
        let mut saving = self.saving;
        saving.set(true);
        if std::mem::replace(&mut self.queue.borrow_mut().running, true) {
            return;
        }
        let sheet = self.clone();
        dioxus::core::spawn_forever(async move { sheet.work().await });
    }

    async fn work(self) {
        loop {
            let next = self.queue.borrow_mut().waiting.pop_first();
            let Some((field, value)) = next else { break };
            let request = SaveFieldRequest { draft: self.draft, field: field.clone(), value: value.clone() };
            let Some(answer) = browser::within(PATIENCE_MS, self.app.call::<SaveField>(request)).await else {
                self.queue.borrow_mut().waiting.entry(field).or_insert(value);
                continue;
            };
            match answer {
                Ok(kept) => {
                    let newer = self.queue.borrow().waiting.contains_key(&field);
                    // The screen may be gone; its signals are then as well, and nobody misses them.
                    if !newer && let Ok(mut saved) = self.saved.clone().try_write() {
                        saved.insert(field.clone(), kept.saved_at);
                    }
                    if !newer && let Ok(mut problems) = self.problems.clone().try_write() {
                        match kept.problem {
                            Some(error) => problems.insert(field, error.problem),
                            None => problems.remove(&field),
                        };
                    }
                    if let Ok(mut estimate) = self.estimate.clone().try_write() {
                        *estimate = kept.estimate;
                    }
                    if let Ok(mut trouble) = self.trouble.clone().try_write() {
                        *trouble = None;
                    }
                }
                Err(error) => {
                    // It stays first in line; the screen offers to try again.
                    self.queue.borrow_mut().waiting.entry(field).or_insert(value);
                    if let Ok(mut trouble) = self.trouble.clone().try_write() {
                        *trouble = Some(error);
                    }
                    break;
                }
            }
        }
        self.queue.borrow_mut().running = false;
        if let Ok(mut saving) = self.saving.clone().try_write() {
            *saving = false;
        }
    }

    /// Waits until nothing is under way; whether all is saved.
    pub async fn settled(&self) -> bool {
        while self.queue.borrow().running {
            browser::sleep(15).await;
        }
        self.queue.borrow().waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_kept_as_a_number_or_as_it_stands() {
        assert_eq!(meant(Lang::Es, "1.234,5"), Some(Value::Number(1234.5)));
        assert_eq!(meant(Lang::Es, " mil "), Some(Value::Category("mil".into())));
        assert_eq!(meant(Lang::Es, "  "), None);
    }

    #[test]
    fn an_answer_comes_back_as_it_would_be_typed() {
        assert_eq!(typed(Lang::En, &Value::Number(4500.0)), Some("4,500".into()));
        assert_eq!(typed(Lang::Es, &Value::Category("mil".into())), Some("mil".into()));
        assert_eq!(typed(Lang::Es, &Value::Missing), None);
    }
}
