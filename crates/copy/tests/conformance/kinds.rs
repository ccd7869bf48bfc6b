//! The kinds of endpoints: how one is made that is empty, how it is opened again, and what it does not promise.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use transship_copy::endpoint::{self, ArchiveTarget};
use transship_copy::{Destination, Endpoint};
use transship_layout::{Archive, Durability, Layout};
use transship_registry::{Client, Repository, Retry, Settings};
use transship_spec::Reference;
use transship_testkit::{DockerRegistry, TestRegistry};

use crate::promise::Excuse;

/// A kind of endpoint.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Promises that it does not keep.
    pub(crate) excuses: &'static [Excuse],
    /// Whether it takes images for one platform and nothing else.
    pub(crate) only_images: bool,
    maker: Maker,
    folder: TempDir,
    made: AtomicUsize,
}

enum Maker {
    Layout,
    Archive { docker: bool },
    Repository { client: Client, address: String, _server: Box<Server> },
}

/// Kept as long as its repositories are used.
#[expect(dead_code, reason = "held, not used")]
enum Server {
    Ours(TestRegistry),
    Docker(DockerRegistry),
}

/// One endpoint of its kind.
#[derive(Debug, Clone)]
pub(crate) enum Made {
    Layout(PathBuf),
    Archive { path: PathBuf, docker: bool },
    Repository { client: Client, repository: Repository },
}

impl Kind {
    /// An endpoint that holds nothing.
    pub(crate) fn make(&self) -> Made {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(number.to_string());
        match &self.maker {
            Maker::Layout => {
                Layout::options().durability(Durability::None).create(&path).unwrap();
                Made::Layout(path)
            }
            Maker::Archive { docker } => Made::Archive { path, docker: *docker },
            Maker::Repository { client, address, .. } => Made::Repository {
                repository: client.repository(address, &format!("team/app-{number}")).unwrap(),
                client: client.clone(),
            },
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        !matches!(self.maker, Maker::Repository { .. })
    }
}

impl Made {
    fn layout(path: &PathBuf) -> Layout {
        Layout::options().durability(Durability::None).open(path).unwrap()
    }

    fn target(path: &PathBuf, docker: bool) -> ArchiveTarget {
        let target = ArchiveTarget::open(path, Archive::options().durability(Durability::None)).unwrap();
        if docker { target.docker() } else { target }
    }

    /// The endpoint as it is now.
    pub(crate) fn open(&self) -> Arc<dyn Endpoint> {
        match self {
            Self::Layout(path) => endpoint::layout(Self::layout(path)),
            Self::Archive { path, docker } => endpoint::archive_target(Self::target(path, *docker)),
            Self::Repository { repository, .. } => endpoint::registry(repository.clone()),
        }
    }

    /// The endpoint as where something goes.
    pub(crate) fn destination(&self) -> Destination {
        match self {
            Self::Layout(path) => Destination::Layout { layout: Self::layout(path), name: None },
            Self::Archive { path, docker } => {
                Destination::Archive { target: Self::target(path, *docker), name: None }
            }
            Self::Repository { client, repository } => {
                let reference = Reference::new(repository.registry(), repository.name()).unwrap();
                Destination::Registry { client: client.clone(), reference }
            }
        }
    }
}

fn kind(name: &'static str, maker: Maker) -> Kind {
    Kind {
        name,
        excuses: &[],
        only_images: false,
        maker,
        folder: tempfile::tempdir().unwrap(),
        made: AtomicUsize::new(0),
    }
}

pub(crate) fn layout() -> Kind {
    Kind { excuses: LAYOUT, ..kind("a layout", Maker::Layout) }
}

pub(crate) fn archive() -> Kind {
    Kind { excuses: ARCHIVE, ..kind("an archive", Maker::Archive { docker: false }) }
}

pub(crate) fn docker_archive() -> Kind {
    let docker = kind("an archive for docker load", Maker::Archive { docker: true });
    Kind { excuses: DOCKER_ARCHIVE, only_images: true, ..docker }
}

pub(crate) async fn served() -> Kind {
    let server = TestRegistry::start().await;
    let maker = repository(server.address(), Server::Ours(server));
    Kind { excuses: REPOSITORY, ..kind("a repository that we serve", maker) }
}

pub(crate) async fn without_referrers() -> Kind {
    let server = TestRegistry::builder().no_referrers().start().await;
    let maker = repository(server.address(), Server::Ours(server));
    Kind { excuses: REPOSITORY, ..kind("a repository without an API for referrers", maker) }
}

pub(crate) async fn docker_registry() -> Kind {
    let server = DockerRegistry::start().await;
    let maker = repository(server.address().to_owned(), Server::Docker(server));
    Kind { excuses: REPOSITORY, ..kind("a repository of the CNCF registry", maker) }
}

fn repository(address: String, server: Server) -> Maker {
    let retry = Retry { base: Duration::from_millis(1), ..Retry::default() };
    let client = Client::new(Settings { retry, ..Settings::default() }).unwrap();
    Maker::Repository { client, address, _server: Box::new(server) }
}

/// Every kind of endpoint.
pub(crate) async fn all() -> [Kind; 6] {
    [
        layout(),
        archive(),
        docker_archive(),
        served().await,
        without_referrers().await,
        docker_registry().await,
    ]
}

const fn excuse(promise: &'static str, says: &'static str, why: &'static str) -> Excuse {
    Excuse { promise, says, why }
}

const DANGLING: Excuse = excuse(
    "a_manifest_without_what_it_needs_is_refused",
    "put.is_err() || ended.is_err()",
    "what is on a disk may have declared holes, as sparse indexes have; the engine puts leaves first",
);
const ONE_WRITER: Excuse = excuse(
    "two_sessions_at_once_both_succeed",
    "is_well",
    "an archive is written anew as a whole: the second to end is told that it was too late",
);
const NO_INDEX: &str = "docker load knows no index, and says so before anything is written";
const NO_IMAGE: &str = "docker load knows images only, and says so before anything is written";

const LAYOUT: &[Excuse] = &[DANGLING];
const ARCHIVE: &[Excuse] = &[DANGLING, ONE_WRITER];
const DOCKER_ARCHIVE: &[Excuse] = &[
    DANGLING,
    ONE_WRITER,
    excuse("what_only_an_index_leads_to_is_found_by_its_digest", "is an index", NO_INDEX),
    excuse("an_index_and_an_index_of_indexes_arrive", "is an index", NO_INDEX),
    excuse("an_artifact_arrives", "is no image", NO_IMAGE),
    excuse("unknown_media_types_are_carried", "is no image", NO_IMAGE),
    excuse("what_is_no_document_can_be_a_root", "is no image", NO_IMAGE),
];
const REPOSITORY: &[Excuse] = &[
    excuse("names_of_several_repositories_are_told_apart", "Tag(", "in one repository there are only tags"),
    excuse(
        "what_is_abandoned_after_its_documents_came_has_no_name",
        "left == right",
        "a registry names each root as soon as it is whole",
    ),
    excuse(
        "content_of_an_unknown_algorithm_is_carried",
        "DIGEST_INVALID",
        "a registry takes only what it can verify",
    ),
    excuse("what_is_no_document_can_be_a_root", "is no manifest", "only manifests have tags"),
];
