//! `transship kinds list`: the kinds of artifacts that are known.

use serde::Serialize;

use crate::context::Context;
use crate::exit::Failure;
use crate::show;

/// `transship.kinds/v1`
#[derive(Debug, Serialize)]
struct Report<'a> {
    kinds: Vec<Known<'a>>,
}

#[derive(Debug, Serialize)]
struct Known<'a> {
    name: &'a str,
    about: &'a str,
    /// What it is packed of; nothing where it is only recognised and extracted.
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<&'a str>,
}

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let known = context.kinds.iter().map(|kind| Known {
        name: kind.name(),
        about: kind.about(),
        inputs: kind.packing().map(transship_pack::kinds::Packing::inputs),
    });
    let kinds: Vec<Known<'_>> = known.collect();
    if context.output.is_json() {
        return context.output.json("transship.kinds/v1", &Report { kinds });
    }
    let row =
        |kind: &Known<'_>| [kind.name, kind.inputs.unwrap_or("-"), kind.about].map(show::plain).to_vec();
    context.output.raw(show::table(&kinds.iter().map(row).collect::<Vec<_>>()).as_bytes())
}
