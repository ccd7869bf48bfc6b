//! `login`, `logout` and `completions`.

use clap::Args;

use super::shared::{NetworkFlags, Quiet, Verbosity};

/// `transship login`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship login localhost:5000 --username alice --password-stdin < password.txt\n  \
    transship login localhost:5000\n\n\
    The credentials are tried before they are kept: in the file of --authfile or REGISTRY_AUTH_FILE, else in Docker's \
    config.json, by the credential helper that it names. Without --password-stdin the password is asked for on the \
    terminal.")]
pub struct Login {
    /// The registry, such as registry.example or localhost:5000
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: String,
    /// The user; asked for on the terminal if it is not given
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// `transship logout`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship logout localhost:5000\n  \
    transship logout localhost:5000 --authfile auth.json")]
pub struct Logout {
    /// The registry, as it was named to login
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: String,
    /// Forget it in FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<std::path::PathBuf>,
    #[command(flatten)]
    pub(crate) quiet: Quiet,
}

/// `transship completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship completions bash > transship.bash\n  \
    transship completions fish > transship.fish\n\n\
    Where the file belongs: bash ~/.local/share/bash-completion/completions/transship, zsh _transship in a folder of \
    $fpath, fish ~/.config/fish/completions/transship.fish.")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
