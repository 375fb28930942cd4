//! A disk in memory that fails on command: what tests put below the real ledger.
//!
//! It keeps apart what was written and what was confirmed. A crash keeps the confirmed bytes and, of everything else, what
//! chance decides: each 512-byte sector of an unconfirmed write is there, or not, or was cut at a byte; names that were not
//! synced are there in the order in which they were made, up to some point.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::{Blob, LockRefused, Storage};

const SECTOR: usize = 512;
const ENOSPC: i32 = 28;

/// What happens at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The power fails before it: this operation and all later ones fail.
    Crash,
    /// It fails with this system error number; for a write, half of it may be there.
    Error(i32),
    /// A write goes to another place of the same file, this many sectors from its beginning (and as far into the sector as it
    /// was meant to be), and is confirmed as if nothing had happened. Of other operations nothing becomes.
    Misdirect(u64),
}

/// What a power cut leaves of what the disk had not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// All writes but the last one, and that up to this byte.
    Torn(usize),
    /// Nothing.
    Nothing,
    /// Of each sector all, nothing, or a beginning, by chance.
    Chance,
}

#[derive(Clone, Default)]
struct Bytes {
    now: Vec<u8>,
    confirmed: Vec<u8>,
    /// Parts of `now` that were written since.
    dirty: Vec<(usize, usize)>,
}

#[derive(Clone, Debug)]
enum Naming {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Default)]
struct Inner {
    files: Vec<Bytes>,
    names: BTreeMap<String, usize>,
    confirmed_names: BTreeMap<String, usize>,
    namings: Vec<Naming>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    /// Faults of the next operations of a name (`*`: of any): how many of them go well before it.
    armed: Vec<(&'static str, u64, Fault)>,
    /// The fault of the operation that was counted last.
    struck: Option<Fault>,
    fired: Vec<Fault>,
    /// The file of the last write; the last of its unconfirmed parts is that write.
    last_write: Option<usize>,
    /// Sectors that cannot be read.
    unreadable: BTreeSet<(usize, u64)>,
    crashed: bool,
    locked: bool,
    /// Bytes that fit; beyond it the disk is full.
    room: Option<usize>,
    log: Vec<&'static str>,
}

/// A folder on the disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Inner>>,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operations so far; each has its number, from 0.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// Names of the operations so far: `write`, `sync`, `create`, `rename`, `remove`, `sync-names`.
    #[must_use]
    pub fn log(&self) -> Vec<&'static str> {
        self.inner().log.clone()
    }

    /// Lets the operation with this number fail.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.inner().faults.insert(operation, fault);
    }

    /// Lets an operation of this name fail (`*`: of any name), after so many of them that go well.
    pub fn fail_next(&self, name: &'static str, after: u64, fault: Fault) {
        self.inner().armed.push((name, after, fault));
    }

    /// The faults that have happened; a disk without room is one with the number of that error.
    #[must_use]
    pub fn fired(&self) -> Vec<Fault> {
        self.inner().fired.clone()
    }

    /// Lets every operation from here on fail: whoever still holds this disk has lost it.
    pub fn cut_power(&self) {
        self.inner().crashed = true;
    }

    /// Bytes of the last write that the disk has not confirmed; 0 if there is none.
    #[must_use]
    pub fn last_unconfirmed(&self) -> usize {
        let inner = self.inner();
        let last = inner
            .last_write
            .and_then(|file| inner.files[file].dirty.last());
        last.map_or(0, |(from, to)| to - from)
    }

    /// Makes one sector of a file impossible to read.
    pub fn spoil_sector(&self, name: &str, sector: u64) {
        let mut inner = self.inner();
        if let Some(file) = inner.names.get(name).copied() {
            inner.unreadable.insert((file, sector));
        }
    }

    /// A copy of everything as it is now: an image of the disk.
    #[must_use]
    pub fn image(&self) -> Self {
        let inner = self.inner();
        Self::of(
            inner.files.iter().map(|file| file.now.clone()).collect(),
            inner.names.clone(),
        )
    }

    fn of(files: Vec<Vec<u8>>, names: BTreeMap<String, usize>) -> Self {
        let files = files
            .into_iter()
            .map(|now| Bytes {
                confirmed: now.clone(),
                now,
                dirty: Vec::new(),
            })
            .collect();
        Self {
            inner: Arc::new(Mutex::new(Inner {
                files,
                names: names.clone(),
                confirmed_names: names,
                ..Inner::default()
            })),
        }
    }

    /// The disk as the next start finds it, if the power fails and leaves just this.
    #[must_use]
    pub fn after_crash_that_left(&self, left: Left, mut chance: impl FnMut() -> u64) -> Self {
        if left == Left::Chance {
            return self.after_crash(chance);
        }
        let inner = self.inner();
        let mut names = inner.confirmed_names.clone();
        if matches!(left, Left::Torn(_)) {
            // Names go to the disk in their order; the torn write came after some of them.
            let kept = chance() as usize % (inner.namings.len() + 1);
            apply(&mut names, &inner.namings[..kept]);
        }
        let files = inner.files.iter().enumerate().map(|(number, file)| {
            let Left::Torn(cut) = left else {
                return file.confirmed.clone();
            };
            let mut found = file.confirmed.clone();
            for (index, (from, to)) in file.dirty.iter().enumerate() {
                let last = inner.last_write == Some(number) && index + 1 == file.dirty.len();
                let to = if last { (*from + cut).min(*to) } else { *to };
                if found.len() < to {
                    found.resize(to, 0);
                }
                found[*from..to].copy_from_slice(&file.now[*from..to]);
            }
            found
        });
        Self::of(files.collect(), names)
    }

    /// Limits the room to this many bytes; `None` lifts the limit.
    pub fn set_room(&self, bytes: Option<usize>) {
        self.inner().room = bytes;
    }

    /// Bytes of all files.
    #[must_use]
    pub fn used(&self) -> usize {
        let inner = self.inner();
        inner
            .names
            .values()
            .map(|file| inner.files[*file].now.len())
            .sum()
    }

    /// The disk as the next start finds it; `chance` gives random numbers.
    #[must_use]
    pub fn after_crash(&self, mut chance: impl FnMut() -> u64) -> Self {
        let inner = self.inner();
        let mut names = inner.confirmed_names.clone();
        let kept = if inner.namings.is_empty() {
            0
        } else {
            chance() as usize % (inner.namings.len() + 1)
        };
        apply(&mut names, &inner.namings[..kept]);
        let files = inner
            .files
            .iter()
            .map(|file| settled(file, &mut chance))
            .collect();
        Self::of(files, names)
    }

    /// Changes the bytes of a file behind everybody's back.
    ///
    /// # Panics
    /// If there is no such file: a test asked for what it did not make.
    #[allow(clippy::expect_used)] // only tests come here
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.inner();
        let file = *inner.names.get(name).expect("a file of this name");
        change(&mut inner.files[file].now);
        inner.files[file].confirmed = inner.files[file].now.clone();
    }

    /// The bytes of a file.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let inner = self.inner();
        inner
            .names
            .get(name)
            .map(|file| inner.files[*file].now.clone())
    }
}

