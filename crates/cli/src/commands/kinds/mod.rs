//! `transship kinds`: the kinds of artifacts that are known, and what is doubtful of an author's own.

mod lint;
mod list;

use crate::args::{KindsArgs, KindsCommand};
use crate::context::Context;
use crate::exit::Failure;

pub(crate) fn run(args: &KindsArgs, context: &Context) -> Result<(), Failure> {
    match &args.command {
        Some(KindsCommand::Lint(args)) => lint::run(args, context),
        Some(KindsCommand::List(_)) | None => list::run(context),
    }
}
