//! Plan, then execute: what is missing, how much it is, and what everything will be called.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use transship_layout::Link;
use transship_spec::{Dialect, Digest, MediaType, Platform};

use crate::engine;
use crate::events::{Events, Quiet};
use crate::graph::State;
use crate::names::Name;
use crate::report::{Converted, Failure, LeftOut, Part, Report, Tally, Why};
use crate::select::Request;
use crate::survey::Survey;

/// Which referrers come along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Referrers {
    /// All of them, and those that refer to them.
    #[default]
    All,
    /// None.
    None,
    /// Those of these artifact types.
    Types(Vec<MediaType>),
}

/// What of an index is copied, where it is not all. What is no index is copied as it is.
///
/// Of several platforms, attestations come along with the images that they speak of (IMG-83), and so do members without
/// a platform. A platform that an index does not have is [`Error::NoPlatform`](crate::Error::NoPlatform).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subset {
    /// The image for this platform instead of the index.
    One(Platform),
    /// The index as it is, with the images for these platforms alone (IMG-85). The entry of a layout or an archive
    /// declares which, so that the others can be told from what was lost; a later copy fills the holes. A registry may
    /// refuse it ([`Error::Sparse`](crate::Error::Sparse)); what one that does not refuse it holds of these platforms is
    /// asked for, image by image, which a copy of all does not: a registry that has an index has all of it (DIST-62).
    Sparse(Vec<Platform>),
    /// A new index of the images for these platforms, otherwise as it was. What refers to the old index stays behind.
    Rewrite(Vec<Platform>),
}

/// How to copy.
#[derive(Debug, Clone)]
pub struct Options {
    /// Blobs under way at once: 6. Registries have a bound of their own.
    pub concurrency: usize,
    /// Which referrers come along: all.
    pub referrers: Referrers,
    /// Whether digest tags of cosign and its like come along: yes.
    pub digest_tags: bool,
    /// What of each index that was asked for is copied: all.
    pub subset: Option<Subset>,
    /// Whose media types everything that was asked for is to have: those that it has. What is converted has other
    /// digests; what belongs to it by its old ones stays behind. Digest tags that were asked for stay as they are.
    pub convert: Option<Dialect>,
    /// Copy layers that may not be distributed (IMG-150): no. If so, a registry is asked for each of them, also where it
    /// has the manifest.
    pub nondistributable: bool,
    /// Ask a registry for each member of an index that it has: no. Whoever copied a part of the index before, as
    /// [`Subset::Sparse`], left it with less than it needs, which nobody tells of; each member costs a request.
    pub members: bool,
    /// What blobs of a layout have in common with those of the layout that they come from: blocks, where the file system
    /// can. Content from elsewhere, and manifests, are written in any case.
    pub link: Link,
    /// Begin nothing more after the first failure: no.
    pub fail_fast: bool,
    /// Who is told what goes on.
    pub events: Arc<dyn Events>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 6,
            referrers: Referrers::All,
            digest_tags: true,
            subset: None,
            convert: None,
            nondistributable: false,
            members: false,
            link: Link::default(),
            fail_fast: false,
            events: Arc::new(Quiet),
        }
    }
}

/// Finds out what is missing at the destinations. Nothing is changed.
///
/// A root that cannot be planned is in the plan with the reason; the others are planned all the same.
///
/// ```
/// use transship_copy::{Destination, Options, Select, Selection, Source, endpoint, plan, requests};
/// use transship_layout::{Layout, Name};
/// use transship_spec::{Descriptor, Index};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// let from = Layout::options().create(folder.path().join("from"))?;
/// let session = from.begin()?;
/// let root = session.put_document(&Index::new(Vec::new()).to_document()?)?;
/// session.commit(|index| index.set(&Name::short("v1")?, &root))?;
///
/// let source = Source { endpoint: endpoint::layout(from), select: Select::All };
/// let layout = Layout::options().create(folder.path().join("to"))?;
/// let to = Destination::Layout { layout: layout.clone(), name: None };
/// let requests = requests(&[source], &to, &Selection::default()).await?;
/// let plan = plan(requests, &Options::default()).await;
/// assert_eq!(plan.summary().missing.manifests.count, 1);
///
/// let report = plan.run().await;
/// assert_eq!(report.kind(), None);
/// assert_eq!(layout.resolve(Some("v1"))?.descriptor.digest, root.digest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn plan(requests: Vec<Request>, options: &Options) -> Plan {
    let survey = Survey::make(requests, options).await;
    Plan { survey, options: options.clone() }
}

/// What is going to be done. Printed, it is a table for people; [`Plan::summary`] is the same for programs.
#[derive(Debug)]
#[must_use = "a plan changes nothing before it is run"]
pub struct Plan {
    pub(crate) survey: Survey,
    pub(crate) options: Options,
}

/// A plan as a value that can be written as JSON.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Summary {
    /// The form of this document: `transship.copy.plan/1`.
    pub schema: &'static str,
    /// What is going to be copied, referrers and digest tags after what they belong to.
    pub roots: Vec<PlannedRoot>,
    /// What has to be moved, as far as is known: registries may mount some of it.
    pub missing: Totals,
    /// What is there.
    pub present: Totals,
    /// The same for each destination, in the order in which they were met.
    pub destinations: Vec<PlannedDestination>,
    /// What will not be copied.
    pub left_out: LeftOut,
    /// What is odd.
    pub warnings: Vec<String>,
}

