//! `sync --import`: a file of another program in the words of this one.

use transship_copy::sync::{Format, import};
use transship_spec::Kind;

use crate::args::{self, Foreign};
use crate::context::Context;
use crate::exit::Failure;
use crate::show;

/// Prints the file that it is here. What cannot be said is told, and makes it partial.
pub(super) fn run(args: &args::Sync, from: Foreign, context: &Context) -> Result<(), Failure> {
    let format = match from {
        Foreign::Regsync => Format::Regsync,
        Foreign::Skopeo => Format::Skopeo,
    };
    let text = super::text(&args.file)?;
    let imported =
        import(format, &text, args.to.as_deref()).map_err(|error| super::told(&args.file, error))?;
    context.output.raw(imported.text.as_bytes())?;
    for (at, what) in &imported.left_out {
        let place = format!("{}:{}:{}", args.file.display(), at.line, at.column);
        context.progress.warning(&show::plain(&format!("{place}: {what}")));
    }
    match imported.left_out.len() {
        0 => Ok(()),
        count => {
            let things = show::count(count, "thing in it is", "things in it are");
            Err(Failure::new(Kind::Partial, format!("{things} left out or to be looked at")))
        }
    }
}
