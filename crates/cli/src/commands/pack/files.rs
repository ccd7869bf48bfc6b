//! `transship pack files`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use transship_pack::{Artifact, ArtifactConfig, ArtifactOptions, File, Files, LayerOptions, pack_files};
use transship_spec::{Descriptor, MediaType, annotations as keys};

use super::watch::Watched;
use super::{LayerReport, Packed, annotations, apart, descriptor, epoch, into};
use crate::args::{AnnotationFlags, PackFiles, PackOutput};
use crate::content::Content;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};

/// What is said of an artifact of files, beside them.
pub(in crate::commands) struct Said<'a> {
    pub(in crate::commands) artifact_type: Option<&'a MediaType>,
    pub(in crate::commands) config: Option<&'a str>,
    pub(in crate::commands) subject: Option<Descriptor>,
    pub(in crate::commands) annotations: &'a AnnotationFlags,
    pub(in crate::commands) created: Option<&'a str>,
}

pub(super) fn run(args: &PackFiles, context: &Context) -> Result<(), Failure> {
    let said = Said {
        artifact_type: args.artifact_type.as_ref(),
        config: args.config.as_deref(),
        subject: args.subject.as_deref().map(|text| subject(text, &args.out, context)).transpose()?,
        annotations: &args.annotations,
        created: args.created.as_deref(),
    };
    let inputs: Vec<&Path> = args.inputs.iter().map(|input| input.path.as_path()).collect();
    apart(&inputs, &args.to, &[])?;
    let files = files(args.inputs.clone(), said, context)?;
    into(&args.to, &args.out, context, |layout, name| Ok(packed(pack_files(layout, name, &files)?)))
}

/// The files and what is said of them, as the library takes it.
pub(in crate::commands) fn files(
    inputs: Vec<File>,
    said: Said<'_>,
    context: &Context,
) -> Result<Files, Failure> {
    let artifact = ArtifactOptions {
        artifact_type: said.artifact_type.cloned(),
        config: said.config.map(config),
        subject: said.subject,
        annotations: annotations(said.annotations)?,
        created: said.created.map(str::to_owned),
        source_date_epoch: epoch(context)?,
    };
    let paths: Vec<&Path> = inputs.iter().map(|input| input.path.as_path()).collect();
    let watched = Watched::new(&context.progress, &paths, true);
    let layer = LayerOptions { progress: Some(Arc::new(watched)), ..LayerOptions::default() };
    Ok(Files { files: inputs, artifact, layer })
}

/// `FILE[:TYPE]`: what follows the last colon is the type if it is a media type.
fn config(text: &str) -> ArtifactConfig {
    let typed = text.rsplit_once(':').and_then(|(path, kind)| Some((path, MediaType::parse(kind).ok()?)));
    match typed {
        Some((path, kind)) => ArtifactConfig { path: path.into(), media_type: Some(kind) },
        None => ArtifactConfig { path: text.into(), media_type: None },
    }
}

/// What is referred to: a file that holds its descriptor, or a location.
pub(in crate::commands) fn subject(
    text: &str,
    out: &PackOutput,
    context: &Context,
) -> Result<Descriptor, Failure> {
    let found = || {
        let path = PathBuf::from(text);
        if path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
            return descriptor(&path);
        }
        let (_, content) = Content::at(text, context, &out.reading, &out.network)?;
        content.resolve(None)
    };
    let descriptor = found().cannot(format!("refer to {}", crate::show::plain(text)))?;
    Ok(descriptor.bare())
}

pub(in crate::commands) fn packed(artifact: Artifact) -> Packed {
    let layers = artifact.layers.into_iter().filter(|layer| layer.media_type != MediaType::OCI_EMPTY);
    let layers = layers.map(|layer| LayerReport {
        title: layer.annotations.get(keys::TITLE).cloned(),
        digest: layer.digest,
        media_type: layer.media_type,
        size: layer.size,
        diff_id: None,
        recipe: None,
        reused: None,
    });
    Packed {
        layers: layers.collect(),
        descriptor: artifact.descriptor,
        platform: None,
        warnings: artifact.warnings,
    }
}
