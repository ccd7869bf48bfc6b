//! How inputs become layers, as the flags say that images and layers by themselves share.

use std::path::Path;
use std::sync::Arc;

use transship_codec::Compression;
use transship_pack::{Excludes, Ignore, LayerOptions, Metadata, ModeRule, MtimeRule, TarOptions};
use transship_spec::{Kind, quote};

use super::epoch;
use super::watch::Watched;
use crate::args::{self, Encoding, Tree};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::{files, show};

/// Bytes of a file of patterns.
const MAX_IGNORE: u64 = 1 << 20;

/// The options of the layers that these inputs make; `globs` are left out.
pub(super) fn options(
    (encoding, tree): (&Encoding, &Tree),
    inputs: &[&Path],
    globs: Vec<String>,
    context: &Context,
) -> Result<LayerOptions, Failure> {
    check_folders(tree, inputs)?;
    let excludes = excludes(tree, globs)?;
    let options = LayerOptions {
        compression: encoding.compression.into(),
        level: encoding.level,
        threads: encoding.threads.unwrap_or_default(),
        tar: tar(tree, excludes, epoch(context)?)?,
        spool: Some(std::env::temp_dir()),
        progress: None,
    };
    check_recipe(encoding, &options)?;
    let whole = tree.exclude.is_empty()
        && tree.ignore_file.is_none()
        && tree.diff.is_none()
        && !tree.dereference
        && !tree.normalize;
    let progress = Watched::new(&context.progress, inputs, whole);
    Ok(LayerOptions { progress: Some(Arc::new(progress)), ..options })
}

impl From<args::Compression> for Compression {
    fn from(compression: args::Compression) -> Self {
        match compression {
            args::Compression::Gzip => Self::Gzip,
            args::Compression::Zstd => Self::Zstd,
            args::Compression::None => Self::None,
        }
    }
}

/// How a directory becomes a tar.
pub(in crate::commands) fn tar(
    tree: &Tree,
    excludes: Excludes,
    epoch: Option<i64>,
) -> Result<TarOptions, Failure> {
    Ok(TarOptions {
        owner: tree.owner.clone(),
        mode: match tree.mode {
            args::Mode::Keep => ModeRule::Keep,
            args::Mode::Normal => ModeRule::Normal,
        },
        mtime: match (tree.mtime, epoch) {
            (args::Mtime::Zero, _) => MtimeRule::Zero,
            (args::Mtime::Keep, _) => MtimeRule::Keep,
            (args::Mtime::Clamp, Some(second)) => MtimeRule::Clamp(second),
            (args::Mtime::Clamp, None) => {
                return Err(Failure::usage("--mtime clamp needs SOURCE_DATE_EPOCH")
                    .hint("set it to the newest time that files may have, in seconds since 1970"));
            }
        },
        excludes,
        dereference: tree.dereference,
        normalize: tree.normalize,
        base: tree.diff.clone(),
        overlay: tree.overlay,
        metadata: tree.metadata.as_deref().map(Metadata::read).transpose()?,
        ..TarOptions::default()
    })
}

/// What of a directory is left out: by globs, and by a file of patterns.
pub(in crate::commands) fn excludes(tree: &Tree, globs: Vec<String>) -> Result<Excludes, Failure> {
    Ok(Excludes::new(globs)?.and(ignored(tree)?.unwrap_or_default()))
}

/// Some flags speak of one folder.
pub(in crate::commands) fn check_folders(tree: &Tree, inputs: &[&Path]) -> Result<(), Failure> {
    let folders = inputs.iter().filter(|input| input.is_dir()).count();
    let flags = [
        ("--metadata", tree.metadata.is_some()),
        ("--diff", tree.diff.is_some()),
        ("--overlay", tree.overlay),
    ];
    match flags.into_iter().find(|(_, given)| *given && folders != 1) {
        Some((flag, _)) => {
            let message = format!("{flag} speaks of one directory, and there are {folders}");
            Err(Failure::usage(message).hint("pack one at a time, the next with --from"))
        }
        None => Ok(()),
    }
}

/// What is left out by a file of patterns.
fn ignored(tree: &Tree) -> Result<Option<Ignore>, Failure> {
    let Some(file) = &tree.ignore_file else { return Ok(None) };
    let text = files::read(file, MAX_IGNORE)?;
    let ignore = Ignore::parse(&text).cannot(format!("follow {}", show::plain(&file.to_string_lossy())))?;
    Ok(Some(ignore))
}

fn check_recipe(encoding: &Encoding, layer: &LayerOptions) -> Result<(), Failure> {
    let recipe = layer.recipe()?;
    match &encoding.recipe {
        Some(wanted) if *wanted != recipe => {
            let message = format!("this build cannot give the recipe {}", quote(wanted));
            Err(Failure::new(Kind::Unsupported, message)
                .hint(format!("with these options it gives {recipe}")))
        }
        _ => Ok(()),
    }
}

/// Inputs that look like a location are told from paths, for they cannot be packed.
pub(super) fn check_inputs(inputs: &[&Path]) -> Result<(), Failure> {
    for input in inputs {
        let text = input.to_string_lossy();
        if !input.exists() && (text.starts_with("oci:") || text.starts_with("docker://")) {
            return Err(Failure::usage(format!(
                "{} is a location, and inputs are directories and tars",
                quote(&text)
            ))
            .hint(format!("an image to build upon is --from {text}")));
        }
    }
    Ok(())
}
