//! What an event loop does for the inference threads while it refuses requests.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

/// A turn of the event loop that takes longer has fallen behind what arrives.
const TURN_MAX: Duration = Duration::from_millis(1);

/// Gives the core away at the end of a turn in which requests were refused, if somebody else wants
/// it. Where event loops and inference threads share cores, each refused request would else
/// interrupt a run, which costs several times what it takes to refuse it: requests that gather
/// meanwhile are refused together. Belongs to one event loop.
#[derive(Default)]
pub(super) struct Relief {
    turn: Rc<Turn>,
}

#[derive(Default)]
struct Turn {
    is_refusing: Cell<bool>,
    /// When the core was given away last, and came back.
    since: Cell<Option<Instant>>,
}

impl Relief {
    /// Notes a refused request. To be called on a tokio `LocalSet`.
    pub(super) fn note_refused(&self) {
        if self.turn.is_refusing.replace(true) {
            return;
        }
        let turn = Rc::clone(&self.turn);
        // Runs after all connections whose requests have arrived.
        tokio::task::spawn_local(async move { turn.end() });
    }
}

impl Turn {
    fn end(&self) {
        self.is_refusing.set(false);
        let is_behind = self.since.get().is_some_and(|since| since.elapsed() > TURN_MAX);
        if !is_behind {
            thread::yield_now();
        }
        self.since.set(Some(Instant::now()));
    }
}
