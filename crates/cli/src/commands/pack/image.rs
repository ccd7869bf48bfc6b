//! `transship pack image`.

use std::path::Path;

use transship_pack::{Image, ImageOptions, LayerOptions, PackedLayer, Part, assemble_image};

use super::{LayerReport, Packed, annotations, apart, base, config, descriptor, epoch, into, making, reuse};
use crate::args::{self, LayerFile, PackImage};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::{files, show};

pub(super) fn run(args: &PackImage, context: &Context) -> Result<(), Failure> {
    let typed = &args.inputs.parts.0;
    let inputs: Vec<&Path> = typed.iter().filter_map(input).collect();
    making::check_inputs(&inputs)?;
    let parts = typed.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    check_verify(args, inputs.len() < parts.len())?;
    let mut globs = args.tree.exclude.clone();
    globs.extend(apart(&inputs, &args.inputs.to, &globs)?);
    let layer = making::options((&args.encoding, &args.tree), &inputs, globs, context)?;
    let options = options(args, layer, context)?;
    into(&args.inputs.to, &args.out, context, |layout, name| {
        let image = assemble_image(layout, name, &parts, &options).map_err(advised)?;
        if image.platform_assumed {
            context.progress.note(&format!("platform {} (say otherwise with --platform)", image.platform));
        }
        Ok(packed(image))
    })
}

fn input(part: &args::Part) -> Option<&Path> {
    match part {
        args::Part::Input(path) => Some(path),
        args::Part::Layer(_) => None,
    }
}

fn part(part: &args::Part) -> Result<Part, Failure> {
    match part {
        args::Part::Input(path) => Ok(Part::Input(path.clone())),
        args::Part::Layer(LayerFile { path, descriptor: file }) => {
            let told = format!("take the layer {}", show::plain(&path.to_string_lossy()));
            let layer = descriptor(file).and_then(|descriptor| Ok(PackedLayer::new(path, descriptor)?));
            Ok(Part::Packed(Box::new(layer.cannot(told)?)))
        }
    }
}

fn options(args: &PackImage, layer: LayerOptions, context: &Context) -> Result<ImageOptions, Failure> {
    let (file, said) = (args.runtime.config.as_deref(), &args.said);
    Ok(ImageOptions {
        platform: args.inputs.platform.clone(),
        base: args.inputs.from.as_deref().map(|text| base::find(text, args, context)).transpose()?,
        layer,
        config_file: file.map(|path| files::read(path, config::MAX_CONFIG)).transpose()?,
        changes: config::changes(&args.runtime)?,
        annotations: annotations(&said.annotations)?,
        created: said.created.clone(),
        source_date_epoch: epoch(context)?,
        author: said.author.clone(),
        created_by: said.created_by.clone(),
        comment: said.comment.clone(),
        healthcheck: said.healthcheck.clone(),
        os_features: said.os_feature.clone(),
        reuse: reuse::find(args, context)?,
        verify: args.inputs.verify,
        annotate_recipe: args.inputs.annotate_recipe,
    })
}

/// Nothing is called verified that is not.
fn check_verify(args: &PackImage, has_packed: bool) -> Result<(), Failure> {
    if args.inputs.verify && !has_packed && args.inputs.reuse.is_empty() {
        return Err(Failure::usage("--verify is for layers of --layer and --reuse, and neither is given"));
    }
    Ok(())
}

/// Whoever lacks layers of a base may be able to do without them.
fn advised(error: transship_pack::Error) -> Failure {
    let is_missing =
        matches!(error, transship_pack::Error::Layout(transship_layout::Error::MissingBlob { .. }));
    let failure = Failure::from(error);
    if is_missing {
        failure.hint("--sparse does without layers of the base that are not here")
    } else {
        failure
    }
}

fn packed(image: Image) -> Packed {
    let layers = image.layers.into_iter().map(|layer| LayerReport {
        digest: layer.descriptor.digest,
        media_type: layer.descriptor.media_type,
        size: layer.descriptor.size,
        title: None,
        diff_id: Some(layer.diff_id),
        recipe: layer.recipe,
        reused: Some(layer.reused),
    });
    Packed {
        layers: layers.collect(),
        descriptor: image.descriptor,
        platform: Some(image.platform.to_string()),
        warnings: image.warnings,
    }
}
