//! The chores of the workspace: `cargo xtask check`, `test`, `demo`, `bench` and `fuzz`.
//!
//! Every chore is one module with a clap `Args` type and a `run`; a new one is a module, a line in [`Chore`] and a line in
//! [`Chore::run`]. Chores read nothing from standard input, say each step in one line before they take it, and end with
//! exit code 1 if a step failed. This crate links nothing of the workspace, so that it is built in seconds.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the terminal")]

mod bench;
mod check;
mod demo;
mod fuzz;
mod needs;
mod process;
mod test;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

/// What a chore ends with; the error is a sentence for the terminal.
type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The chores of the transship workspace")]
enum Chore {
    /// Formatting, lints, documentation, the floor plan: everything but the tests
    Check(check::Args),
    /// transship beside its peers, on big real input
    Bench(bench::Args),
    /// The main job, from a directory tree to a registry and back, with nothing installed but Rust
    Demo(demo::Args),
    /// Feed the parsers with inputs that nobody thought of
    Fuzz(fuzz::Args),
    /// Set up what the tests need, then run all of them
    Test(test::Args),
}

impl Chore {
    fn run(&self) -> Result {
        match self {
            Self::Check(args) => check::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Demo(args) => demo::run(args),
            Self::Fuzz(args) => fuzz::run(args),
            Self::Test(args) => test::run(args),
        }
    }
}

fn main() -> ExitCode {
    match Chore::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Chore::command().debug_assert();
        assert!(Chore::try_parse_from(["xtask", "check", "--only", "fmt,floor-plan"]).is_ok());
        assert!(Chore::try_parse_from(["xtask", "test", "--ci", "--", "-p", "transship-spec"]).is_ok());
        assert!(Chore::try_parse_from(["xtask", "test", "-p", "transship-spec"]).is_err());
    }
}
