//! `transship index`: images for several platforms under one name.

use serde::Serialize;
use transship_layout::{Layout, Name};
use transship_pack::{
    IndexOptions, Indexed, Member, Removal, Take, add_to_index, create_index, remove_from_index,
};
use transship_spec::{Descriptor, Digest, MediaType};

use super::deliver::{Delivered, deliver, tell};
use super::pack::subject;
use crate::args::{HeadFlags, IndexAdd, IndexCommand, IndexCreate, IndexRemove, MemberFlags, PackOutput};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::origin::Found;
use crate::show;

/// `transship.index/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    location: String,
    digest: Digest,
    media_type: MediaType,
    size: u64,
    manifests: Vec<Listed>,
    added: Vec<Digest>,
    removed: Vec<Digest>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    digest: Digest,
    media_type: MediaType,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<MediaType>,
}

impl From<Descriptor> for Listed {
    fn from(member: Descriptor) -> Self {
        Self {
            digest: member.digest,
            media_type: member.media_type,
            size: member.size,
            platform: member.platform.map(|platform| platform.to_string()),
            artifact_type: member.artifact_type,
        }
    }
}

impl Delivered for Indexed {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }
}

pub(crate) fn run(command: &IndexCommand, context: &Context) -> Result<(), Failure> {
    match command {
        IndexCommand::Create(args) => create(args, context).cannot("make the index"),
        IndexCommand::Add(args) => add(args, context).cannot(format!("add to {}", show::plain(&args.index))),
        IndexCommand::Remove(args) => {
            remove(args, context).cannot(format!("take out of {}", show::plain(&args.index)))
        }
    }
}

fn create(args: &IndexCreate, context: &Context) -> Result<(), Failure> {
    let found = find(&args.images, &args.out, context)?;
    let members = members(&found, &args.members, &args.to)?;
    let options = options(&args.members, &args.head, &args.out, context)?;
    put(&args.to, None, &args.out, context, |layout, name| create_index(layout, name, &members, &options))
}

fn add(args: &IndexAdd, context: &Context) -> Result<(), Failure> {
    let index = Found::at(&args.index, &args.out, context)?;
    let found = find(&args.images, &args.out, context)?;
    let to = args.to.clone().map_or_else(|| index.home(), Ok)?;
    let members = members(&found, &args.members, &to)?;
    let options = options(&args.members, &args.head, &args.out, context)?;
    let old = index.member(Take::Itself, &to)?;
    put(&to, Some(&index), &args.out, context, |layout, name| {
        add_to_index(layout, name, &old, &members, &options)
    })
}

fn remove(args: &IndexRemove, context: &Context) -> Result<(), Failure> {
    let index = Found::at(&args.index, &args.out, context)?;
    let to = args.to.clone().map_or_else(|| index.home(), Ok)?;
    let old = index.member(Take::Itself, &to)?;
    let removal = Removal { digests: args.digests.clone(), platforms: args.platform.clone() };
    put(&to, Some(&index), &args.out, context, |layout, name| remove_from_index(layout, name, &old, &removal))
}

fn find(images: &[String], out: &PackOutput, context: &Context) -> Result<Vec<Found>, Failure> {
    let at = |text: &String| Found::at(text, out, context).cannot(format!("list {}", show::plain(text)));
    images.iter().map(at).collect()
}

fn members<'a>(found: &'a [Found], flags: &MemberFlags, to: &str) -> Result<Vec<Member<'a>>, Failure> {
    let take = match flags.platform.as_slice() {
        [] if flags.flatten => Take::Members,
        [] => Take::Itself,
        platforms => Take::Platforms(platforms.to_vec()),
    };
    found.iter().map(|found| found.member(take.clone(), to)).collect()
}

fn options(
    flags: &MemberFlags,
    head: &HeadFlags,
    out: &PackOutput,
    context: &Context,
) -> Result<IndexOptions, Failure> {
    Ok(IndexOptions {
        annotations: head.annotation.iter().cloned().collect(),
        member_annotations: flags.member_annotation.iter().cloned().collect(),
        member_platform: flags.member_platform.clone(),
        artifact_type: head.artifact_type.clone(),
        subject: head.subject.as_deref().map(|text| subject(text, out, context)).transpose()?,
        replace: flags.replace,
        sparse: flags.sparse,
    })
}

/// Lets the index be made and put where it belongs, and tells of it.
fn put(
    to: &str,
    old: Option<&Found>,
    out: &PackOutput,
    context: &Context,
    make: impl FnOnce(&Layout, Option<&Name>) -> Result<Indexed, transship_pack::Error>,
) -> Result<(), Failure> {
    let (place, made) = deliver(to, out, context, |layout, name| Ok(make(layout, name)?))?;
    let mut warnings: Vec<String> = made.warnings.iter().map(ToString::to_string).collect();
    if let Some(old) = old.filter(|old| old.descriptor().digest != made.descriptor.digest) {
        warnings.extend(left_behind(old.referrers([&old.descriptor().digest])?));
    }
    for warning in &warnings {
        context.progress.warning(warning);
    }
    let Some(location) = tell(&place, &made.descriptor, out, context)? else { return Ok(()) };
    let digests = |members: &[Descriptor]| members.iter().map(|member| member.digest.clone()).collect();
    let report = Report {
        location,
        added: digests(&made.added),
        removed: digests(&made.removed),
        manifests: made.members.into_iter().map(Listed::from).collect(),
        digest: made.descriptor.digest,
        media_type: made.descriptor.media_type,
        size: made.descriptor.size,
        warnings,
    };
    context.output.json("transship.index/v1", &report)
}

/// What refers to the old content says nothing of the new.
pub(super) fn left_behind(referrers: usize) -> Option<String> {
    let count = show::count(referrers, "signature or referrer", "signatures and referrers");
    let verb = if referrers == 1 { "speaks" } else { "speak" };
    (referrers > 0).then(|| format!("{count} {verb} of the old digest, and not of the new one"))
}
