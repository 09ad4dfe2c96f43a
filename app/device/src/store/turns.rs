//! Turns in the order in which they were asked for.
//!
//! A mutex lets whoever comes first have it, and that is as a rule the thread that has just let go of
//! it: a sync that applies page after page could keep an answer that is being saved waiting until
//! its last page. In order, an answer waits for one page at the most.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    now: u64,
}

/// Somebody's turn; it ends when this is dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits for the turn of whoever calls this.
    pub(crate) fn mine(&self) -> Turn<'_> {
        let mut state = self.state();
        let mine = state.next;
        state.next += 1;
        while state.now != mine {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Turn(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn asked_for(&self) -> u64 {
        self.state().next
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().now += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_twice_while_somebody_waits() {
        let turns = Turns::default();
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let first = turns.mine();
            for n in 1..=8u64 {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let _turn = turns.mine();
                    order.lock().unwrap().push(n);
                });
                while turns.asked_for() <= n {
                    std::thread::yield_now();
                }
            }
            drop(first);
            // As a sync does after its page: it asks again at once.
            let _again = turns.mine();
            assert_eq!(*order.lock().unwrap(), (1..=8).collect::<Vec<_>>());
        });
    }

    #[test]
    fn a_panic_ends_the_turn() {
        let turns = Turns::default();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _turn = turns.mine();
            panic!("in a transaction");
        }));
        assert!(caught.is_err());
        drop(turns.mine());
    }
}
