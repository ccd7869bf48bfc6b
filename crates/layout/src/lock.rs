//! The lock that changes of the index hold (design law 4).
//!
//! An advisory lock of the system on `.transship/lock`: it goes with its process, however that ends. The file tells who
//! holds it, for people. Since the file may be removed by whoever holds it, the lock counts only if the path still names
//! the locked file.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::time::{Duration, Instant};

use crate::dir::FileState;
use crate::layout::Inner;
use crate::scratch::{FOLDER, Scratch};
use crate::{Error, Links, Result};

/// The lock file's name in the scratch folder.
pub(crate) const FILE: &str = "lock";

/// The lock of one layout, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started has the file open too.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Waits for the lock, as long as the options say.
    pub(crate) fn take(inner: &Inner) -> Result<Self> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match Self::attempt(inner)? {
                Attempt::Held(lock) => return Ok(lock),
                Attempt::Replaced => continue,
                Attempt::Busy(holder) if start.elapsed() >= inner.options.lock_wait => {
                    return Err(Error::Busy { path: inner.path.clone(), holder });
                }
                Attempt::Busy(_) => {}
            }
            let left = inner.options.lock_wait.saturating_sub(start.elapsed());
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// The lock if nobody holds it.
    pub(crate) fn take_now(inner: &Inner) -> Option<Self> {
        match Self::attempt(inner) {
            Ok(Attempt::Held(lock)) => Some(lock),
            _ => None,
        }
    }

    /// Whether somebody holds the lock just now; nothing is made or written to find out.
    pub(crate) fn is_held(inner: &Inner) -> bool {
        let opened =
            Scratch::new(inner).existing("").and_then(|folder| folder.read(FILE, Links::Refuse).ok());
        opened.is_some_and(|opened| {
            matches!(File::from(opened.fd).try_lock_shared(), Err(TryLockError::WouldBlock))
        })
    }

    fn attempt(inner: &Inner) -> Result<Attempt> {
        let (folder, mut file) =
            Scratch::new(inner).with("", FILE, |folder| folder.open_or_create(FILE, false))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy(holder(&file))),
            Err(TryLockError::Error(source)) if !inner.options.single_writer => {
                // It is of no use here, and nothing should be left by what could not begin.
                let _ = folder.remove_file(FILE);
                let _ = inner.root.remove_dir(FOLDER);
                return Err(Error::Locking { path: inner.at(".transship/lock"), source });
            }
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let reading = || Error::storage("reading", inner.at(".transship/lock"));
        let locked = FileState::of(&file).map_err(reading())?;
        let named = folder.state(FILE).map_err(reading())?;
        if !named.is_some_and(|named| named.is_same_inode(&locked)) {
            return Ok(Attempt::Replaced);
        }
        // Only for people; a lock whose holder is not told is as good.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", this_process()));
        Ok(Attempt::Held(Self { file }))
    }
}

enum Attempt {
    Held(Lock),
    Busy(String),
    Replaced,
}

fn this_process() -> String {
    let host = rustix::system::uname();
    format!("process {} on {}", std::process::id(), host.nodename().to_string_lossy())
}

/// Who holds the lock, as the file tells; it is no more than a hint, and may have been tampered with.
fn holder(mut file: &File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(200).read_to_string(&mut text));
    match text.lines().next() {
        Some(line) if read.is_ok() && !line.is_empty() => line.chars().filter(|c| !c.is_control()).collect(),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn row_22_a_lock_held_for_too_long_is_busy_and_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let options = Layout::options().lock_wait(Duration::from_millis(20));
        let layout = options.create(folder.path()).unwrap();
        let held = Lock::take(&layout.0).unwrap();
        let error = Lock::take(&layout.0).unwrap_err();
        assert_eq!(error.kind(), transship_spec::Kind::Busy);
        assert!(error.to_string().contains(&format!("process {} on", std::process::id())), "{error}");
        drop(held);
        Lock::take(&layout.0).unwrap();
    }

    #[test]
    fn a_lock_on_a_file_that_was_removed_meanwhile_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::options().create(folder.path()).unwrap();
        let first = Lock::take(&layout.0).unwrap();
        std::fs::remove_file(folder.path().join(".transship/lock")).unwrap();
        let second = Lock::take(&layout.0).unwrap();
        assert!(Lock::take_now(&layout.0).is_none());
        drop(first);
        assert!(Lock::take_now(&layout.0).is_none());
        drop(second);
        assert!(Lock::take_now(&layout.0).is_some());
    }
}
