//! Reading for a screen: what a command answers, asked again whenever something shown has changed.

use crate::state::use_app;
use dioxus::prelude::*;
use vereda_domain::gateway::{Command, GatewayError};

/// What came back so far. While it is asked again, the last answer stays on the screen.
pub struct Query<T: 'static> {
    /// The last answer, if there was one.
    pub data: Signal<Option<T>>,
    /// The last refusal, if the last call was refused.
    pub error: Signal<Option<GatewayError>>,
    again: Signal<u32>,
}

impl<T> Clone for Query<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Query<T> {}
impl<T> PartialEq for Query<T> {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

impl<T> Query<T> {
    /// Asks again.
    pub fn again(mut self) {
        self.again += 1;
    }
}

/// Asks a command now, when a signal that `request` reads changes, and when the native side says
/// that something has changed.
pub fn use_query<C>(mut request: impl FnMut() -> C::Request + 'static) -> Query<C::Response>
where
    C: Command + 'static,
{
    let app = use_app();
    let mut data = use_signal(|| None);
    let mut error = use_signal(|| None);
    let again = use_signal(|| 0u32);
    let mut asked = use_signal(|| 0u64);
    use_effect(move || {
        let request = request();
        let _ = (again(), (app.revision)());
        let turn = *asked.peek() + 1;
        asked.set(turn);
        spawn(async move {
            let answer = app.call::<C>(request).await;
            if *asked.peek() != turn {
                return; // a later question is under way
            }
            match answer {
                Ok(answer) => {
                    data.set(Some(answer));
                    error.set(None);
                }
                Err(refusal) => error.set(Some(refusal)),
            }
        });
    });
    Query { data, error, again }
}
