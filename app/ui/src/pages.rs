//! Lists of any length, read a window at a time: the rows that are drawn, and some on either side.

use crate::state::use_app;
use dioxus::prelude::*;
use std::collections::BTreeMap;
use vereda_domain::gateway::{Command, GatewayError};

/// How many rows are read at once: the most that a command gives.
pub const READ: u32 = 200;
/// Readings start at multiples of this.
const STEP: usize = 50;

/// From which row on to read so that a window is covered.
fn reading(window: (usize, usize)) -> usize {
    window.0 / STEP * STEP
}

/// The rows read so far of a list.
pub struct Pages<T: 'static> {
    /// By place.
    pub rows: Signal<BTreeMap<usize, T>>,
    /// How many there are; absent until the first answer.
    pub total: Signal<Option<usize>>,
    /// Why the last reading failed.
    pub error: Signal<Option<GatewayError>>,
    /// The rows that are drawn.
    pub window: Signal<(usize, usize)>,
    again: Signal<u32>,
}

impl<T> Clone for Pages<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Pages<T> {}
impl<T> PartialEq for Pages<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl<T> Pages<T> {
    /// Nothing read yet; owned by the component that calls this.
    pub fn new() -> Pages<T> {
        Pages {
            rows: Signal::new(BTreeMap::new()),
            total: Signal::new(None),
            error: Signal::new(None),
            window: Signal::new((0, 1)),
            again: Signal::new(0),
        }
    }

    /// Reads again.
    pub fn again(mut self) {
        self.again += 1;
    }

    /// Takes note of the rows that are drawn.
    pub fn look_at(mut self, window: (usize, usize)) {
        if *self.window.peek() != window {
            self.window.set(window);
        }
    }
}

/// Reads what the window of `pages` shows: now, when the window moves, when what is looked for (which
/// `wanted` reads from signals) changes, and whenever anything shown may have changed. `request` asks
/// for [`READ`] rows from a place on; `take` gives the answer's total and rows.
pub fn use_reading<C, W, T>(
    pages: Pages<T>,
    mut wanted: impl FnMut() -> W + 'static,
    request: impl Fn(&W, u32) -> C::Request + 'static,
    take: impl Fn(C::Response) -> (u32, Vec<T>) + Clone + 'static,
) where
    C: Command + 'static,
    W: PartialEq + Clone + 'static,
{
    let app = use_app();
    let offset = use_memo(move || reading((pages.window)()));
    let mut turn = use_signal(|| 0u64);
    let mut read = use_signal(|| None::<(W, u64, u32)>);
    use_effect(move || {
        let of = (wanted(), (app.revision)(), (pages.again)());
        let offset = offset();
        let now = *turn.peek() + 1;
        turn.set(now);
        let request = request(&of.0, offset as u32);
        let take = take.clone();
        let Pages { mut rows, mut total, mut error, .. } = pages;
        spawn(async move {
            let answer = app.call::<C>(request).await;
            if *turn.peek() != now {
                return; // a later question is under way
            }
            match answer {
                Ok(answer) => {
                    let (count, page) = take(answer);
                    let mut rows = rows.write();
                    if read.peek().as_ref() != Some(&of) {
                        rows.clear();
                        read.set(Some(of));
                    }
                    rows.extend(page.into_iter().enumerate().map(|(i, row)| (offset + i, row)));
                    total.set(Some(count as usize));
                    error.set(None);
                }
                Err(refusal) => error.set(Some(refusal)),
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_covers_the_window() {
        for start in [0, 1, 49, 50, 51, 99_990] {
            let from = reading((start, start + 60));
            assert!(from <= start && start + 60 <= from + READ as usize);
        }
    }
}
