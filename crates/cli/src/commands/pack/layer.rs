//! `transship pack layer`.

use std::path::Path;

use serde::Serialize;
use transship_pack::{Layer, write_layer};
use transship_spec::{Digest, MediaType};

use super::{beneath, making};
use crate::args::PackLayer;
use crate::context::Context;
use crate::exit::Failure;
use crate::files::{self, Staged};
use crate::{output, show};

/// `transship.layer/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    path: String,
    digest: Digest,
    media_type: MediaType,
    size: u64,
    diff_id: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipe: Option<String>,
    warnings: Vec<String>,
}

pub(super) fn run(args: &PackLayer, context: &Context) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    let inputs = [args.input.as_path()];
    making::check_inputs(&inputs)?;
    if args.to == args.descriptor_file {
        return Err(Failure::usage("the layer and its descriptor cannot be one file"));
    }
    for made in [&args.to, &args.descriptor_file] {
        apart(&args.input, made)?;
    }
    let options = making::options((&args.encoding, &args.tree), &inputs, args.tree.exclude.clone(), context)?;
    // A signal must not come between making a file and saying that it is to be removed.
    let grace = context.interrupts.grace();
    let file = Staged::new(&args.to)?;
    let beside = file.beside();
    let mut file = context.interrupts.guard(file, move || drop(beside.map(std::fs::remove_file)));
    drop(grace);
    context.interrupts.check()?;
    let layer = write_layer(&args.input, &options, file.value.sink())?;
    file.value.finish()?;
    files::replace(&args.descriptor_file, &output::plain_json(&layer.described())?)?;
    context.progress.end();
    tell(args, layer, begun.elapsed(), context)
}

fn tell(args: &PackLayer, layer: Layer, time: std::time::Duration, context: &Context) -> Result<(), Failure> {
    for warning in &layer.warnings {
        context.progress.warning(&warning.to_string());
    }
    let size = layer.descriptor.size;
    let text = format!("packed 1 layer ({}) in {}", show::bytes(size), show::duration(time));
    let numbers = serde_json::json!({ "layers": 1, "bytes": size, "seconds": time.as_secs_f64() });
    context.progress.summary(&text, &numbers);
    if !context.output.is_json() {
        return context.output.line(layer.descriptor.digest);
    }
    let report = Report {
        path: args.to.to_string_lossy().into_owned(),
        digest: layer.descriptor.digest,
        media_type: layer.descriptor.media_type,
        size,
        diff_id: layer.diff_id,
        recipe: layer.recipe,
        warnings: layer.warnings.iter().map(ToString::to_string).collect(),
    };
    context.output.json("transship.layer/v1", &report)
}

/// Refuses to write a file into what is packed: the next layer would hold it.
fn apart(input: &Path, made: &Path) -> Result<(), Failure> {
    if !input.is_dir() || beneath(input, made).is_none() {
        return Ok(());
    }
    let [input, made] = [input, made].map(|path| show::plain(&path.to_string_lossy()));
    Err(Failure::usage(format!("{made} lies in {input}, and would be packed into the next layer"))
        .hint("put it elsewhere"))
}
