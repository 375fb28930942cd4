//! What can go wrong with a ledger: one enum, with the codes that `edusense.errors` knows.

use std::io;

use thiserror::Error;

/// Why a ledger could not be opened, read or written.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum MealsError {
    /// Another process (or another opening in this one) writes to this ledger.
    #[error("`{folder}` is being written by {holder}")]
    Locked {
        /// The ledger's folder.
        folder: String,
        /// Who holds it: program, process and since when.
        holder: String,
    },
    /// Something before the end is not what was written. Nothing was overwritten.
    #[error("segment `{segment}`, byte {offset}, record {record}: {what}")]
    Damaged {
        /// File name of the segment.
        segment: String,
        /// Byte in that file.
        offset: u64,
        /// Number of the record in the ledger, from 0.
        record: u64,
        /// What was found there.
        what: String,
    },
    /// The disk refused an operation.
    #[error("{doing}: {why}")]
    Storage {
        /// What was being done, and to which file.
        doing: String,
        /// The system's reason.
        why: String,
        /// Whether it was for want of room.
        full: bool,
    },
    /// An earlier failure of the disk left this writer unable to promise anything.
    #[error("cannot record: {reason}")]
    CannotRecord {
        /// The failure after which nothing more was written.
        reason: String,
    },
    /// Written by a newer edusense.
    #[error("segment `{segment}`, byte {offset}: {what}")]
    Version {
        /// File name of the segment.
        segment: String,
        /// Byte in that file.
        offset: u64,
        /// What is newer than this code.
        what: String,
    },
    /// This user may not read or write there.
    #[error("{doing}: permission denied")]
    Permission {
        /// What was being done, and to which file.
        doing: String,
    },
    /// There is no ledger where one was to be read.
    #[error("`{folder}` is not a ledger: {why}")]
    NotALedger {
        /// The folder that was named.
        folder: String,
        /// What is missing.
        why: String,
    },
    /// The ledger belongs to another school.
    #[error("the ledger belongs to school {found}, not to school {asked}")]
    OtherSchool {
        /// The number in its records.
        found: u32,
        /// The number it was opened with.
        asked: u32,
    },
    /// A record that was asked for is not here any more.
    #[error("record {record} was pruned: the ledger begins with record {until}")]
    Pruned {
        /// Number of the record.
        record: u64,
        /// Number of the first record that is here.
        until: u64,
    },
    /// Pruning was refused: nothing was changed.
    #[error("nothing is pruned: {why}")]
    NotPruned {
        /// What stands against it.
        why: String,
    },
    /// The ledger was closed, or was opened for reading only.
    #[error("the ledger {0}")]
    NotOpen(&'static str),
    /// Bytes that should be a signed batch, acknowledgement or proof are not one.
    #[error("refused: {what}")]
    Batch {
        /// The first thing that is wrong.
        what: String,
    },
}

impl MealsError {
    /// Every code that this crate can raise.
    pub const CODES: &'static [&'static str] = &[
        "batch",
        "ledger",
        "ledger-damaged",
        "ledger-locked",
        "ledger-storage",
        "ledger-version",
        "permission-denied",
    ];

    /// The stable name of this kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "ledger-locked",
            Self::Damaged { .. } => "ledger-damaged",
            Self::Storage { .. } | Self::CannotRecord { .. } => "ledger-storage",
            Self::Version { .. } => "ledger-version",
            Self::Permission { .. } => "permission-denied",
            Self::Batch { .. } => "batch",
            Self::NotALedger { .. }
            | Self::OtherSchool { .. }
            | Self::Pruned { .. }
            | Self::NotPruned { .. }
            | Self::NotOpen(_) => "ledger",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Locked { .. } => {
                "one process writes at a time: go through it (`edusense meals tap` does when the box runs), or stop it"
            }
            Self::Damaged { .. } => {
                "nothing was overwritten; copy the folder away, then `edusense meals verify` names every damaged record"
            }
            Self::Storage { full: true, .. } => {
                "make room on this disk; the ledger goes on as soon as there is some"
            }
            Self::Storage { .. } => {
                "`edusense doctor` looks at the disk; nothing that was confirmed is lost by this"
            }
            Self::CannotRecord { .. } => {
                "look at the disk (`dmesg`), then open the ledger again: what was confirmed is there"
            }
            Self::Version { .. } => "read it with the edusense that wrote it, or a newer one",
            Self::Permission { .. } => "the user that runs edusense must own this folder",
            Self::NotALedger { .. } => {
                "name the folder that holds `meals.synced` and the `.seg` files"
            }
            Self::OtherSchool { .. } => {
                "every school has a folder of its own; look at `number` and `data` in the site file"
            }
            Self::Pruned { .. } => {
                "the hub has it: its acknowledgement was checked before this ledger was pruned"
            }
            Self::NotPruned { .. } => {
                "`edusense meals prune` without --yes shows what stands against it"
            }
            Self::NotOpen(_) => "open it again, for writing",
            Self::Batch { .. } => {
                "nothing of it was taken; have it sent again, from where it was made"
            }
        };
        Some(hint.to_owned())
    }

    /// The error of an operation of the system.
    pub(crate) fn io(doing: impl Into<String>, error: &io::Error) -> Self {
        let doing = doing.into();
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Permission { doing },
            kind => Self::Storage {
                doing,
                why: error.to_string(),
                full: matches!(
                    kind,
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ),
            },
        }
    }
}
