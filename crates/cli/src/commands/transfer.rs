//! What `copy` and `pack --to` a registry have in common: running the engine, and telling of it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use transship_copy::names::Name;
use transship_copy::{Events, Part, Placed, Report, RootReport, Status, Summary, Totals};
use transship_layout::{Layout, LayoutOptions};
use transship_registry::{Client, Repository};
use transship_spec::{Descriptor, Digest, Kind, Location, Reference};

use crate::args::NetworkFlags;
use crate::context::Context;
use crate::exit::{Failure, Meaning};
use crate::network::{Async, Network};
use crate::place::Place;
use crate::progress::{Item, Progress};
use crate::show;

/// The runtime of a copy: with the network if a place lies there, else without.
pub(super) enum Runner {
    Network(Network),
    Local(Async),
}

impl Runner {
    pub(super) fn new(
        context: &Context,
        flags: &NetworkFlags,
        places: &[&Place],
        concurrency: usize,
    ) -> Result<Self, Failure> {
        let registries: Vec<&str> = places.iter().filter_map(|place| place.registry()).collect();
        match registries.is_empty() {
            true => Ok(Self::Local(Async::new(context, false)?)),
            false => Ok(Self::Network(Network::open_for(context, flags, &registries, concurrency)?)),
        }
    }

    pub(super) fn block_on<T, E: Into<Failure>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        match self {
            Self::Network(network) => network.block_on(future),
            Self::Local(runtime) => runtime.block_on(future),
        }
    }

    pub(super) fn client(&self) -> Result<&Client, Failure> {
        match self {
            Self::Network(network) => Ok(&network.client),
            Self::Local(_) => Err(Failure::new(Kind::Unexpected, "no registry was named")),
        }
    }

    pub(super) fn repository(&self, reference: &Reference) -> Result<Repository, Failure> {
        match self {
            Self::Network(network) => network.repository(reference),
            Self::Local(_) => Err(Failure::new(Kind::Unexpected, "no registry was named")),
        }
    }
}

/// A layout that a copy goes into. It must be in its place, so that a download can go on; one that was made for the copy
/// and got nothing is removed again.
pub(super) struct Made {
    layout: Layout,
    /// The folder, where it was made for this.
    new: Option<PathBuf>,
    /// Whether what arrived is worth keeping, though nothing is named.
    resumable: bool,
    /// Where a layout lies that is only pretended.
    _scratch: Option<tempfile::TempDir>,
}

impl Made {
    pub(super) fn open(path: &Path, options: &LayoutOptions) -> Result<Self, Failure> {
        let there = path.symlink_metadata().is_ok();
        let layout = options.open_or_create(path).map_err(crate::local::not_a_target)?;
        Ok(Self { layout, new: (!there).then(|| path.to_owned()), resumable: true, _scratch: None })
    }

