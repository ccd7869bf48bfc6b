//! `transship completions`: a script for a shell.

use crate::args;
use crate::context::Context;
use crate::exit::Failure;

pub(crate) fn run(
    args: &args::Completions,
    command: &mut clap::Command,
    context: &Context,
) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "transship", &mut script);
    context.output.raw(&script)
}
