//! `transship serve`: layouts answered as a registry, until a signal comes.

use transship_layout::Layout;
use transship_serve::{Error, Passwords, Server, Service};
use transship_spec::{Kind, is_repository, quote};

use crate::args;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure, Meaning};
use crate::network::Async;
use crate::place::{Made, Place};
use crate::{files, local, show};

/// Bytes of a file of passwords.
const MAX_PASSWORDS: u64 = 4 << 20;

impl Meaning for Error {
    fn meaning(&self) -> Kind {
        self.kind()
    }
}

pub(crate) fn run(args: &args::Serve, context: &Context) -> Result<(), Failure> {
    let what = args.locations.iter().map(|location| show::plain(location)).collect::<Vec<_>>().join(", ");
    serve(args, context).cannot(format!("serve {what}"))
}

fn serve(args: &args::Serve, context: &Context) -> Result<(), Failure> {
    if !args.listen.ip().is_loopback() {
        context.allow_network(false, &args.listen.to_string())?;
    }
    let mut builder = Service::builder().writable(args.writable).allow_delete(args.allow_delete);
    for location in &args.locations {
        let (name, location) = split(location);
        let layout = open(location, args)?;
        builder = match name {
            Some(name) => builder.mount(name, layout),
            None => builder.layout(layout),
        };
    }
    if let Some(file) = &args.htpasswd {
        let text = String::from_utf8(files::read(file, MAX_PASSWORDS)?)
            .map_err(|_| Failure::new(Kind::Invalid, format!("{} is not text", file.display())))?;
        builder = builder.passwords(Passwords::parse(&text).cannot(format!("read {}", file.display()))?);
    }
    let service = builder.build()?;
    if !args.listen.ip().is_loopback() && args.htpasswd.is_none() {
        let may = if args.writable { "read and write" } else { "read" };
        context
            .progress
            .warning(&format!("whoever reaches {} may {may}; --htpasswd asks for a password", args.listen));
    }
    let runtime = Async::new(context, true)?;
    let _grace = context.interrupts.grace();
    let running = runtime.block_on(Server::new(service).bind(args.listen))?;
    context.progress.note(&format!("serving on http://{}; Ctrl-C ends it", running.address()));
    // Nothing ends this but a signal, and a signal is how it is meant to end.
    let ended = runtime.block_on(std::future::pending::<Result<(), Failure>>());
    runtime.finish(running.shutdown());
    context.progress.note("ended");
    match ended {
        Err(failure) if failure.kind() == Kind::Interrupted => Ok(()),
        other => other,
    }
}

/// `NAME=LOCATION`: what stands before the first `=` is a name only if it could be one.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, location)) if is_repository(name) => (Some(name), location),
        _ => (None, text),
    }
}

fn open(location: &str, args: &args::Serve) -> Result<Layout, Failure> {
    // A bare word beside a name is a folder, as in app=out: registries are not served.
    let place = match Place::find(location, Made::Before) {
        Err(_) if std::path::Path::new(location).is_dir() => {
            Place::Layout { path: location.into(), reference: None }
        }
        found => found?,
    };
    let path = match place {
        Place::Layout { path, reference: None } => path,
        Place::Layout { reference: Some(reference), .. } => {
            return Err(Failure::usage(format!(
                "a layout is served as a whole, and {} is one entry",
                quote(&reference)
            )));
        }
        place @ Place::Archive { .. } => {
            return Err(Failure::new(
                Kind::Unsupported,
                format!("{place} is an archive, and only layouts are served"),
            )
            .hint(format!("copy it into a layout first: transship copy --all-tags {place} oci:DIR")));
        }
        Place::Registry(reference) => {
            return Err(Failure::new(
                Kind::Unsupported,
                format!("{reference} is in a registry, and only layouts are served"),
            )
            .hint("copy it into a layout first"));
        }
    };
    let options = local::options(&args.reading, &args.writing);
    Ok(if args.writable { options.open(path)? } else { options.open_read_only(path)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_before_the_equals_sign() {
        assert_eq!(split("team/app=oci:out"), (Some("team/app"), "oci:out"));
        assert_eq!(split("oci:a=b"), (None, "oci:a=b"));
        assert_eq!(split("./a=b"), (None, "./a=b"));
    }
}
