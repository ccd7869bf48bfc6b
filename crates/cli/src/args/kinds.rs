//! Kinds of artifacts: `pack KIND`, whose flags are those that the kind has, `extract` and `kinds`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory as _, FromArgMatches as _, Subcommand};
use transship_pack::kinds::{Kind, Kinds, Packing};

use super::pack::{AnnotationFlags, PackCommand, PackOutput};
use super::shared::{Durability, Formatted, KindsFlag, LayersRead, Looking, Verbosity};
use super::{Cli, Command as Chosen};

/// `transship pack KIND`: what all kinds have in common.
#[derive(Debug, Args)]
pub struct PackKind {
    /// The kind, by its name.
    #[arg(skip)]
    pub(crate) kind: String,
    /// What was said by the flags that only this kind has.
    #[arg(skip)]
    pub(crate) settings: BTreeMap<String, Vec<String>>,
    /// What to pack
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<String>,
    /// Where to put it: a layout or an archive (made if it is not there), or a registry
    #[arg(short, long, value_name = "LOCATION")]
    pub(crate) to: String,
    /// What the artifact refers to
    #[arg(long, value_name = "LOCATION|DESCRIPTOR.json")]
    pub(crate) subject: Option<String>,
    #[command(flatten)]
    pub(crate) annotations: AnnotationFlags,
    /// When the artifact was made (RFC 3339); default: SOURCE_DATE_EPOCH, else what the kind finds in its input, else nothing
    #[arg(long, value_name = "TIME")]
    pub(crate) created: Option<String>,
    #[command(flatten)]
    pub(crate) described: KindsFlag,
    #[command(flatten)]
    pub(crate) out: PackOutput,
}

/// `transship extract`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship extract oci:out:chart charts\n  \
    transship extract docker://localhost:5000/team/docs:v1 .\n\n\
    Files get the names that the tool of their kind would give them; of what no kind knows, their titles, and without one \
    their digests. Everything appears when all of it is there and is what its digest says; what is in DIR already stays. \
    Nothing leads out of DIR. The layers of an image are unpacked by transship unpack.")]
pub struct Extract {
    /// The artifact: in a layout, an archive or a registry
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Where its files go; made if it is not there
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Take it for an artifact of this kind, whatever it shows; artifact goes by titles and digests alone
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) described: KindsFlag,
    /// Tell what would be extracted, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Whether to wait until all is on disk; none is faster, and a power cut may cost the result
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub(crate) durability: Durability,
    #[command(flatten)]
    pub(crate) layers: LayersRead,
}

/// `transship kinds`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    transship kinds\n  \
    transship kinds --kinds ./my-kinds --format json\n\n\
    What a kind is packed of, and its flags, are told by transship pack KIND --help. A kind that needs no code is a file of \
    TOML: docs/kinds.md shows how to add one."
)]
pub struct KindsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<KindsCommand>,
    #[command(flatten)]
    pub(crate) list: ListKinds,
}

/// The commands of `transship kinds`.
#[derive(Debug, Subcommand)]
pub(crate) enum KindsCommand {
    /// List the kinds of artifacts that are known; the same as without a command
    #[command(after_help = "Examples:\n  \
        transship kinds list\n  \
        transship kinds list --kinds ./my-kinds")]
    List(ListKinds),
    /// Tell the author of an artifact, or of a description of a kind, what is doubtful of it
    Lint(LintKinds),
}

/// `transship kinds list`.
#[derive(Debug, Args)]
pub(crate) struct ListKinds {
    #[command(flatten)]
    pub(crate) described: KindsFlag,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// `transship kinds lint`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship kinds lint my-kinds/poem.toml\n  \
    transship kinds lint oci:out:v1\n\n\
    A finding has a code, a place and a remedy. Errors break rules of the OCI or are refused by whoever pulls, and end in \
    exit code 4; warnings will be regretted; notes are choices. Blobs are not read: transship check does that.")]
pub(crate) struct LintKinds {
    /// The artifact: in a layout, an archive or a registry; or a file that describes a kind
    #[arg(value_name = "LOCATION|FILE.toml")]
    pub(crate) what: String,
    /// Let warnings fail, too
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) read: Looking,
}

/// The folders that `--kinds` names, where the command takes it. They are found before the command line is understood.
pub(crate) fn folders(arguments: &[OsString]) -> Vec<PathBuf> {
    let mut rest = arguments.iter().skip(1).take_while(|argument| *argument != "--");
    let is_word = |argument: &&OsString| !argument.to_string_lossy().starts_with('-');
    let Some(word) = rest.clone().find(is_word) else { return Vec::new() };
    let is_chosen =
        |command: &&Command| command.get_all_aliases().chain([command.get_name()]).any(|name| word == name);
    if word != "pack" && !Cli::command().get_subcommands().filter(is_chosen).any(takes_folders) {
        return Vec::new();
    }
    let mut folders = Vec::new();
    while let Some(argument) = rest.next() {
        if argument == FLAG {
            folders.extend(rest.next().map(PathBuf::from));
        } else if let Some(folder) = argument.as_bytes().strip_prefix(b"--kinds=") {
            folders.push(PathBuf::from(OsStr::from_bytes(folder)));
        }
    }
    folders
}

