//! From the process to a command, and back to an exit code.

use std::process::ExitCode;

use transship_pack::kinds::Kinds;

use crate::args::{
    BlobCommand, Cli, Command, Format, IndexCommand, KindsCommand, ManifestCommand, Manners, PackCommand,
    ProgressMode, Verbosity,
};
use crate::commands;
use crate::context::Context;
use crate::environment::Environment;
use crate::exit::Failure;
use crate::interrupt::Interrupts;
use crate::output::{Output, unwritten};
use crate::progress::Progress;

/// The program: reads arguments and environment of the process, does what they say, and gives the exit code.
pub fn main() -> ExitCode {
    Cli::with_kinds(Kinds::built_in()).main()
}

/// The program with kinds of artifacts of one's own; see [`Cli::with_kinds`].
#[derive(Debug)]
#[must_use = "it does nothing until it is run"]
pub struct Program {
    kinds: Kinds,
}

impl Cli {
    /// The program that knows these kinds of artifacts: it packs, recognises, describes and extracts them as it does those
    /// that are built in.
    ///
    /// ```no_run
    /// use transship_cli::Cli;
    /// use transship_pack::kinds::Kinds;
    ///
    /// fn main() -> std::process::ExitCode {
    ///     // Kinds::built_in().with(MyKind) has one more.
    ///     Cli::with_kinds(Kinds::built_in()).main()
    /// }
    /// ```
    pub fn with_kinds(kinds: Kinds) -> Program {
        Program { kinds }
    }
}

impl Program {
    /// Reads arguments and environment of the process, does what they say, and gives the exit code.
    pub fn main(self) -> ExitCode {
        run(self.kinds)
    }
}

fn run(kinds: Kinds) -> ExitCode {
    let environment = Environment::of_process();
    let interrupts = Interrupts::install();
    let early = Progress::new(ProgressMode::Auto, &Verbosity::default(), &environment);
    let arguments = match crate::args::expand(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(failure) => return ended(&early, &failure),
    };
    let folders = crate::args::folders(&arguments);
    let kinds = match folders.iter().try_fold(kinds, |kinds, folder| kinds.with_folder(folder)) {
        Ok(kinds) => kinds,
        Err(error) => return ended(&early, &Failure::from(error).doing("read the descriptions of kinds")),
    };
    let cli = match Cli::understand(arguments, &kinds) {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, &early),
    };
    let (format, progress, verbosity) = manners(&cli.command);
    let progress = Progress::new(progress, &verbosity, &environment);
    let context = Context { environment, interrupts, progress, output: Output::new(format), kinds };
    let last_words = context.progress.clone();
    let signals = context.interrupts.clone();
    let at_exit = context.interrupts.at_exit(move || {
        last_words.end();
        last_words.failure(&Failure::interrupted(signals.signal().unwrap_or_default()));
    });
    let result = dispatch(cli.command, &context);
    drop(at_exit);
    context.progress.end();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ended(&context.progress, &failure),
    }
}

fn ended(progress: &Progress, failure: &Failure) -> ExitCode {
    if !failure.is_silent() {
        progress.failure(failure);
    }
    ExitCode::from(failure.code())
}

/// Help and version are results; all else is a mistake of the user.
fn not_understood(error: &clap::Error, progress: &Progress) -> ExitCode {
    match error.print() {
        Err(unprinted) if !error.use_stderr() => ended(progress, &unwritten(&unprinted)),
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    }
}

