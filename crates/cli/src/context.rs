//! What every command is given: the process's surroundings, its signals, and where to say what.

use transship_pack::kinds::Kinds;

use crate::environment::Environment;
use crate::exit::Failure;
use crate::interrupt::Interrupts;
use crate::output::Output;
use crate::progress::Progress;

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) environment: Environment,
    pub(crate) interrupts: Interrupts,
    pub(crate) progress: Progress,
    pub(crate) output: Output,
    /// The kinds of artifacts that are known.
    pub(crate) kinds: Kinds,
}

impl Context {
    /// Fails where the network was forbidden.
    pub(crate) fn allow_network(&self, offline: bool, what: &str) -> Result<(), Failure> {
        if offline || self.environment.offline {
            let how = if offline { "--offline" } else { "TRANSSHIP_OFFLINE" };
            return Err(Failure::usage(format!("{what} is on the network, and {how} forbids its use")));
        }
        Ok(())
    }
}
