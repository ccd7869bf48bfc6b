//! `--reuse`: layers that are somewhere already.

use transship_layout::Entry;
use transship_pack::{Holder, Reuse};
use transship_spec::{Descriptor, Kind};

use super::base::remote;
use crate::args::PackImage;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::local::Stock;
use crate::place::{Made, Place};
use crate::show;

/// Finds the layers of all places. One that is not there yet, as before the first build, is told of and has none.
pub(super) fn find(args: &PackImage, context: &Context) -> Result<Reuse, Failure> {
    let mut reuse = Reuse::default();
    for text in &args.inputs.reuse {
        let found = open(text, args, context).and_then(|(holder, roots)| Ok(reuse.add(holder, &roots)?));
        match found {
            Err(failure) if failure.kind() == Kind::NotFound => {
                context.progress.note(&format!("nothing to reuse: {failure}"));
            }
            found => found.cannot(format!("reuse layers of {}", show::plain(text)))?,
        }
    }
    Ok(reuse)
}

/// What a location names; without a name, all that a layout or an archive holds.
fn open(text: &str, args: &PackImage, context: &Context) -> Result<(Holder, Vec<Descriptor>), Failure> {
    let place = Place::find(text, Made::Now)?;
    if let Some(stock) = Stock::open(&place, &args.out.reading)? {
        let entries = match place.reference() {
            Some(reference) => stock.resolve_all(Some(reference))?,
            None => stock.source().entries()?,
        };
        let roots = entries.into_iter().map(|Entry { descriptor, .. }| descriptor).collect();
        let holder = match stock {
            Stock::Layout(layout) => Holder::Layout(layout),
            Stock::Archive(archive, _) => Holder::Source(std::sync::Arc::new(archive)),
        };
        return Ok((holder, roots));
    }
    match &place {
        Place::Registry(reference) => {
            let base = remote(reference, false, args, context)?;
            Ok((base.place, vec![base.descriptor]))
        }
        _ => Err(Failure::new(Kind::Unexpected, format!("{place} was not opened"))),
    }
}
