//! `cargo xtask bench`: transship beside its peers, on big real input, in one run.
//!
//! Machines are noisy, so what counts is never one time: each round runs every contender once, one after the other, and
//! what is shown is the median and the median of the ratios within the rounds. Bytes and memory are shown beside the time.
//! All traffic stays on the loopback interface; a round that takes longer than ten minutes ends the bench.

mod copy;
mod measure;
mod pack;
mod scale;
mod tree;
mod unpack;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::needs;
use crate::process::{cargo, run as execute, shown, target};

const PROGRAMS: needs::Programs = &[
    ("docker-registry", "docker-registry"),
    ("skopeo", "skopeo"),
    ("umoci", "umoci"),
    ("pigz", "pigz"),
    ("zstd", "zstd"),
    ("tar", "tar"),
    ("openssl", "openssl"),
    ("curl", "curl"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure; all of it when nothing is named
    #[arg(value_enum)]
    what: Vec<What>,
    /// How often each contender runs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// MiB of the large image that is copied
    #[arg(long, default_value_t = 2048)]
    copy_size: u64,
    /// How many small artifacts are copied
    #[arg(long, default_value_t = 2000)]
    small: usize,
    /// Which rows of `copy` to run; all of them when none is named
    #[arg(long, value_enum)]
    row: Vec<copy::Row>,
    /// The program to measure, instead of one that is built first
    #[arg(long, value_name = "FILE")]
    transship: Option<PathBuf>,
    /// Copy over TLS
    #[arg(long)]
    tls: bool,
    /// References of the layout of `scale`; it has ten times as many blobs
    #[arg(long, default_value_t = 100_000)]
    references: u64,
    /// A folder to take the input of `pack` and `unpack` from, instead of this machine's own files
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// Where to work; 12 GiB must be free there
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// A tree of 700 MB and 20,000 files into a layout, beside tar with pigz, zstd and openssl
    Pack,
    /// The same tree as an image out of a layout, beside umoci and tar
    Unpack,
    /// A large image, small artifacts, and images that share layers between layouts and registries, beside skopeo
    Copy,
    /// A layout of a million blobs and 100,000 references
    Scale,
}

pub(crate) fn run(args: &Args) -> Result {
    needs::set_up("bench", PROGRAMS)?;
    let transship = match &args.transship {
        Some(built) => built.clone(),
        None => build()?,
    };
    let work = Work::begin(args.work.clone().unwrap_or_else(|| target().join("bench")))?;
    let wanted = |what| args.what.is_empty() || args.what.contains(&what);
    if wanted(What::Pack) || wanted(What::Unpack) {
        let tree = tree::gather(&work.path.join("tree"), &args.from)?;
        if wanted(What::Pack) {
            pack::bench(&transship, &tree, &work.path, args.rounds)?;
        }
        if wanted(What::Unpack) {
            unpack::bench(&transship, &tree, &work.path, args.rounds)?;
        }
        remove(&tree.path)?;
    }
    if wanted(What::Copy) {
        copy::bench(&transship, &work.path, args)?;
    }
    if wanted(What::Scale) {
        scale::bench(&transship, &work.path, args.references)?;
    }
    Ok(())
}

fn build() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--release", "--package", "transship"]);
    println!("bench: {}", shown(&build));
    execute(&mut build)?;
    Ok(target().join("release/transship"))
}

/// The folder in which all happens; gone afterwards.
struct Work {
    path: PathBuf,
}

impl Work {
    fn begin(path: PathBuf) -> Result<Self> {
        empty(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("bench: cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Makes a folder, without what was in it.
fn empty(path: &Path) -> Result {
    remove(path)?;
    fs::create_dir_all(path).map_err(|error| format!("cannot make {}: {error}", path.display()).into())
}

/// Removes a folder or a file, if it is there.
fn remove(path: &Path) -> Result {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", path.display()).into())
        }
        _ => Ok(()),
    }
}