/// Does again what was done to names.
fn apply(names: &mut BTreeMap<String, usize>, namings: &[Naming]) {
    for naming in namings {
        match naming {
            Naming::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Naming::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Naming::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

/// What is left of a file after a crash.
fn settled(file: &Bytes, chance: &mut impl FnMut() -> u64) -> Vec<u8> {
    let mut left = file.confirmed.clone();
    for (from, to) in &file.dirty {
        let mut at = *from;
        while at < *to {
            let end = ((at / SECTOR + 1) * SECTOR).min(*to);
            let kept = match chance() % 4 {
                0 => 0,
                1 | 2 => end - at,
                _ => chance() as usize % (end - at + 1),
            };
            if left.len() < at + kept {
                left.resize(at + kept, 0);
            }
            left[at..at + kept].copy_from_slice(&file.now[at..at + kept]);
            at = end;
        }
    }
    left
}

impl Inner {
    /// Counts an operation and fails it if that was asked for.
    fn operation(&mut self, name: &'static str) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        self.log.push(name);
        self.struck = None;
        if self.crashed {
            return Err(io::Error::other("the power has failed"));
        }
        let mut fault = self.faults.get(&number).copied();
        self.armed.retain_mut(|(wanted, after, armed)| {
            if *wanted != name && *wanted != "*" {
                return true;
            }
            if *after > 0 || fault.is_some() {
                *after = after.saturating_sub(1);
                return true;
            }
            fault = Some(*armed);
            false
        });
        self.struck = fault;
        self.fired.extend(fault);
        match fault {
            Some(Fault::Crash) => {
                self.crashed = true;
                Err(io::Error::other("the power has failed"))
            }
            Some(Fault::Error(number)) => Err(io::Error::from_raw_os_error(number)),
            Some(Fault::Misdirect(_)) | None => Ok(()),
        }
    }
}

impl Storage for MemoryDisk {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.inner().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn Blob>> {
        let file = self
            .inner()
            .names
            .get(name)
            .copied()
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile {
            disk: self.clone(),
            file,
        }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Blob>> {
        let mut inner = self.inner();
        inner.operation("create")?;
        let file = inner.files.len();
        inner.files.push(Bytes::default());
        inner.names.insert(name.to_owned(), file);
        inner.namings.push(Naming::Create(name.to_owned(), file));
        Ok(Arc::new(MemoryFile {
            disk: self.clone(),
            file,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operation("rename")?;
        let file = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), file);
        inner
            .namings
            .push(Naming::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operation("remove")?;
        inner.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        inner.namings.push(Naming::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operation("sync-names")?;
        inner.confirmed_names = inner.names.clone();
        inner.namings.clear();
        Ok(())
    }

    fn lock(&self, _: &str) -> Result<Box<dyn Send>, LockRefused> {
        let mut inner = self.inner();
        if inner.locked {
            return Err(LockRefused::Held("another writer in memory".to_owned()));
        }
        inner.locked = true;
        Ok(Box::new(MemoryLock(self.clone())))
    }

    fn holder(&self) -> Option<String> {
        self.inner()
            .locked
            .then(|| "another writer in memory".to_owned())
    }
}

struct MemoryLock(MemoryDisk);

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.inner().locked = false;
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    file: usize,
}

impl Blob for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.inner().files[self.file].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = self.disk.inner();
        let bytes = &inner.files[self.file].now;
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let count = buffer.len().min(bytes.len() - from);
        if !inner.unreadable.is_empty() && count > 0 {
            let sector = |at: usize| (at / SECTOR) as u64;
            let wanted = (self.file, sector(from))..=(self.file, sector(from + count - 1));
            if inner.unreadable.range(wanted).next().is_some() {
                return Err(io::Error::from_raw_os_error(5)); // EIO
            }
        }
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.disk.inner();
        let mut from = usize::try_from(offset).map_err(io::Error::other)?;
        let outcome = inner.operation("write");
        // A power cut in the middle of a write leaves any part of it; an error leaves half.
        let fault = inner.struck;
        let power_failed_now = fault == Some(Fault::Crash);
        let count = match &outcome {
            Ok(()) => bytes.len(),
            Err(_) if power_failed_now => bytes.len(),
            Err(_) if inner.crashed => 0,
            Err(_) => bytes.len() / 2,
        };
        let others: usize = inner
            .names
            .values()
            .map(|file| inner.files[*file].now.len())
            .sum();
        let grows = (from + count).saturating_sub(inner.files[self.file].now.len());
        if inner
            .room
            .is_some_and(|room| grows > 0 && others + grows > room)
        {
            inner.fired.push(Fault::Error(ENOSPC));
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        if let (Some(Fault::Misdirect(sectors)), false) = (fault, inner.crashed) {
            let length = inner.files[self.file].now.len();
            let whole = (length.saturating_sub(count) / SECTOR + 1) as u64;
            from = (sectors % whole) as usize * SECTOR + from % SECTOR;
            if from + count > length {
                from = from.saturating_sub(SECTOR);
            }
        }
        inner.last_write = Some(self.file);
        let file = &mut inner.files[self.file];
        if file.now.len() < from + count {
            file.now.resize(from + count, 0);
        }
        file.now[from..from + count].copy_from_slice(&bytes[..count]);
        file.dirty.push((from, from + count));
        outcome
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk.inner();
        let outcome = inner.operation("sync");
        let crashed = inner.crashed;
        let file = &mut inner.files[self.file];
        if outcome.is_ok() {
            // Only what was written since the last confirmation: pages that a failed one left clean are not tried again.
            file.confirmed.resize(file.now.len(), 0);
            for (from, to) in std::mem::take(&mut file.dirty) {
                file.confirmed[from..to].copy_from_slice(&file.now[from..to]);
            }
        }
        if !crashed {
            // Also after a failure: Linux then marks the pages clean, and the next sync says all is well.
            file.dirty.clear();
        }
        outcome
    }
}