/// What has to be moved to one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedDestination {
    /// The place.
    pub destination: String,
    /// What has to be moved, as far as is known: a registry may mount some of it.
    pub missing: Totals,
    /// What is there.
    pub present: Totals,
}

/// Content by sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Configs and layers.
    pub blobs: Tally,
    /// Manifests and indexes.
    pub manifests: Tally,
}

impl Totals {
    /// All bytes of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blobs.bytes.saturating_add(self.manifests.bytes)
    }

    fn add(&mut self, other: &Self) {
        for (tally, other) in [(&mut self.blobs, other.blobs), (&mut self.manifests, other.manifests)] {
            tally.count += other.count;
            tally.bytes = tally.bytes.saturating_add(other.bytes);
        }
    }
}

/// One root of a plan.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PlannedRoot {
    /// Where it comes from.
    pub source: String,
    /// The place that it goes to.
    pub destination: String,
    /// Its name there; none where it has only its digest.
    pub name: Name,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Why it is copied.
    #[serde(flatten)]
    pub why: Why,
    /// Whether nothing is to be done for it.
    pub present: bool,
    /// What its name stands for there now, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Digest>,
    /// Why it cannot be copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What of an index it is, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Which of its documents are converted, what others need before them and the root last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub converted: Vec<Converted>,
}

impl Plan {
    /// The plan for programs.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let survey = &self.survey;
        let mut left_out = survey.left_out();
        let nodes = survey.spots.iter().flat_map(|spot| &spot.graph.nodes);
        for node in nodes.filter(|node| matches!(node.state, State::LeftOut)) {
            left_out.nondistributable.add(node.descriptor.size);
        }
        let destinations = self.destinations();
        let (mut missing, mut present) = (Totals::default(), Totals::default());
        for destination in &destinations {
            missing.add(&destination.missing);
            present.add(&destination.present);
        }
        Summary {
            schema: "transship.copy.plan/1",
            roots: self.roots(),
            missing,
            present,
            destinations,
            left_out,
            warnings: survey.warnings.clone(),
        }
    }

    pub(crate) fn destinations(&self) -> Vec<PlannedDestination> {
        let spots = self.survey.spots.iter().enumerate().map(|(at, spot)| {
            let (mut missing, mut present) = (Totals::default(), Totals::default());
            for node in &spot.graph.nodes {
                let totals = match &node.state {
                    State::Present => &mut present,
                    State::Missing => &mut missing,
                    State::LeftOut | State::Unknown | State::Broken(_) => continue,
                };
                let tally = if node.is_document { &mut totals.manifests } else { &mut totals.blobs };
                tally.add(node.descriptor.size);
            }
            PlannedDestination {
                destination: self.survey.destination(at).place().to_string(),
                missing,
                present,
            }
        });
        spots.collect()
    }

    pub(crate) fn roots(&self) -> Vec<PlannedRoot> {
        let survey = &self.survey;
        let complete: Vec<Vec<bool>> = survey.spots.iter().map(|spot| spot.graph.complete()).collect();
        let planned = survey.roots.iter().map(|root| {
            let node = root.node.map(|id| (&survey.spots[root.to].graph.nodes[id], complete[root.to][id]));
            let broken = node.and_then(|(node, _)| match &node.state {
                State::Broken(error) => Some(error),
                _ => None,
            });
            PlannedRoot {
                source: engine::shown(survey, root),
                destination: survey.destination(root.to).place().to_string(),
                name: root.name.clone(),
                digest: root.descriptor.as_ref().map(|descriptor| descriptor.digest.clone()),
                why: root.why.clone(),
                present: root.is_there && node.is_some_and(|(_, complete)| complete),
                replaces: root.replaced().cloned(),
                failure: root.failure.as_ref().or(broken).map(Failure::of),
                part: root.part.clone(),
                converted: root.converted.clone(),
            }
        });
        planned.collect()
    }

    /// Carries the plan out. Whatever fails is in the report; what does not depend on it goes on.
    ///
    /// Dropped before it ends, it leaves at most content that nothing names, and downloads that go on the next time.
    pub async fn run(self) -> Report {
        engine::run(self).await
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for root in &self.roots {
            let verb = match (&root.failure, root.present) {
                (Some(_), _) => "fail",
                (None, true) => "keep",
                (None, false) => "copy",
            };
            let name = if root.name == Name::Digest { String::new() } else { format!(" as {}", root.name) };
            write!(f, "{verb} {} to {}{name}", root.source, root.destination)?;
            if let Some(failure) = &root.failure {
                write!(f, ": {}", failure.message)?;
            }
            writeln!(f)?;
        }
        let (blobs, manifests) = (self.missing.blobs, self.missing.manifests);
        write!(
            f,
            "{} bytes in {} blobs and {} manifests are missing, {} blobs are there",
            self.missing.bytes(),
            blobs.count,
            manifests.count,
            self.present.blobs.count
        )?;
        for warning in &self.warnings {
            write!(f, "\n{warning}")?;
        }
        Ok(())
    }
}
