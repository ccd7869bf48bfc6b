//! `transship pack image`.

use std::path::Path;
use std::sync::Arc;

use transship_codec::Compression;
use transship_pack::{
    ConfigChanges, Excludes, Ignore, Image, ImageOptions, LayerOptions, Metadata, ModeRule, MtimeRule,
    TarOptions, pack_image,
};
use transship_spec::{Kind, quote};

use super::base;
use super::watch::Watched;
use super::{Packed, PackedLayer, annotations, apart, epoch, into};
use crate::args::{self, ImageInputs, PackImage, Runtime, Tree};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::{files, show};

/// Bytes of a file of config.
pub(in crate::commands) const MAX_CONFIG: u64 = 8 << 20;
/// Bytes of a file of patterns.
const MAX_IGNORE: u64 = 1 << 20;

pub(super) fn run(args: &PackImage, context: &Context) -> Result<(), Failure> {
    let inputs = inputs(&args.inputs.inputs)?;
    check_folders(&args.tree, &inputs)?;
    let mut globs = args.tree.exclude.clone();
    globs.extend(apart(&inputs, &args.inputs.to, &globs)?);
    let excludes = excludes(&args.tree, globs)?;
    let mut options = options(args, excludes, context)?;
    let recipe = check_recipe(&args.inputs, &options.layer)?;
    let tree = &args.tree;
    let whole = tree.exclude.is_empty()
        && tree.ignore_file.is_none()
        && tree.diff.is_none()
        && !tree.dereference
        && !tree.normalize;
    options.layer.progress = Some(Arc::new(Watched::new(&context.progress, &inputs, whole)));
    into(&args.inputs.to, &args.out, context, |layout, name| {
        let image = pack_image(layout, name, &inputs, &options)?;
        if image.platform_assumed {
            context.progress.note(&format!("platform {} (say otherwise with --platform)", image.platform));
        }
        Ok(packed(image, &recipe))
    })
}

/// Inputs that look like a location are told from paths, for they cannot be packed.
fn inputs(inputs: &[std::path::PathBuf]) -> Result<Vec<&Path>, Failure> {
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
    Ok(inputs.iter().map(std::path::PathBuf::as_path).collect())
}

fn options(args: &PackImage, excludes: Excludes, context: &Context) -> Result<ImageOptions, Failure> {
    let config = &args.runtime.config;
    let epoch = epoch(context)?;
    Ok(ImageOptions {
        platform: args.inputs.platform.clone(),
        base: args.inputs.from.as_deref().map(|text| base::find(text, args, context)).transpose()?,
        layer: layer(args, excludes, epoch)?,
        config_file: config.as_deref().map(|path| files::read(path, MAX_CONFIG)).transpose()?,
        changes: changes(&args.runtime)?,
        annotations: annotations(&args.annotation),
        created: args.created.clone(),
        source_date_epoch: epoch,
        author: None,
    })
}

fn layer(args: &PackImage, excludes: Excludes, epoch: Option<i64>) -> Result<LayerOptions, Failure> {
    let inputs = &args.inputs;
    Ok(LayerOptions {
        compression: inputs.compression.into(),
        level: inputs.level,
        threads: inputs.threads.unwrap_or_default(),
        tar: tar(&args.tree, excludes, epoch)?,
        spool: Some(std::env::temp_dir()),
        progress: None,
    })
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
        owner: tree.owner,
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

fn check_recipe(inputs: &ImageInputs, layer: &LayerOptions) -> Result<String, Failure> {
    let recipe = layer.recipe()?;
    match &inputs.recipe {
        Some(wanted) if *wanted != recipe => {
            let message = format!("this build cannot give the recipe {}", quote(wanted));
            Err(Failure::new(Kind::Unsupported, message)
                .hint(format!("with these options it gives {recipe}")))
        }
        _ => Ok(recipe),
    }
}

pub(in crate::commands) fn changes(runtime: &Runtime) -> Result<ConfigChanges, Failure> {
    Ok(ConfigChanges {
        entrypoint: words("--entrypoint", &runtime.entrypoint)?,
        cmd: words("--cmd", &runtime.cmd)?,
        env: with_files(&runtime.env_file, &runtime.env)?,
        working_dir: runtime.workdir.clone(),
        user: runtime.user.clone(),
        exposed_ports: runtime.expose.clone(),
        volumes: runtime.volume.clone(),
        labels: with_files(&runtime.label_file, &runtime.label)?,
        stop_signal: runtime.stop_signal.clone(),
    })
}

/// Words one by one, or all of them as a JSON array.
fn words(flag: &str, values: &[String]) -> Result<Option<Vec<String>>, Failure> {
    match values {
        [] => Ok(None),
        [array] if array.starts_with('[') => serde_json::from_str(array).map(Some).map_err(|error| {
            Failure::usage(format!("{flag} {}: it is not a JSON array of words: {error}", quote(array)))
        }),
        words => Ok(Some(words.to_vec())),
    }
}

/// The lines of files, then the values of flags, which win.
fn with_files(paths: &[std::path::PathBuf], values: &[String]) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(files::lines(path)?);
    }
    all.extend_from_slice(values);
    Ok(all)
}

fn packed(image: Image, recipe: &str) -> Packed {
    let layers = image.layers.into_iter().map(|layer| PackedLayer {
        digest: layer.descriptor.digest,
        media_type: layer.descriptor.media_type,
        size: layer.descriptor.size,
        title: None,
        diff_id: Some(layer.diff_id),
        recipe: layer.by_recipe.then(|| recipe.to_owned()),
        reused: Some(layer.reused),
    });
    Packed {
        layers: layers.collect(),
        descriptor: image.descriptor,
        platform: Some(image.platform.to_string()),
        warnings: image.warnings,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_program_is_words_or_a_json_array() {
        let words = |values: &[&str]| {
            super::words("--cmd", &values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(words(&[]).unwrap(), None);
        assert_eq!(words(&["/bin/app"]).unwrap().unwrap(), ["/bin/app"]);
        assert_eq!(words(&["a b", "-c"]).unwrap().unwrap(), ["a b", "-c"]);
        assert_eq!(words(&[r#"["a","b"]"#]).unwrap().unwrap(), ["a", "b"]);
        assert_eq!(words(&["[1]"]).unwrap_err().code(), 2);
    }
}
