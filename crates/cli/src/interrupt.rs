//! Being asked to stop: Ctrl-C and SIGTERM.
//!
//! The first signal asks: work that holds a [`Grace`] is told and has a moment to end well, all else ends at once. The second
//! signal ends the program without waiting. Whatever must not stay behind is said beforehand with
//! [`Interrupts::at_exit`]. A plain pipe carries the signal, so that local commands open no socket for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::exit::{Failure, signal_code};

/// How long work that was asked to stop may take before it is ended.
const PATIENCE: Duration = Duration::from_millis(1500);

type Hook = Box<dyn FnOnce() + Send>;

/// Whether the program was asked to stop. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Interrupts {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The signal that came, 0 for none.
    signal: Arc<AtomicUsize>,
    graces: AtomicUsize,
    told: Notify,
    hooks: Mutex<Vec<(usize, Hook)>>,
    hook_number: AtomicUsize,
}

impl std::fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupts").field("signal", &self.signal()).finish_non_exhaustive()
    }
}

/// While it lives, the first signal does not end the program at once.
#[derive(Debug)]
pub(crate) struct Grace<'a>(&'a AtomicUsize);

impl Drop for Grace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Something that is done if a signal ends the program while this lives.
pub(crate) struct AtExit<'a> {
    interrupts: &'a Interrupts,
    number: usize,
}

/// Something that removes itself when it is dropped, and what is done if a signal ends the program before. They go in this
/// order, so that an end by signal waits for what is being removed.
pub(crate) struct Guarded<'a, T> {
    pub(crate) value: T,
    _at_exit: AtExit<'a>,
}

impl Drop for AtExit<'_> {
    fn drop(&mut self) {
        self.interrupts.hooks().retain(|(number, _)| *number != self.number);
    }
}

impl Interrupts {
    /// Listens from now on. Where that is not possible, signals end the program as they always did.
    pub(crate) fn install() -> Self {
        let interrupts = Self::default();
        #[cfg(unix)]
        if let Ok((pipe, signals)) = std::io::pipe() {
            let watched = interrupts.clone();
            let watch = move || watched.watch(pipe);
            // Only what somebody listens to may take the place of what the system does with a signal.
            if std::thread::Builder::new().name("transship-signals".to_owned()).spawn(watch).is_ok() {
                let _ = forward(&interrupts.shared.signal, &signals);
            }
        }
        interrupts
    }

    #[cfg(unix)]
    fn watch(&self, mut pipe: std::io::PipeReader) {
        use std::io::Read as _;

        let mut byte = [0];
        if pipe.read_exact(&mut byte).is_err() {
            return;
        }
        // Looked at before anyone is told: whoever is told lets go of its grace.
        let graceful = self.shared.graces.load(Ordering::SeqCst) > 0;
        self.shared.told.notify_waiters();
        if !graceful {
            self.end();
        }
        let patient = self.clone();
        let end = move || {
            std::thread::sleep(PATIENCE);
            patient.end();
        };
        if std::thread::Builder::new().name("transship-patience".to_owned()).spawn(end).is_err() {
            self.end();
        }
        if pipe.read_exact(&mut byte).is_ok() {
            std::process::exit(self.code());
        }
    }

    /// Ends the program. What was to be done last is done first. Whoever comes to the end meanwhile waits here, so that
    /// nothing is done by half.
    fn end(&self) -> ! {
        let mut hooks = self.hooks();
        for (_, hook) in std::mem::take(&mut *hooks).into_iter().rev() {
            hook();
        }
        std::process::exit(self.code());
    }

    fn code(&self) -> i32 {
        self.signal().map_or(130, |signal| i32::from(signal_code(signal)))
    }

    fn hooks(&self) -> std::sync::MutexGuard<'_, Vec<(usize, Hook)>> {
        self.shared.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signal that came.
    pub(crate) fn signal(&self) -> Option<i32> {
        match self.shared.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }

    /// Fails once a signal came.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.signal().map_or(Ok(()), |signal| Err(Failure::interrupted(signal)))
    }

    /// Asks for a moment after the first signal, to end well.
    pub(crate) fn grace(&self) -> Grace<'_> {
        self.shared.graces.fetch_add(1, Ordering::SeqCst);
        Grace(&self.shared.graces)
    }

    /// Ends when a signal comes.
    pub(crate) async fn wait(&self) -> Failure {
        loop {
            let told = self.shared.told.notified();
            if let Some(signal) = self.signal() {
                return Failure::interrupted(signal);
            }
            told.await;
        }
    }

    /// Has `hook` done if a signal ends the program while `value` lives.
    pub(crate) fn guard<T>(&self, value: T, hook: impl FnOnce() + Send + 'static) -> Guarded<'_, T> {
        Guarded { value, _at_exit: self.at_exit(hook) }
    }

    /// Has `hook` done if a signal ends the program before what is returned is dropped.
    pub(crate) fn at_exit(&self, hook: impl FnOnce() + Send + 'static) -> AtExit<'_> {
        let number = self.shared.hook_number.fetch_add(1, Ordering::SeqCst);
        self.hooks().push((number, Box::new(hook)));
        AtExit { interrupts: self, number }
    }
}

/// Puts a byte into the pipe for each signal, after `signal` was set.
#[cfg(unix)]
fn forward(signal: &Arc<AtomicUsize>, writer: &std::io::PipeWriter) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};

    for number in [SIGINT, SIGTERM] {
        let value = usize::try_from(number).unwrap_or_default();
        signal_hook::flag::register_usize(number, Arc::clone(signal), value)?;
        signal_hook::low_level::pipe::register(number, writer.try_clone()?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_fails_until_a_signal_came() {
        let interrupts = Interrupts::default();
        assert!(interrupts.check().is_ok());
        interrupts.shared.signal.store(15, Ordering::SeqCst);
        assert_eq!(interrupts.check().unwrap_err().code(), 143);
    }

    #[test]
    fn a_hook_lives_as_long_as_its_guard() {
        let interrupts = Interrupts::default();
        let guard = interrupts.at_exit(|| {});
        assert_eq!(interrupts.hooks().len(), 1);
        drop(guard);
        assert!(interrupts.hooks().is_empty());
    }
}