    /// The layout as it is, for a plan that changes nothing; an empty one elsewhere if there is none.
    pub(super) fn pretend(path: &Path, options: &LayoutOptions) -> Result<Self, Failure> {
        let empty = match path.read_dir() {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if !empty {
            let layout = options.open_read_only(path)?;
            return Ok(Self { layout, new: None, resumable: true, _scratch: None });
        }
        let scratch =
            tempfile::tempdir().map_err(|error| Failure::io("making a temporary folder", &error))?;
        let layout = options.create(scratch.path())?;
        Ok(Self { layout, new: None, resumable: true, _scratch: Some(scratch) })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How the copy ended: if nothing was named, then what arrived is kept only if another try could go on with it.
    pub(super) fn ended(&mut self, report: &Report, is_ours: impl Fn(&RootReport) -> bool) {
        if report.roots.iter().any(|root| root.status != Status::Failed && is_ours(root)) {
            self.new = None;
        }
        self.resumable = matches!(report.kind(), None | Some(Kind::Network | Kind::Interrupted | Kind::Busy));
    }

    fn is_empty(&self) -> bool {
        self.layout.entries().is_ok_and(|entries| entries.is_empty())
            && (!self.resumable || self.layout.blobs().is_ok_and(|mut blobs| blobs.next().is_none()))
    }
}

impl Drop for Made {
    /// Another process may have found the layout meanwhile. One that is writing has a lease, and then the layout stays;
    /// one that has only opened it fails when it begins to write, for its folder is gone.
    fn drop(&mut self) {
        let Some(path) = self.new.take().filter(|_| self.is_empty()) else { return };
        let holds = |folder: &Path, name: &str| {
            folder.join(".transship").join(name).read_dir().is_ok_and(|mut entries| entries.next().is_some())
        };
        let mut aside = path.clone().into_os_string();
        aside.push(format!(".transship-{}", std::process::id()));
        let aside = PathBuf::from(aside);
        if self.resumable && holds(&path, "partial") || std::fs::rename(&path, &aside).is_err() {
            return;
        }
        if holds(&aside, "leases") {
            let _ = std::fs::rename(&aside, &path);
        } else {
            let _ = std::fs::remove_dir_all(&aside);
        }
    }
}

impl Meaning for transship_copy::Error {
    fn meaning(&self) -> Kind {
        self.kind()
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Layout(error) => error.advice(),
            error => error.remedy(),
        }
    }
}

/// A failure of a report as one of this program.
pub(super) fn failure(failure: &transship_copy::Failure) -> Failure {
    let told = Failure::new(failure.kind, failure.message.clone());
    match &failure.remedy {
        Some(remedy) => told.hint(remedy.clone()),
        None => told,
    }
}

/// Tells of a copy while it goes on.
pub(super) struct Watched(pub(super) Progress);

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl Events for Watched {
    fn planned(&self, _blobs: u64, bytes: u64) {
        self.0.begin(Some(bytes));
    }

    fn blob_started(&self, blob: &Descriptor) {
        let key = blob.digest.to_string();
        self.0.started(Item { key: &key, name: &name_of(blob), size: Some(blob.size) });
    }

    fn blob_progress(&self, blob: &Descriptor, bytes: u64) {
        self.0.advanced(&blob.digest.to_string(), bytes);
    }

    fn blob_done(&self, blob: &Descriptor, how: Placed) {
        self.0.finished(&blob.digest.to_string());
        if how == Placed::Mounted {
            self.0.detail(&format!("{} was mounted from another repository", name_of(blob)));
        }
    }

    fn blob_failed(&self, blob: &Descriptor) {
        self.0.gone(&blob.digest.to_string());
    }

    fn root_done(&self, root: &RootReport) {
        let digest = root.digest.as_ref().map(|digest| format!(", {digest}")).unwrap_or_default();
        self.0.detail(&format!("{}: {}{digest}", show::plain(&root.source), word(root)));
    }

    fn warning(&self, text: &str) {
        self.0.warning(&show::plain(text));
    }
}

fn word(root: &RootReport) -> &'static str {
    match root.status {
        Status::Copied => "copied",
        Status::Present => "was there",
        _ => "failed",
    }
}

/// What a blob is called beside its bar.
fn name_of(blob: &Descriptor) -> String {
    let what = match &blob.media_type {
        layer if layer.is_layer() => "layer",
        config if config.is_image_config() => "config",
        _ => "blob",
    };
    format!("{what} {}", blob.digest.short())
}

/// Where a root is now, as it can be typed.
pub(super) fn location(dest: &Place, root: &RootReport) -> String {
    let digest = root.digest.as_ref().map(|digest| format!("@{digest}"));
    match dest {
        Place::Layout { path, .. } => {
            let reference = match &root.name {
                Name::Digest => digest,
                name => Some(name.to_string()),
            };
            Location::Layout { path: path.clone(), reference }.to_string()
        }
        Place::Archive { path, form, .. } => {
            let reference = match &root.name {
                Name::Digest => digest,
                name => Some(name.to_string()),
            };
            Place::Archive { path: path.clone(), reference, form: *form }.location().to_string()
        }
        Place::Registry(_) => match &root.name {
            Name::Digest => format!("{}{}", root.destination, digest.unwrap_or_default()),
            name => format!("{}:{name}", root.destination),
        },
    }
}

/// What a copy cost.
#[derive(Debug, Serialize)]
pub(super) struct Effort {
    /// Bytes that went from place to place.
    bytes: u64,
    /// Requests, all in all and to each host.
    requests: u64,
    hosts: BTreeMap<String, u64>,
    seconds: f64,
}

/// A report, and what it cost.
#[derive(Debug, Serialize)]
pub(super) struct Full<'a> {
    #[serde(flatten)]
    pub(super) report: &'a Report,
    #[serde(flatten)]
    effort: Effort,
}

impl Effort {
    pub(super) fn of(report: &Report, time: Duration, context: &Context) -> Self {
        let hosts = context.progress.requests();
        let seconds = (time.as_secs_f64() * 1000.0).round() / 1000.0;
        Self { bytes: report.content.bytes(), requests: hosts.values().sum(), hosts, seconds }
    }

    fn numbers(&self, report: &Report) -> serde_json::Value {
        json!({
            "content": report.content, "referrers": report.referrers, "leftOut": report.left_out,
            "bytes": self.bytes, "requests": self.requests, "hosts": self.hosts, "seconds": self.seconds,
        })
    }

    pub(super) fn with(self, report: &Report) -> Full<'_> {
        Full { report, effort: self }
    }
}

