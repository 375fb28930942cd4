//! Small writes past the system's page cache, which the disk confirms at once.
//!
//! `pwrite` and `fdatasync` copy a record into a page, queue the page, wait for it, and then flush the disk. A write of whole
//! blocks with `O_DIRECT` and `O_DSYNC` does the same in one call, and where the disk knows how, in one command (FUA). It
//! promises the same for its own bytes: when it returns, they survive a power cut (`open(2)`: O_DSYNC is as though each write
//! were followed by fdatasync). For bytes that were written before and not confirmed, FUA promises nothing: unless this write
//! carries them too, `fdatasync` has to.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Every disk takes blocks of this size at multiples of this size.
const BLOCK: usize = 4096;
/// Longer writes go through the page cache, where copying once more costs less than it saves.
const MOST: usize = 16 * BLOCK;

/// A file that is also open for direct writes.
pub(crate) struct Direct {
    durable: fs::File,
    plain: fs::File,
    /// Memory with [`MOST`] bytes from `start` on, at an address that is a multiple of [`BLOCK`].
    memory: Vec<u8>,
    start: usize,
    /// Offset in the file of the block that stands first in memory, if it is as in the file.
    holds: Option<u64>,
    pending: Pending,
}

/// What was written and not confirmed.
#[derive(Clone, Copy)]
enum Pending {
    Nothing,
    /// Directly, from this offset on.
    From(u64),
    /// Through the page cache, or nobody knows.
    Unknown,
}

/// Why a direct write did not happen.
pub(crate) enum Refused {
    /// It cannot be done this way, and nothing was written.
    NotThis,
    /// The disk failed: nothing is known of these bytes.
    Failed(io::Error),
}

impl Direct {
    /// Opens a file once more, for direct writes; `None` where the file system has none.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let open = |flags: OFlags| {
            fs::OpenOptions::new()
                .write(true)
                .custom_flags(flags.bits().cast_signed())
                .open(path)
                .ok()
        };
        let memory = vec![0; MOST + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK);
        (start < BLOCK).then_some(Self {
            durable: open(OFlags::DIRECT | OFlags::DSYNC)?,
            plain: open(OFlags::DIRECT)?,
            memory,
            start,
            holds: None,
            pending: Pending::Unknown,
        })
    }

    /// Somebody writes to the file in another way.
    pub(crate) fn forget(&mut self) {
        (self.holds, self.pending) = (None, Pending::Unknown);
    }

    /// Everything in the file was confirmed.
    pub(crate) fn confirmed(&mut self) {
        self.pending = Pending::Nothing;
    }

    /// Writes bytes, and returns when the disk has them and all that was written before.
    ///
    /// `file` is the same file, to read what else stands in the blocks.
    pub(crate) fn write_durably(
        &mut self,
        file: &fs::File,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), Refused> {
        match self.pending {
            Pending::Nothing => {}
            Pending::From(from) if from >= offset / BLOCK as u64 * BLOCK as u64 => {}
            _ => return Err(Refused::NotThis),
        }
        self.write(file, bytes, offset, true)?;
        self.pending = Pending::Nothing;
        Ok(())
    }

    /// Writes a few bytes and does not wait for the disk's confirmation.
    pub(crate) fn write_lazily(
        &mut self,
        file: &fs::File,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), Refused> {
        if bytes.len() > BLOCK {
            return Err(Refused::NotThis);
        }
        self.write(file, bytes, offset, false)?;
        self.pending = match self.pending {
            Pending::Nothing => Pending::From(offset),
            Pending::From(from) => Pending::From(from.min(offset)),
            Pending::Unknown => Pending::Unknown,
        };
        Ok(())
    }

    fn write(
        &mut self,
        file: &fs::File,
        bytes: &[u8],
        offset: u64,
        durably: bool,
    ) -> Result<(), Refused> {
        let block = BLOCK as u64;
        let first = offset / block * block;
        let end = (offset + bytes.len() as u64).div_ceil(block) * block;
        let size = usize::try_from(end - first).unwrap_or(usize::MAX);
        let length = file.metadata().map_err(|_| Refused::NotThis)?.len();
        if bytes.is_empty() || size > MOST || end > length {
            return Err(Refused::NotThis);
        }
        let held = self.holds.take();
        let memory = &mut self.memory[self.start..self.start + MOST];
        let fill = |memory: &mut [u8], at: u64| {
            file.read_exact_at(memory, at).map_err(|_| Refused::NotThis)
        };
        if held != Some(first) {
            fill(&mut memory[..BLOCK], first)?;
        }
        if size > BLOCK {
            fill(&mut memory[size - BLOCK..size], end - block)?;
        }
        let at = usize::try_from(offset - first).unwrap_or(BLOCK);
        memory[at..at + bytes.len()].copy_from_slice(bytes);
        let target = if durably { &self.durable } else { &self.plain };
        loop {
            match target.write_at(&memory[..size], first) {
                Ok(count) if count == size => break,
                Ok(count) => {
                    self.pending = Pending::Unknown;
                    let told = format!("{count} of {size} bytes were written");
                    return Err(Refused::Failed(io::Error::other(told)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    return Err(Refused::NotThis);
                }
                Err(error) => {
                    self.pending = Pending::Unknown;
                    return Err(Refused::Failed(error));
                }
            }
        }
        memory.copy_within(size - BLOCK..size, 0);
        self.holds = Some(end - block);
        Ok(())
    }
}