/// How a command wants to be shown.
fn manners(command: &Command) -> Manners {
    let auto = ProgressMode::Auto;
    let text = Format::Text;
    match command {
        Command::Init(args) => (text, auto, (&args.quiet).into()),
        Command::Pack(PackCommand::Image(args)) => args.out.manners(),
        Command::Pack(PackCommand::Layer(args)) => {
            (args.formatted.format, args.progress.progress, args.verbosity.clone())
        }
        Command::Pack(PackCommand::Files(args)) => args.out.manners(),
        Command::Pack(PackCommand::Kind(args)) => args.out.manners(),
        Command::Attach(args) => args.out.manners(),
        Command::Edit(args) => args.out.manners(),
        Command::Index(command) => match command {
            IndexCommand::Create(args) => args.out.manners(),
            IndexCommand::Add(args) => args.out.manners(),
            IndexCommand::Remove(args) => args.out.manners(),
        },
        Command::Unpack(args) => args.layers.manners(),
        Command::Extract(args) => args.layers.manners(),
        Command::Kinds(args) => match &args.command {
            Some(KindsCommand::Lint(args)) => args.read.manners(),
            Some(KindsCommand::List(list)) => (list.formatted.format, auto, list.verbosity.clone()),
            None => (args.list.formatted.format, auto, args.list.verbosity.clone()),
        },
        Command::Copy(args) => (args.formatted.format, args.progress.progress, args.verbosity.clone()),
        Command::Sync(args) => (args.formatted.format, args.progress.progress, args.verbosity.clone()),
        Command::Ls(args) => args.read.manners(),
        Command::Tree(args) => args.read.manners(),
        Command::Inspect(args) => args.read.manners(),
        Command::Diff(args) => args.layers.manners(),
        Command::Resolve(args) => args.read.manners(),
        Command::Tag(args) => args.change.manners(),
        Command::Untag(args) => args.change.manners(),
        Command::Rm(args) => args.change.manners(),
        Command::Gc(args) => (args.formatted.format, auto, args.verbosity.clone()),
        Command::Check(args) => (args.formatted.format, args.progress.progress, args.verbosity.clone()),
        Command::Manifest(ManifestCommand::Get(args)) => args.fetch.manners(),
        Command::Manifest(ManifestCommand::Put(args)) => args.store.manners(),
        Command::Blob(BlobCommand::Get(args)) => args.fetch.manners(),
        Command::Blob(BlobCommand::Put(args)) => args.store.manners(),
        Command::Serve(args) => (text, auto, args.verbosity.clone()),
        Command::Login(args) => (text, auto, args.verbosity.clone()),
        Command::Logout(args) => (text, auto, (&args.quiet).into()),
        Command::Completions(_) | Command::Push(_) | Command::Pull(_) => (text, auto, Verbosity::default()),
    }
}

fn dispatch(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Init(args) => commands::init::run(&args, context),
        Command::Pack(command) => commands::pack::run(&command, context),
        Command::Attach(args) => commands::attach::run(&args, context),
        Command::Edit(args) => commands::edit::run(&args, context),
        Command::Index(command) => commands::index::run(&command, context),
        Command::Serve(args) => commands::serve::run(&args, context),
        Command::Unpack(args) => commands::unpack::run(&args, context),
        Command::Extract(args) => commands::extract::run(&args, context),
        Command::Kinds(args) => commands::kinds::run(&args, context),
        Command::Copy(args) => commands::copy::run(&args, context),
        Command::Sync(args) => commands::sync::run(&args, context),
        Command::Ls(args) => commands::ls::run(&args, context),
        Command::Tree(args) => commands::tree::run(&args, context),
        Command::Inspect(args) => commands::inspect::run(&args, context),
        Command::Diff(args) => commands::diff::run(&args, context),
        Command::Resolve(args) => commands::resolve::run(&args, context),
        Command::Tag(args) => commands::tag::run(&args, context),
        Command::Untag(args) => commands::untag::run(&args, context),
        Command::Rm(args) => commands::rm::run(&args, context),
        Command::Gc(args) => commands::gc::run(&args, context),
        Command::Check(args) => commands::check::run(&args, context),
        Command::Manifest(command) => commands::manifest::run(&command, context),
        Command::Blob(command) => commands::blob::run(&command, context),
        Command::Login(args) => commands::login::run(&args, context),
        Command::Logout(args) => commands::logout::run(&args, context),
        Command::Completions(args) => {
            commands::completions::run(&args, &mut Cli::command_with(&context.kinds), context)
        }
        Command::Push(args) => Err(commands::refused::push(&args)),
        Command::Pull(args) => Err(commands::refused::pull(&args)),
    }
}
