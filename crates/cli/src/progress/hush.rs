//! While bars are on the screen, the terminal does not show `^C`: it would begin a line of its own, and leave a bar behind
//! that can no longer be taken away.

use std::io::stderr;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// As long as this lives, control characters are not shown.
#[derive(Debug)]
pub(super) struct Hush {
    before: Termios,
}

impl Hush {
    pub(super) fn now() -> Option<Self> {
        if !is_ours() {
            return None;
        }
        let before = tcgetattr(stderr()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHOCTL);
        tcsetattr(stderr(), OptionalActions::Now, &quiet).ok()?;
        Some(Self { before })
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        if is_ours() {
            let _ = tcsetattr(stderr(), OptionalActions::Now, &self.before);
        }
    }
}

/// Whether we are in the foreground: who changes the terminal from the background is stopped.
fn is_ours() -> bool {
    tcgetpgrp(stderr()).is_ok_and(|group| group == rustix::process::getpgrp())
}
