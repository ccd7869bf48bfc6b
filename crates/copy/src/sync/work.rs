//! From copies to plans: what is copied in the same manner is one plan, and what cannot be named fails alone.

use std::collections::HashMap;
use std::sync::Arc;

use transship_spec::Location;

use super::config::Copy;
use super::how::How;
use crate::endpoint::Place;
use crate::names::Name;
use crate::report::LeftOut;
use crate::select::{Destination, Request, Source, requests};
use crate::{
    Error, Options, Plan, PlannedRoot, Report, Result, RootReport, SavedPlan, Shard, Summary, Totals, plan,
};

/// What several copies come to. Each is added for each of its destinations; what was added before stays, whatever becomes
/// of the next.
///
/// ```
/// use transship_copy::sync::{Config, Work};
/// use transship_copy::{Destination, Options, Select, Source, endpoint};
/// use transship_layout::Layout;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # Layout::options().create(folder.path().join("in"))?;
/// let config = Config::parse("{version: 1, sync: [{from: 'oci:in', to: 'oci:out'}]}", folder.path())?;
/// let mut work = Work::default();
/// for copy in &config.copies {
///     let from = Layout::options().open_read_only(folder.path().join("in"))?;
///     let source = Source { endpoint: endpoint::layout(from), select: Select::All };
///     let layout = Layout::options().open_or_create(folder.path().join("out"))?;
///     let to = Destination::Layout { layout, name: None };
///     work.add(copy, &copy.to[0], &[source], &to).await;
/// }
/// let report = work.plan(&Options::default()).await.run().await;
/// // Nothing has a name in the layout, and that is told.
/// assert_eq!(report.failures().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Work {
    groups: Vec<(How, Vec<Request>)>,
    /// What each name at each place was given to.
    taken: HashMap<(Place, Name), String>,
    failures: Vec<RootReport>,
}

impl Work {
    /// Adds what a copy comes to at one of its destinations. Where that cannot be told, the copy fails there, and this is
    /// told when the rest is done. Something that was added before is not added again.
    pub async fn add(&mut self, copy: &Copy, to: &Location, sources: &[Source], destination: &Destination) {
        let found = requests(sources, destination, &copy.selection).await;
        let added = found.and_then(|requests| self.take(&copy.how, requests));
        if let Err(error) = added {
            self.fail(copy, to, error);
        }
    }

    /// Notes that nothing of a copy can get to one of its destinations.
    pub fn fail(&mut self, copy: &Copy, to: &Location, error: Error) {
        let from: Vec<String> = copy.from.iter().map(ToString::to_string).collect();
        self.failures.push(RootReport::unnamed(from.join(", "), to.to_string(), error));
    }

    /// Keeps of it what is part of a shard. What failed is told by all shards alike.
    #[must_use]
    pub fn shard(mut self, shard: Shard) -> Self {
        for (_, requests) in &mut self.groups {
            *requests = shard.of(std::mem::take(requests));
        }
        self
    }

    /// Takes all or nothing.
    fn take(&mut self, how: &How, requests: Vec<Request>) -> Result<()> {
        let mut new = Vec::new();
        let mut names = Vec::new();
        for request in requests {
            let what = format!("{} of {}", request.listed.called, request.from.place());
            let key = (request.to.place().clone(), request.name.clone());
            match self.taken.get(&key) {
                Some(other) if *other == what => continue,
                Some(other) if key.1 != Name::Digest => {
                    let name = format!("{} in {}", key.1, key.0);
                    return Err(Error::TwoOnOneName { name, one: other.clone(), other: what });
                }
                _ => {}
            }
            names.push((key, what));
            new.push(request);
        }
        self.taken.extend(names);
        match self.groups.iter_mut().find(|(known, _)| known == how) {
            Some((_, all)) => all.extend(new),
            None => self.groups.push((how.clone(), new)),
        }
        Ok(())
    }

    /// Finds out what is missing. Of `options` the concurrency, whether to stop at the first failure, and who is told
    /// count; the rest is what the file says. Nothing is changed.
    pub async fn plan(self, options: &Options) -> Plans {
        let mut plans = Vec::new();
        for (how, requests) in self.groups.into_iter().filter(|(_, requests)| !requests.is_empty()) {
            let options = Options {
                referrers: how.referrers,
                digest_tags: how.digest_tags,
                subset: how.subset,
                convert: how.convert,
                nondistributable: how.nondistributable,
                members: how.members,
                link: how.link,
                ..options.clone()
            };
            plans.push(plan(requests, &options).await);
        }
        Plans { plans, failures: self.failures, fail_fast: options.fail_fast }
    }
}

