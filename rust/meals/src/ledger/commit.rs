//! Group commit: whoever needs the disk and finds nobody writing leads, takes the whole queue, and answers for all of it.

use std::sync::{Arc, OnceLock, PoisonError};

use super::{Ledger, State, Tail, Undo};
use crate::error::MealsError;
use crate::record::{RECORD_BYTES, Record, chain};
use crate::sabotage::{Bug, is};
use crate::sync::MutexGuard;
use crate::writer::WriteFailed;

/// What the waiting threads of one write learn: the error, and below which position it does not concern them.
pub(super) type Outcome = Result<(), (MealsError, u64)>;
/// One for each write, held by all who wait for it.
pub(super) type Ticket = Arc<OnceLock<Outcome>>;

impl Ledger {
    /// Waits until the disk has confirmed a position (`None`: the whole queue), leading a write if nobody does.
    pub(super) fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        position: Option<u64>,
    ) -> Result<(), MealsError> {
        let position = position.unwrap_or(state.tail.position.saturating_sub(1));
        let ticket = match &state.in_flight {
            Some((ticket, end)) if position < *end => Arc::clone(ticket),
            _ => Arc::clone(&state.queued),
        };
        state.waiting += 1;
        // As long as the ticket is open, the record at this position is ours: a failure closes it.
        while ticket.get().is_none() && position >= state.base.position {
            state = if state.leading {
                self.turn
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner)
            } else {
                self.lead(state, true)
            };
        }
        state.waiting -= 1;
        if state.waiting == 0 && !state.leading && !state.queue.is_empty() {
            // Marks that nobody waits for queued up behind the last write: the system should have them too.
            drop(self.lead(state, false));
        } else {
            drop(state);
        }
        match ticket.get() {
            Some(Err((error, synced))) if position >= *synced => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Writes the whole queue, outside the lock.
    pub(super) fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        sync: bool,
    ) -> MutexGuard<'a, State> {
        let mut sync = sync;
        loop {
            state.leading = true;
            let bytes = std::mem::take(&mut state.queue);
            let ticket = std::mem::take(&mut state.queued);
            let (from, after) = (state.written.position, state.tail);
            let until = if sync { after.position } else { u64::MAX };
            state.in_flight = Some((Arc::clone(&ticket), until));
            drop(state);
            let guard = Leading(self);
            let outcome = self
                .writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write(from, &bytes, sync);
            std::mem::forget(guard);
            state = self.state();
            state.leading = false;
            state.in_flight = None;
            match outcome {
                Ok(confirmed) => {
                    state.written = after;
                    if confirmed {
                        state.base = after;
                        while state
                            .undo
                            .front()
                            .is_some_and(|(position, _)| *position < after.position)
                        {
                            state.undo.pop_front();
                        }
                    }
                    if sync {
                        let _ = ticket.set(Ok(()));
                        if is(Bug::AnswersForTheNextWrite) {
                            let _ = std::mem::take(&mut state.queued).set(Ok(()));
                        }
                    } else {
                        // Who queued up meanwhile holds this ticket too, and waits for the next write.
                        state.queued = ticket;
                    }
                }
                Err(failed) => self.take_back(&mut state, &ticket, &bytes, from, failed),
            }
            if !is(Bug::WakesNobody) {
                self.turn.notify_all();
            }
            if state.queue.is_empty() || state.waiting > usize::from(sync) || state.broken.is_some()
            {
                return state;
            }
            sync = false;
        }
    }

    /// After a failed write: the ledger in memory goes back to what the disk has confirmed.
    fn take_back(
        &self,
        state: &mut State,
        ticket: &Ticket,
        bytes: &[u8],
        from: u64,
        failed: WriteFailed,
    ) {
        if failed.synced > state.base.position {
            // A whole segment's part of the write had been confirmed before the rest failed.
            let last = usize::try_from(failed.synced - from).unwrap_or(0);
            if let Some(raw) = last
                .checked_sub(1)
                .and_then(|last| bytes.as_chunks::<RECORD_BYTES>().0.get(last))
            {
                let time = Record::decode(raw).map_or(state.base.time, |record| record.time);
                state.base = Tail {
                    position: failed.synced,
                    hash: chain(raw),
                    time,
                };
            } else {
                state.base = state.written;
            }
        }
        let keep = state.base.position;
        while let Some((position, undo)) = state.undo.pop_back() {
            if position < keep {
                continue; // confirmed; what is older than it was confirmed too, so nothing is needed any more
            }
            match undo {
                Undo::Index(key, held) => state.index.set(key, held),
                Undo::Stream(terminal, Some(last)) => {
                    state.streams.insert(terminal, last);
                }
                Undo::Stream(terminal, None) => {
                    state.streams.remove(&terminal);
                }
            }
        }
        state.queue.clear();
        state.recent.cut(keep);
        state.tail = state.base;
        state.written = state.base;
        if failed.fatal {
            state.broken = Some(failed.error.to_string());
        }
        let queued = std::mem::take(&mut state.queued);
        let _ = ticket.set(Err((failed.error.clone(), keep)));
        let answer = if is(Bug::NextWriteGoesOn) {
            Ok(())
        } else {
            Err((failed.error, keep))
        };
        let _ = queued.set(answer);
    }
}

/// Lets the others go on, with an error, if the leader does not come back: a thread that panics must not leave them waiting.
struct Leading<'a>(&'a Ledger);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let reason = "a bug in writing the ledger".to_owned();
        state.leading = false;
        state.broken = Some(reason.clone());
        let keep = state.base.position;
        let queued = std::mem::take(&mut state.queued);
        for ticket in [
            state.in_flight.take().map(|(ticket, _)| ticket),
            Some(queued),
        ] {
            let error = MealsError::CannotRecord {
                reason: reason.clone(),
            };
            let _ = ticket.map(|ticket| ticket.set(Err((error, keep))));
        }
        drop(state);
        self.0.turn.notify_all();
    }
}
