//! What every endpoint promises, written once and asked of each kind: a layout, an archive, an archive for `docker load`,
//! a repository of our own server, of one without an API for referrers, and of the CNCF registry.
//!
//! A promise is a function over a [`kinds::Kind`]. Which of them a kind does not keep, and why, is part of the kind; a
//! promise that is excused there and kept all the same is an error, too. Copies between every two kinds are in
//! [`algebra`].

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod algebra;
mod goods;
mod kinds;
mod names;
mod promise;
mod reading;
mod related;
mod writing;

/// Every kind, as a test that asks it for all promises of a group.
macro_rules! every_kind {
    ($($group:ident: $module:ident),+ $(,)?) => {
        $(mod $group {
            use crate::{kinds, promise, $module};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn of_a_layout() {
                promise::ask(&kinds::layout(), $module::ALL).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn of_an_archive() {
                promise::ask(&kinds::archive(), $module::ALL).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn of_an_archive_for_docker_load() {
                promise::ask(&kinds::docker_archive(), $module::ALL).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn of_a_repository_that_we_serve() {
                promise::ask(&kinds::served().await, $module::ALL).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn of_a_repository_without_a_referrers_api() {
                promise::ask(&kinds::without_referrers().await, $module::ALL).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn of_a_repository_of_the_cncf_registry() {
                promise::ask(&kinds::docker_registry().await, $module::ALL).await;
            }
        })+
    };
}

every_kind! {
    promises_of_reading: reading,
    promises_of_names: names,
    promises_of_what_belongs: related,
    promises_of_writing: writing,
}

/// An excuse for a promise that nobody made excuses nothing.
#[tokio::test]
async fn every_excuse_is_for_a_promise() {
    let made = [reading::ALL, names::ALL, related::ALL, writing::ALL].concat();
    for kind in kinds::all().await {
        for excuse in kind.excuses {
            assert!(made.iter().any(|promise| promise.name == excuse.promise), "{excuse:?}");
        }
    }
}
