//! Deliberate bugs, for the test that the fault harness finds them. Only the crate's own tests are built with them.

/// One bug for each promise that the ledger makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Answers before the disk has confirmed.
    NoConfirmation,
    /// Asks the disk again after it failed to confirm, and believes the second answer.
    ConfirmationRetried,
    /// Believes records whose sum does not fit.
    SumIgnored,
    /// Believes records that do not follow the one before them.
    ChainIgnored,
    /// Starts with an empty index of who was served.
    IndexNotRebuilt,
    /// Takes whatever is unsound for a torn write, and cuts it off.
    DamageCutOff,
    /// A write answers also for what queued up while it was under way.
    AnswersForTheNextWrite,
    /// Who leads wakes nobody when it is done.
    WakesNobody,
    /// A write that failed is taken back only where it was written, not in what queued up behind it.
    NextWriteGoesOn,
}

#[cfg(feature = "sabotage")]
mod on {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PRESENT: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Makes this thread's ledgers have a bug.
    pub fn set(bug: Option<Bug>) {
        PRESENT.set(bug);
    }

    pub(crate) fn is(bug: Bug) -> bool {
        PRESENT.get() == Some(bug)
    }
}

#[cfg(feature = "sabotage")]
pub(crate) use on::is;
#[cfg(feature = "sabotage")]
pub use on::set;

#[cfg(not(feature = "sabotage"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