/// Plans that are carried out one after the other.
#[derive(Debug)]
#[must_use = "a plan changes nothing before it is run"]
pub struct Plans {
    plans: Vec<Plan>,
    failures: Vec<RootReport>,
    fail_fast: bool,
}

impl Plans {
    /// All plans as one for programs. What cannot be copied at all is in it, with the reason.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut whole = Summary::nothing();
        for plan in &self.plans {
            whole.join(plan.summary());
        }
        whole.roots.extend(self.failures.iter().map(PlannedRoot::of_failed));
        whole
    }

    /// Carries everything out, and tells of it as of one copy. What fails leaves the rest alone, unless the first failure
    /// is to be the last.
    pub async fn run(self) -> Report {
        let mut whole = Report::default();
        let mut stop = self.fail_fast && !self.failures.is_empty();
        for plan in self.plans {
            if stop {
                let stopped = plan.summary().roots.into_iter();
                let stopped =
                    stopped.map(|root| RootReport::unnamed(root.source, root.destination, Error::Stopped));
                whole.roots.extend(stopped);
                continue;
            }
            let report = plan.run().await;
            stop = self.fail_fast && report.kind().is_some();
            whole.join(report);
        }
        whole.roots.extend(self.failures);
        whole
    }

    /// The plan to be saved.
    ///
    /// # Errors
    /// [`Error::Manners`] where not all is copied in the same manner; the error of what cannot be copied; and those of
    /// [`Plan::saved`].
    pub fn saved(&self) -> Result<SavedPlan> {
        if let Some(failure) = self.failures.iter().find_map(|root| root.failure.as_ref()) {
            return Err(Error::Shared(Arc::clone(&failure.error)));
        }
        match self.plans.as_slice() {
            [only] => only.saved(),
            plans => Err(Error::Manners { count: plans.len() }),
        }
    }
}

impl From<Plan> for Plans {
    /// One plan, as it is.
    fn from(plan: Plan) -> Self {
        let fail_fast = plan.options.fail_fast;
        Self { plans: vec![plan], failures: Vec::new(), fail_fast }
    }
}

impl RootReport {
    /// Something of which not even the roots are known, or that was not begun.
    fn unnamed(source: String, destination: String, error: Error) -> Self {
        Self {
            source,
            destination,
            name: Name::Digest,
            digest: None,
            why: crate::Why::Asked,
            status: crate::Status::Failed,
            failure: Some(crate::Failure::of(&Arc::new(error))),
            part: None,
            converted: Vec::new(),
            descriptor: None,
        }
    }
}

impl Report {
    /// Takes another report in.
    fn join(&mut self, other: Self) {
        self.roots.extend(other.roots);
        self.referrers += other.referrers;
        self.warnings.extend(other.warnings);
        self.content.join(&other.content);
        self.left_out.join(&other.left_out);
    }
}

impl Summary {
    fn nothing() -> Self {
        Self {
            schema: "transship.copy.plan/1",
            roots: Vec::new(),
            missing: Totals::default(),
            present: Totals::default(),
            destinations: Vec::new(),
            left_out: LeftOut::default(),
            warnings: Vec::new(),
        }
    }

    /// Takes another plan in.
    fn join(&mut self, other: Self) {
        self.roots.extend(other.roots);
        self.missing.join(&other.missing);
        self.present.join(&other.present);
        for more in other.destinations {
            match self.destinations.iter_mut().find(|known| known.destination == more.destination) {
                Some(known) => {
                    known.missing.join(&more.missing);
                    known.present.join(&more.present);
                }
                None => self.destinations.push(more),
            }
        }
        self.left_out.join(&other.left_out);
        self.warnings.extend(other.warnings);
    }
}

impl Totals {
    fn join(&mut self, other: &Self) {
        self.blobs.join(other.blobs);
        self.manifests.join(other.manifests);
    }
}

impl PlannedRoot {
    fn of_failed(root: &RootReport) -> Self {
        Self {
            source: root.source.clone(),
            destination: root.destination.clone(),
            name: root.name.clone(),
            digest: None,
            why: root.why.clone(),
            present: false,
            replaces: None,
            failure: root.failure.clone(),
            part: None,
            converted: Vec::new(),
        }
    }
}