/// The flag that names a folder of descriptions.
const FLAG: &str = "--kinds";

fn takes_folders(command: &Command) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == FLAG.strip_prefix("--"))
        || command.get_subcommands().any(takes_folders)
}

impl Cli {
    /// The command line with a command for each kind that is packed.
    pub(crate) fn command_with(kinds: &Kinds) -> Command {
        let packed = kinds.iter().filter_map(|kind| Some((kind, kind.packing()?)));
        let commands: Vec<Command> = packed.map(|(kind, packing)| command(kind, packing)).collect();
        Self::command().mut_subcommand("pack", |pack| pack.subcommands(commands))
    }

    /// Understands arguments, those of kinds with them.
    ///
    /// # Errors
    /// What clap says; help and version are such errors, too.
    pub(crate) fn understand(
        arguments: impl IntoIterator<Item = OsString>,
        kinds: &Kinds,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command_with(kinds);
        let matches = command.try_get_matches_from_mut(arguments)?;
        let chosen = matches.subcommand().filter(|(name, _)| *name == "pack");
        let chosen = chosen.and_then(|(_, pack)| pack.subcommand());
        let of_kind = chosen.and_then(|(name, own)| Some((kinds.named(name).ok()?.packing()?, name, own)));
        let understood = match of_kind {
            Some((packing, name, own)) => PackKind::read(name, packing, own)
                .map(|args| Self { command: Chosen::Pack(PackCommand::Kind(Box::new(args))) }),
            None => Self::from_arg_matches(&matches),
        };
        understood.map_err(|error| error.format(&mut command))
    }
}

/// The command that packs a kind.
fn command(kind: &dyn Kind, packing: &dyn Packing) -> Command {
    let inputs = packing.inputs().to_owned();
    let first = inputs.split(" | ").next().unwrap_or_default();
    let line = |to: &str| format!("  transship pack {} {first} --to {to}", kind.name());
    let (layout, registry) = (line("oci:out:v1"), line("docker://localhost:5000/team/app:v1"));
    let mut examples = format!("Examples:\n{layout}\n{registry}");
    if !packing.remarks().is_empty() {
        examples = format!("{examples}\n\n{}", packing.remarks());
    }
    let mut command = PackKind::augment_args(Command::new(kind.name().to_owned()))
        .about(format!("Pack {}", kind.about()))
        .after_help(examples)
        .mut_arg("inputs", |arg| arg.value_name(inputs));
    for setting in packing.settings() {
        let arg = Arg::new(setting.name)
            .long(setting.name)
            .help(setting.help)
            .help_heading("Options of this kind")
            .required(false);
        command = command.arg(match (setting.value, setting.repeated) {
            (Some(value), true) => arg.value_name(value).action(ArgAction::Append),
            (Some(value), false) => arg.value_name(value).action(ArgAction::Set),
            (None, _) => arg.action(ArgAction::SetTrue),
        });
    }
    command
}

impl PackKind {
    fn read(kind: &str, packing: &dyn Packing, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut settings = BTreeMap::new();
        for setting in packing.settings() {
            let values: Vec<String> = match setting.value {
                Some(_) => matches.get_many(setting.name).into_iter().flatten().cloned().collect(),
                None => Vec::new(),
            };
            let is_said = !values.is_empty() || setting.value.is_none() && matches.get_flag(setting.name);
            if is_said {
                settings.insert(setting.name.to_owned(), values);
            }
        }
        let read = Self::from_arg_matches(matches)?;
        Ok(Self { kind: kind.to_owned(), settings, ..read })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arguments: &[&str]) -> Vec<PathBuf> {
        folders(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn folders_of_kinds_are_found_before_the_command_line_is_understood() {
        assert_eq!(
            found(&["transship", "pack", "poem", "--kinds", "a", "x", "--kinds=b"]),
            ["a", "b"].map(PathBuf::from)
        );
        assert_eq!(found(&["transship", "kinds", "--kinds", "a"]), [PathBuf::from("a")]);
        assert_eq!(
            found(&["transship", "inspect", "--kinds", "a", "--", "--kinds", "b"]),
            [PathBuf::from("a")]
        );
        for none in [
            &["transship", "copy", "--kinds", "a"][..],
            &["transship", "pack", "x", "--kinds"],
            &["transship"],
        ] {
            assert!(found(none).is_empty(), "{none:?}");
        }
    }
}
