//! Kinds of artifacts: `pack KIND`, whose flags are those that the kind has, `extract` and `kinds`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory as _, FromArgMatches as _};
use transship_pack::kinds::{Kind, Kinds, Packing};

use super::pack::{AnnotationFlags, PackCommand, PackOutput};
use super::shared::{Durability, Formatted, LayerLimits, NetworkFlags, ProgressFlag, Reading, Verbosity};
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
    /// Tell what would be extracted, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Whether to wait until all is on disk; none is faster, and a power cut may cost the result
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub(crate) durability: Durability,
    #[command(flatten)]
    pub(crate) limits: LayerLimits,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) progress: ProgressFlag,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
}

/// `transship kinds`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship kinds\n  \
    transship kinds --format json\n\n\
    What a kind is packed of, and its flags, are told by transship pack KIND --help.")]
pub struct ListKinds {
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
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
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
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
