//! Requests that wait to be decoded.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Request;

/// Bodies that one thread decodes before it runs anything: small ones together up to this many
/// bytes, so that they share a batch, or a single larger one.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// What a byte of a compressed body counts for: usual JSON and CSV shrink that much.
const PACKED: usize = 16;
/// What decoding a byte takes, to tell how long a new request would wait. That of a slow decode.
const BYTE_TIME: Duration = Duration::from_nanos(7);

/// A request whose body is still bytes.
pub(super) struct Undecoded<R> {
    pub(super) request: R,
    pub(super) bytes: usize,
    /// Whether the bytes are compressed, so that nobody knows how many they are.
    pub(super) is_packed: bool,
    pub(super) since: Instant,
}

/// Bodies in the order in which they came; small ones do not wait for large ones.
pub(super) struct Bodies<R> {
    small: VecDeque<Undecoded<R>>,
    large: VecDeque<Undecoded<R>>,
    is_turn_of_large: bool,
    /// What decoding all takes.
    decode_time: Duration,
}

impl<R> Undecoded<R> {
    /// Bytes to decode, as far as one can tell.
    fn plain_bytes(&self) -> usize {
        if self.is_packed { self.bytes.saturating_mul(PACKED) } else { self.bytes }
    }

    pub(super) fn is_large(&self) -> bool {
        self.plain_bytes() > SMALL_BYTES_MAX
    }

    /// What decoding it takes, about.
    pub(super) fn decode_time(&self) -> Duration {
        BYTE_TIME.saturating_mul(u32::try_from(self.plain_bytes()).unwrap_or(u32::MAX))
    }
}

impl<R: Request> Bodies<R> {
    pub(super) fn new() -> Self {
        let (small, large) = (VecDeque::new(), VecDeque::new());
        Self { small, large, is_turn_of_large: false, decode_time: Duration::ZERO }
    }

    pub(super) fn len(&self) -> usize {
        self.small.len() + self.large.len()
    }

    /// What decoding all takes, about.
    pub(super) fn decode_time(&self) -> Duration {
        self.decode_time
    }

    pub(super) fn push(&mut self, body: Undecoded<R>) {
        self.decode_time += body.decode_time();
        let queue = if body.is_large() { &mut self.large } else { &mut self.small };
        queue.push_back(body);
    }

    /// Whether [`take`](Self::take) gives something.
    pub(super) fn has_some(&self, may_take_large: bool) -> bool {
        !self.small.is_empty() || may_take_large && !self.large.is_empty()
    }

    /// One large body, or small ones that are decoded together; they take turns.
    pub(super) fn take(&mut self, may_take_large: bool) -> Vec<Undecoded<R>> {
        let can_take_large = may_take_large && !self.large.is_empty();
        let taken = if can_take_large && (self.is_turn_of_large || self.small.is_empty()) {
            self.is_turn_of_large = false;
            self.large.pop_front().into_iter().collect()
        } else {
            self.is_turn_of_large = true;
            self.take_small()
        };
        self.forget_time_of(&taken);
        taken
    }

    fn forget_time_of(&mut self, gone: &[Undecoded<R>]) {
        for body in gone {
            self.decode_time -= body.decode_time();
        }
    }

    fn take_small(&mut self) -> Vec<Undecoded<R>> {
        let mut taken: Vec<Undecoded<R>> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.small.front() {
            // What is compressed is decoded alone: it may turn out to be long.
            let joins = bytes + next.bytes <= SMALL_BYTES_MAX && !next.is_packed;
            if !taken.is_empty() && !joins {
                break;
            }
            let is_alone = next.is_packed;
            bytes += next.bytes;
            taken.extend(self.small.pop_front());
            if is_alone {
                break;
            }
        }
        taken
    }

    /// Takes out those that nobody waits for any more.
    pub(super) fn sweep(&mut self) -> Vec<Undecoded<R>> {
        let mut dead = Vec::new();
        for queue in [&mut self.small, &mut self.large] {
            let is_dead = |body: &Undecoded<R>| body.request.is_abandoned();
            let (swept, kept): (VecDeque<_>, _) =
                std::mem::take(queue).into_iter().partition(is_dead);
            *queue = kept;
            dead.extend(swept);
        }
        self.forget_time_of(&dead);
        dead
    }
}
