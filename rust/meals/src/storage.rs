//! Where the bytes are: a folder of files, behind traits so that tests can put a failing disk below the real code.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::direct::{Direct, Refused};

/// Name of the file whose lock says who writes.
pub(crate) const LOCK_NAME: &str = "meals.lock";

/// A folder with files in it.
pub trait Storage: Send + Sync {
    /// How people know this place.
    fn place(&self) -> String;
    /// Names of the files that are there.
    ///
    /// # Errors
    /// Of the system.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Opens a file that exists.
    ///
    /// # Errors
    /// Of the system.
    fn open(&self, name: &str) -> io::Result<Arc<dyn Blob>>;
    /// Makes an empty file, or empties the one that is there.
    ///
    /// # Errors
    /// Of the system.
    fn create(&self, name: &str) -> io::Result<Arc<dyn Blob>>;
    /// Gives a file another name.
    ///
    /// # Errors
    /// Of the system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Of the system.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Returns when names made, changed and removed so far survive a power cut.
    ///
    /// # Errors
    /// Of the system.
    fn sync_names(&self) -> io::Result<()>;
    /// Becomes the one writer.
    ///
    /// # Errors
    /// [`LockRefused`]: somebody else is, or the system refused.
    fn lock(&self, holder: &str) -> Result<Box<dyn Send>, LockRefused>;
    /// Who writes at this moment, if anybody does.
    fn holder(&self) -> Option<String>;
}

/// The bytes of one file.
pub trait Blob: Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// Of the system.
    fn length(&self) -> io::Result<u64>;
    /// Reads as many bytes as there are from `offset`, up to the length of `buffer`; returns how many.
    ///
    /// # Errors
    /// Of the system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes.
    ///
    /// # Errors
    /// Of the system; then any part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when everything written to this file survives a power cut.
    ///
    /// # Errors
    /// Of the system; then nothing is known of what was written since the last success, and asking again proves nothing.
    fn sync(&self) -> io::Result<()>;
    /// Writes all bytes and returns when they, and everything written to this file before, survive a power cut.
    ///
    /// # Errors
    /// [`NotDurable`]: whether another try is of use.
    fn write_durably(&self, bytes: &[u8], offset: u64) -> Result<(), NotDurable> {
        self.write_at(bytes, offset).map_err(NotDurable::Written)?;
        self.sync().map_err(NotDurable::Confirmed)
    }
}

/// What of a durable write failed.
#[derive(Debug)]
pub enum NotDurable {
    /// The writing: any part of the bytes may be there, and they may be written again.
    Written(io::Error),
    /// The confirming: nothing is known of the bytes, and asking again proves nothing.
    Confirmed(io::Error),
}

/// Why nobody could become the writer.
#[derive(Debug)]
pub enum LockRefused {
    /// Somebody else is: program, process and since when.
    Held(String),
    /// The system refused.
    Io(io::Error),
}

/// A real folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    writing: bool,
}

impl Folder {
    /// A folder to write to; it is made if it is not there.
    ///
    /// # Errors
    /// Of the system.
    pub fn for_writing(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self {
            path: path.to_owned(),
            writing: true,
        })
    }

    /// A folder to read from.
    #[must_use]
    pub fn for_reading(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            writing: false,
        }
    }
}

impl Storage for Folder {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn Blob>> {
        let path = self.path.join(name);
        let file = fs::OpenOptions::new()
            .read(true)
            .write(self.writing)
            .open(&path)?;
        Ok(Arc::new(RealFile {
            file,
            direct: Mutex::new(if self.writing {
                Way::NotTried(path)
            } else {
                Way::No
            }),
        }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Blob>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(self.path.join(name))?;
        Ok(Arc::new(RealFile {
            file,
            direct: Mutex::new(Way::No),
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }

    fn lock(&self, holder: &str) -> Result<Box<dyn Send>, LockRefused> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(self.path.join(LOCK_NAME))
            .map_err(LockRefused::Io)?;
        for left in (0..5).rev() {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                // A reader that looks whether somebody writes holds the lock for an instant.
                Err(rustix::io::Errno::WOULDBLOCK) if left > 0 => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(LockRefused::Held(self.noted_holder()));
                }
                Err(error) => return Err(LockRefused::Io(error.into())),
            }
        }
        // The name is for people; the lock is the kernel's. A name that cannot be written (a full disk) stops nobody.
        let _ = file
            .set_len(0)
            .and_then(|()| file.write_all_at(holder.as_bytes(), 0));
        Ok(Box::new(file))
    }

    fn holder(&self) -> Option<String> {
        let file = fs::File::open(self.path.join(LOCK_NAME)).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => Some(self.noted_holder()),
            _ => None,
        }
    }
}

impl Folder {
    fn noted_holder(&self) -> String {
        let noted = fs::read_to_string(self.path.join(LOCK_NAME)).unwrap_or_default();
        let noted = noted.trim();
        if noted.is_empty() {
            "another process".to_owned()
        } else {
            noted.to_owned()
        }
    }
}

struct RealFile {
    file: fs::File,
    direct: Mutex<Way>,
}

/// Whether small writes go past the page cache.
enum Way {
    NotTried(PathBuf),
    Yes(Box<Direct>),
    No,
}

impl RealFile {
    fn way(&self) -> MutexGuard<'_, Way> {
        let mut way = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        if let Way::NotTried(path) = &*way {
            *way = Direct::open(path).map_or(Way::No, |direct| Way::Yes(Box::new(direct)));
        }
        way
    }
}

impl Blob for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Way::Yes(direct) = &mut *self.way() {
            match direct.write_lazily(&self.file, bytes, offset) {
                Ok(()) => return Ok(()),
                Err(Refused::NotThis) => direct.forget(),
                Err(Refused::Failed(error)) => return Err(error),
            }
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let mut way = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        self.file.sync_data()?;
        if let Way::Yes(direct) = &mut *way {
            direct.confirmed();
        }
        Ok(())
    }

    fn write_durably(&self, bytes: &[u8], offset: u64) -> Result<(), NotDurable> {
        if let Way::Yes(direct) = &mut *self.way() {
            match direct.write_durably(&self.file, bytes, offset) {
                Ok(()) => return Ok(()),
                Err(Refused::NotThis) => {}
                Err(Refused::Failed(error))
                    if matches!(
                        error.kind(),
                        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                    ) =>
                {
                    return Err(NotDurable::Written(error));
                }
                // One call writes and confirms: which of the two failed, nobody says.
                Err(Refused::Failed(error)) => return Err(NotDurable::Confirmed(error)),
            }
        }
        self.write_at(bytes, offset).map_err(NotDurable::Written)?;
        self.sync().map_err(NotDurable::Confirmed)
    }
}
