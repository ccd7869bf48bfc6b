//! `transship edit`: an image that is there, changed.

use std::path::Path;

use serde::Serialize;
use transship_codec::Compression;
use transship_layout::Layout;
use transship_pack::{
    AnnotationChanges, ConfigEdit, Edit, Edited, Excludes, LayerEdit, LayerOptions, Member, Rebase, Setting,
    Take, edit_image,
};
use transship_spec::annotations::BASE_DIGEST;
use transship_spec::{Descriptor, Digest, Location, MediaType};

use super::deliver::{Delivered, deliver, tell};
use super::index::left_behind;
use super::pack::{MAX_CONFIG, changes, check_folders, epoch, excludes, tar};
use crate::args::{self, Clear, LayerFlags, PackOutput};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::origin::Found;
use crate::{files, show};

/// `transship.edit/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    location: String,
    dry_run: bool,
    digest: Digest,
    media_type: MediaType,
    size: u64,
    documents: Vec<Document>,
    changes: Vec<String>,
    warnings: Vec<String>,
}

/// A manifest or an index: what it was, and what it is.
#[derive(Debug, Serialize)]
struct Document {
    from: Digest,
    to: Digest,
}

impl Delivered for Edited {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }
}

pub(crate) fn run(args: &args::Edit, context: &Context) -> Result<(), Failure> {
    edit(args, context).cannot(format!("edit {}", show::plain(&args.location)))
}

fn edit(args: &args::Edit, context: &Context) -> Result<(), Failure> {
    if let Some(marks) = args.referrers {
        return super::marks::run(args, marks.into(), context);
    }
    let image = Found::at(&args.location, &args.out, context)?;
    let to = args.to.clone().map_or_else(|| image.home(), Ok)?;
    let bases = bases(&image, &args.layers, &args.out, context)?;
    let edit = Edit {
        config: config(args)?,
        annotations: annotations(&args.said.annotation, &args.said.unset_annotation, args, Clear::Annotation),
        index_annotations: annotations(
            &args.said.index_annotation,
            &args.said.unset_index_annotation,
            args,
            Clear::IndexAnnotation,
        ),
        layers: layers(args, context)?,
        rebase: bases.as_ref().map(|bases| rebase(bases, &to)).transpose()?,
        convert: args.said.convert.map(Into::into),
        platforms: args.platform.clone(),
        keep_attestations: args.keep_attestations,
        source_date_epoch: epoch(context)?,
        sparse: args.sparse,
    };
    let mut member = image.member(Take::Itself, &to)?;
    if args.dry_run {
        member.there = true;
        return plan(&image, &member, &edit, context);
    }
    let (place, edited) =
        deliver(&to, &args.out, context, |layout, name| Ok(edit_image(layout, name, &member, &edit)?))?;
    let warnings = warnings(&image, &edited, context)?;
    edited.changes.iter().for_each(|change| context.progress.detail(&show::plain(change)));
    if edited.documents.iter().all(|(from, to)| from == to) {
        context.progress.note("nothing changed");
    }
    match tell(&place, &edited.descriptor, &args.out, context)? {
        Some(location) => {
            context.output.json("transship.edit/v1", &report(location, false, edited, warnings))
        }
        None => Ok(()),
    }
}

/// What would be, made where nobody sees it, and told of.
fn plan(image: &Found, member: &Member<'_>, edit: &Edit<'_>, context: &Context) -> Result<(), Failure> {
    let scratch = tempfile::Builder::new().prefix("transship-").tempdir();
    let scratch = scratch.map_err(|error| Failure::io("making a temporary folder", &error))?;
    let options = Layout::options().durability(transship_layout::Durability::None);
    let layout = options.create(scratch.path().join("layout"))?;
    let edited = edit_image(&layout, None, member, edit)?;
    let warnings = warnings(image, &edited, context)?;
    if context.output.is_json() {
        let location = image.place.location().to_string();
        return context.output.json("transship.edit/v1", &report(location, true, edited, warnings));
    }
    for change in &edited.changes {
        context.output.line(show::plain(change))?;
    }
    for (from, to) in edited.documents.iter().filter(|(from, to)| from != to) {
        context.output.line(format!("{from} -> {to}"))?;
    }
    if edited.documents.iter().all(|(from, to)| from == to) {
        context.output.line("nothing would change")?;
    }
    Ok(())
}

fn report(location: String, dry_run: bool, edited: Edited, warnings: Vec<String>) -> Report {
    Report {
        location,
        dry_run,
        digest: edited.descriptor.digest,
        media_type: edited.descriptor.media_type,
        size: edited.descriptor.size,
        documents: edited.documents.into_iter().map(|(from, to)| Document { from, to }).collect(),
        changes: edited.changes,
        warnings,
    }
}

