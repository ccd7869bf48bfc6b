//! `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::shared::{Reading, Verbosity, Writing};

/// `transship serve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship serve oci:out\n  \
    transship serve --listen 127.0.0.1:0 --writable team/app=oci:out\n\n\
    The address is printed on standard error. With NAME= the short names of a layout are tags of the repository NAME; \
    without it the layout's full names (registry.example/team/app:v1) say to which repository they belong. Port 0 is \
    any free one. SIGTERM or Ctrl-C ends it.")]
pub struct Serve {
    /// A layout, and the repository under which it appears
    #[arg(value_name = "[NAME=]LOCATION", required = true)]
    pub(crate) locations: Vec<String>,
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5000")]
    pub(crate) listen: SocketAddr,
    /// Take what is pushed
    #[arg(long)]
    pub(crate) writable: bool,
    /// Let manifests and tags be deleted
    #[arg(long, requires = "writable")]
    pub(crate) allow_delete: bool,
    /// Let in only the users of FILE (bcrypt, as htpasswd -B writes it)
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) writing: Writing,
}
