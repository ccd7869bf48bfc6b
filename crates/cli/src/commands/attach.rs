//! `transship attach`: an artifact that refers to something, put where that is.

use std::path::Path;

use transship_pack::kinds::{Recognised, recognise_file};
use transship_pack::{File, list_by_fallback_tag, pack_files};
use transship_spec::{Kind, Location, quote};

use super::deliver::deliver_to;
use super::pack::{Said, announce, files, packed};
use crate::args;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::origin::Found;
use crate::place::{Made, Place, is_pipe};
use crate::show;

pub(crate) fn run(args: &args::Attach, context: &Context) -> Result<(), Failure> {
    attach(args, context).cannot(format!("attach to {}", show::plain(&args.subject)))
}

fn attach(args: &args::Attach, context: &Context) -> Result<(), Failure> {
    let subject = Found::at(&args.subject, &args.out, context)?;
    let to = target(args, &subject)?;
    let place = Place::find(&to, Made::Now)?;
    if args.fallback_tag && !matches!(place, Place::Layout { .. }) {
        return Err(Failure::usage("--fallback-tag is for layouts")
            .hint("a registry that needs it gets it without being told"));
    }
    let said = Said {
        artifact_type: args.artifact_type.as_ref(),
        config: args.config.as_deref(),
        subject: Some(subject.descriptor().bare()),
        annotations: &args.annotations,
        created: args.created.as_deref(),
    };
    let paths: Vec<&Path> = args.inputs.iter().map(|input| input.path.as_path()).collect();
    super::pack::apart(&paths, &to, &[])?;
    let mut files = files(args.inputs.clone(), said, context)?;
    if files.artifact.artifact_type.is_none() && args.config.is_none() {
        recognise(&mut files)?;
    }
    let begun = std::time::Instant::now();
    let (place, packed) = deliver_to(place, &args.out, context, |layout, name| {
        let artifact = pack_files(layout, name, &files)?;
        if args.fallback_tag {
            list_by_fallback_tag(layout, &subject.descriptor().digest, &artifact.descriptor)?;
        }
        Ok(packed(artifact))
    })?;
    announce((&place, packed), ("attached", begun), &args.out, context)
}

/// Where it goes: what was said, else where the subject is, without a name.
fn target(args: &args::Attach, subject: &Found) -> Result<String, Failure> {
    if let Some(to) = &args.to {
        return Ok(to.clone());
    }
    let location = match subject.place.location() {
        Location::Archive { path, .. } | Location::DockerArchive { path, .. } if is_pipe(&path) => {
            return Err(Failure::usage("what comes through a pipe cannot be written to")
                .hint("--to LOCATION says where it goes"));
        }
        Location::DockerArchive { .. } => {
            let message = "docker load takes images, and nothing that is attached to them";
            return Err(Failure::new(Kind::Unsupported, message).hint("--to LOCATION says where it goes"));
        }
        Location::Layout { path, .. } => Location::Layout { path, reference: None },
        Location::Archive { path, .. } => Location::Archive { path, reference: None },
        Location::Registry(reference) => Location::Registry(reference.without_version()),
        other @ Location::Path(_) => other,
    };
    Ok(location.to_string())
}

/// Says what it is, and what those of its files are that nobody told the type of: by their content.
fn recognise(files: &mut transship_pack::Files) -> Result<(), Failure> {
    let mut whole: Option<(Recognised, String)> = None;
    for file in &mut files.files {
        let path = show::plain(&file.path.to_string_lossy());
        let unknown = || {
            Failure::usage(format!("it is not known what {path} is"))
                .hint("say what sort of artifact it is: --artifact-type TYPE")
        };
        let found = known(file)?.ok_or_else(unknown)?;
        if let Some((other, of)) =
            whole.as_ref().filter(|(other, _)| other.artifact_type != found.artifact_type)
        {
            let message = format!(
                "{of} is {}, and {path} is {}",
                quote(other.artifact_type.as_str()),
                quote(found.artifact_type.as_str())
            );
            return Err(Failure::usage(message)
                .hint("attach one at a time, or say what sort of artifact they are: --artifact-type TYPE"));
        }
        file.media_type.get_or_insert_with(|| found.media_type.clone());
        whole.get_or_insert((found, path));
    }
    let Some((whole, _)) = whole else {
        return Err(Failure::usage("there is no file to tell what sort of artifact it is")
            .hint("say it: --artifact-type TYPE"));
    };
    files.artifact.artifact_type = Some(whole.artifact_type);
    for (key, value) in whole.annotations {
        files.artifact.annotations.entry(key).or_insert(value);
    }
    Ok(())
}

fn known(file: &File) -> Result<Option<Recognised>, Failure> {
    match file.path.is_dir() {
        true => Ok(None),
        false => Ok(recognise_file(&file.path)?),
    }
}