/// One line at the end: what moved, what was there, what was mounted, how long; and what was left out.
pub(super) fn summarize(report: &Report, time: Duration, context: &Context) {
    let content = &report.content;
    let mut parts = Vec::new();
    if content.copied.count + content.manifests.count > 0 {
        let things = both(content.copied.count, content.manifests.count);
        let bytes = content.copied.bytes.saturating_add(content.manifests.bytes);
        parts.push(format!("{things} copied ({})", show::bytes(bytes)));
    }
    for (tally, what) in [
        (content.reflinked, "shared with the source"),
        (content.linked, "linked to the source"),
        (content.mounted, "mounted"),
        (content.resumed, "gone on with"),
        (content.healed, "mended"),
    ] {
        if tally.count > 0 {
            parts.push(format!("{} {what}", blobs(tally.count)));
        }
    }
    let kept = report.roots.iter().filter(|root| root.status == Status::Present).count() as u64;
    if parts.is_empty() && report.kind().is_some() {
        return;
    }
    if parts.is_empty() {
        parts.push("nothing moved: everything was there already".to_owned());
    } else if content.present.count + kept > 0 {
        parts.push(format!("{} there already", both(content.present.count, kept)));
    }
    if report.referrers > 0 {
        parts.push(format!("with {}", show::count(report.referrers, "referrer", "referrers")));
    }
    let effort = Effort::of(report, time, context);
    if effort.requests > 0 {
        parts.push(several(effort.requests, "request", "requests"));
    }
    parts.push(show::duration(time));
    context.progress.summary(&parts.join(", "), &effort.numbers(report));
    let left = report.left_out.nondistributable;
    if left.count > 0 {
        let text = format!(
            "{} that may not be distributed stayed behind ({})",
            several(left.count, "layer", "layers"),
            show::bytes(left.bytes)
        );
        context.progress.warning(&text);
    }
    for root in report.roots.iter().filter(|root| root.status != Status::Failed) {
        if let (Some(part), Some(digest)) = (&root.part, &root.digest) {
            context.progress.note(&show::plain(&part_text(root, part, digest)));
        }
        if let Some(last) = root.converted.last() {
            let documents = show::count(root.converted.len(), "manifest", "manifests");
            let text =
                format!("{} became {} ({}): {documents} converted", last.from, last.to, last.media_type);
            context.progress.note(&show::plain(&text));
        }
    }
}

/// What of an index was copied, and what it was before.
fn part_text(root: &RootReport, part: &Part, digest: &Digest) -> String {
    let left_out = show::count(part.left_out, "manifest", "manifests");
    let platforms = part.platforms.join(", ");
    match &part.original {
        Some(original) => {
            format!("{original} became {digest}: {platforms} of {}, without {left_out}", root.source)
        }
        None => format!("{platforms} of {} alone: {left_out} of its index left out", root.source),
    }
}

fn blobs(count: u64) -> String {
    several(count, "blob", "blobs")
}

/// A number of blobs and one of manifests; what there is none of is not told.
fn both(blobs_count: u64, manifests: u64) -> String {
    let manifests = (manifests > 0).then(|| several(manifests, "manifest", "manifests"));
    let blobs = (blobs_count > 0).then(|| blobs(blobs_count));
    blobs.into_iter().chain(manifests).collect::<Vec<_>>().join(" and ")
}

fn several(count: u64, one: &str, many: &str) -> String {
    show::count(usize::try_from(count).unwrap_or(usize::MAX), one, many)
}

/// A plan for people.
pub(super) fn plan_text(plan: &Summary) -> String {
    let mut text = String::new();
    for root in &plan.roots {
        let verb = match (&root.failure, root.present) {
            (Some(_), _) => "fail",
            (None, true) => "keep",
            (None, false) => "copy",
        };
        let name = match &root.name {
            Name::Digest => String::new(),
            name => format!(" as {}", show::plain(&name.to_string())),
        };
        let failure = root.failure.as_ref().map(|failure| format!(": {}", show::plain(&failure.message)));
        let part = root.part.as_ref().map(|part| format!(" ({})", show::plain(&part.platforms.join(", "))));
        let line =
            format!("{verb} {} to {}{name}", show::plain(&root.source), show::plain(&root.destination));
        let converted =
            root.converted.last().map(|last| format!(", which becomes {} ({})", last.to, last.media_type));
        let line = line + &part.unwrap_or_default() + &converted.unwrap_or_default();
        text.push_str(&format!("{line}{}\n", failure.unwrap_or_default()));
    }
    text.push_str(&format!("missing: {}\n", totals(&plan.missing)));
    text.push_str(&format!("there: {}\n", totals(&plan.present)));
    for to in plan.destinations.iter().filter(|_| plan.destinations.len() > 1) {
        let (missing, present) = (show::bytes(to.missing.bytes()), show::bytes(to.present.bytes()));
        let place = show::plain(&to.destination);
        text.push_str(&format!("{place}: {missing} missing, {present} there\n"));
    }
    text
}

fn totals(totals: &Totals) -> String {
    format!(
        "{} and {}, {}",
        several(totals.blobs.count, "blob", "blobs"),
        several(totals.manifests.count, "manifest", "manifests"),
        show::bytes(totals.bytes()),
    )
}
