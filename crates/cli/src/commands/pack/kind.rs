//! `transship pack KIND`.

use std::path::Path;
use std::sync::Arc;

use transship_pack::kinds::{Request, pack_kind};
use transship_pack::{File, LayerOptions};

use super::files::{packed, subject};
use super::watch::Watched;
use super::{annotations, apart, epoch, into};
use crate::args::PackKind;
use crate::context::Context;
use crate::exit::Failure;

pub(super) fn run(args: &PackKind, context: &Context) -> Result<(), Failure> {
    let kind = context.kinds.named(&args.kind)?;
    let inputs = args.inputs.iter().map(|text| input(text)).collect::<Result<Vec<File>, Failure>>()?;
    let paths: Vec<&Path> = inputs.iter().map(|input| input.path.as_path()).collect();
    apart(&paths, &args.to, &[])?;
    let watched = Watched::new(&context.progress, &paths, true);
    let layer = LayerOptions { progress: Some(Arc::new(watched)), ..LayerOptions::default() };
    let request = Request {
        settings: args.settings.clone(),
        annotations: annotations(&args.annotations)?,
        created: args.created.clone(),
        source_date_epoch: epoch(context)?,
        subject: args.subject.as_deref().map(|text| subject(text, &args.out, context)).transpose()?,
        inputs: inputs.clone(),
        layer,
    };
    into(&args.to, &args.out, context, |layout, name| Ok(packed(pack_kind(layout, name, kind, &request)?)))
}

/// A path as it stands is a path; only what is no path here may have a title or a type.
fn input(text: &str) -> Result<File, Failure> {
    match Path::new(text).symlink_metadata() {
        Ok(_) => File::new(text).or_else(|_| File::named_last(text)),
        Err(_) => text.parse().or_else(|_| File::named_last(text)),
    }
    .map_err(Failure::from)
}