/// Tells what was left out, and how much speaks of what was changed.
fn warnings(image: &Found, edited: &Edited, context: &Context) -> Result<Vec<String>, Failure> {
    let mut warnings: Vec<String> = edited.warnings.iter().map(ToString::to_string).collect();
    let changed = edited.documents.iter().filter(|(from, to)| from != to).map(|(from, _)| from);
    warnings.extend(left_behind(image.referrers(changed)?));
    warnings.iter().for_each(|warning| context.progress.warning(warning));
    Ok(warnings)
}

fn config(args: &args::Edit) -> Result<ConfigEdit, Failure> {
    let said = &args.said;
    Ok(ConfigEdit {
        clear: said.clear.iter().filter_map(|clear| setting(*clear)).collect(),
        file: args.runtime.config.as_deref().map(|path| files::read(path, MAX_CONFIG)).transpose()?,
        unset_env: said.unset_env.clone(),
        unset_labels: said.unset_label.clone(),
        unset_ports: said.unset_expose.clone(),
        unset_volumes: said.unset_volume.clone(),
        changes: changes(&args.runtime)?,
        healthcheck: said.healthcheck.clone(),
        author: said.author.clone(),
        created: said.created.clone(),
        platform: said.set_platform.clone(),
        os_features: (!said.os_feature.is_empty()).then(|| said.os_feature.clone()),
        history: said.history.clone(),
    })
}

/// Nothing for what is not of the config.
fn setting(clear: Clear) -> Option<Setting> {
    Some(match clear {
        Clear::Entrypoint => Setting::Entrypoint,
        Clear::Cmd => Setting::Cmd,
        Clear::Env => Setting::Env,
        Clear::Workdir => Setting::WorkingDir,
        Clear::User => Setting::User,
        Clear::Expose => Setting::ExposedPorts,
        Clear::Volume => Setting::Volumes,
        Clear::Label => Setting::Labels,
        Clear::StopSignal => Setting::StopSignal,
        Clear::Healthcheck => Setting::Healthcheck,
        Clear::Author => Setting::Author,
        Clear::Created => Setting::Created,
        Clear::History => Setting::History,
        Clear::Annotation | Clear::IndexAnnotation => return None,
    })
}

fn annotations(
    set: &[(String, String)],
    unset: &[String],
    args: &args::Edit,
    clear: Clear,
) -> AnnotationChanges {
    AnnotationChanges {
        clear: args.said.clear.contains(&clear),
        remove: unset.iter().cloned().collect(),
        set: set.iter().cloned().collect(),
    }
}

fn layers(args: &args::Edit, context: &Context) -> Result<LayerEdit, Failure> {
    let flags = &args.layers;
    let inputs = flags.append_layer.iter().chain(flags.replace_layer.iter().map(|(_, input)| input));
    let inputs: Vec<&Path> = inputs.map(std::path::PathBuf::as_path).collect();
    if !inputs.is_empty() {
        check_folders(&args.tree, &inputs)?;
    }
    let excludes: Excludes = excludes(&args.tree, args.tree.exclude.clone())?;
    Ok(LayerEdit {
        drop: flags.drop_layer.clone(),
        replace: flags.replace_layer.clone(),
        append: flags.append_layer.clone(),
        squash: flags.squash,
        mtime: flags.time,
        recompress: flags.recompress.map(Compression::from),
        options: LayerOptions {
            level: flags.level,
            threads: flags.threads.unwrap_or_default(),
            tar: tar(&args.tree, excludes, epoch(context)?)?,
            spool: Some(std::env::temp_dir()),
            ..LayerOptions::default()
        },
    })
}

/// The base that an image has, and the one that it is to get.
fn bases(
    image: &Found,
    flags: &LayerFlags,
    out: &PackOutput,
    context: &Context,
) -> Result<Option<[Found; 2]>, Failure> {
    let find =
        |text: &str| Found::at(text, out, context).cannot(format!("find the base {}", show::plain(text)));
    match (flags.rebase.as_slice(), &flags.rebase_to) {
        ([old, new], _) => Ok(Some([find(old)?, find(new)?])),
        (_, Some(new)) => {
            let old = told_base(image)?;
            let new = find(new)?;
            Ok(Some([find(&new.beside(&old).to_string())?, new]))
        }
        _ => Ok(None),
    }
}

/// The base that the image's annotations tell.
fn told_base(image: &Found) -> Result<Digest, Failure> {
    let document = transship_layout::read_document(image.origin()?.source(), image.descriptor())?;
    match document.annotations().get(BASE_DIGEST) {
        Some(digest) => Ok(Digest::parse(digest)?),
        None => Err(Failure::usage(format!("its annotations do not tell the base of {}", image.place))
            .hint("say it: --rebase OLD NEW")),
    }
}

fn rebase<'a>([old, new]: &'a [Found; 2], to: &str) -> Result<Rebase<'a>, Failure> {
    let name = match new.place.location() {
        Location::Registry(reference) => Some(reference.or_latest().to_string()),
        _ => new.entry.full_name().map(str::to_owned),
    };
    Ok(Rebase { old: old.member(Take::Itself, to)?, new: new.member(Take::Itself, to)?, name })
}
