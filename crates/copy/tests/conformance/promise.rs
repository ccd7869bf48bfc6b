//! A promise, and how a kind is asked for it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::kinds::Kind;

/// No promise takes longer: what waits for ever has failed.
const AT_MOST: Duration = Duration::from_secs(60);

/// Something that every endpoint promises; it panics where that is not so.
#[derive(Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) name: &'static str,
    pub(crate) keep: for<'a> fn(&'a Kind) -> BoxFuture<'a, ()>,
}

/// A promise that a kind does not keep.
#[derive(Debug)]
pub(crate) struct Excuse {
    pub(crate) promise: &'static str,
    /// What is said when it is broken.
    pub(crate) says: &'static str,
    /// Why that is as it should be.
    pub(crate) why: &'static str,
}

/// The list of a module's promises. One that is not listed is dead code, which the compiler finds.
macro_rules! promises {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const ALL: &[crate::promise::Promise] = &[$(crate::promise::Promise {
            name: stringify!($name),
            keep: |kind| Box::pin($name(kind)),
        }),+];
    };
}
pub(crate) use promises;

/// Asks a kind for every promise, and tells all that are broken.
pub(crate) async fn ask(kind: &Kind, promises: &[Promise]) {
    let mut broken = Vec::new();
    for promise in promises {
        let work = tokio::time::timeout(AT_MOST, (promise.keep)(kind));
        let outcome = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("it did not end".to_owned()),
            Err(panic) => Err(text(panic.as_ref())),
        };
        let excuse = kind.excuses.iter().find(|excuse| excuse.promise == promise.name);
        match (outcome, excuse) {
            (Err(why), None) => broken.push(format!("{}: {why}", promise.name)),
            (Err(why), Some(excuse)) if !why.contains(excuse.says) => {
                broken.push(format!("{}: not {:?}, but {why}", promise.name, excuse.says));
            }
            (Ok(()), Some(excuse)) => {
                broken.push(format!("{} is kept, though it is excused: {}", promise.name, excuse.why));
            }
            (Ok(()), None) | (Err(_), Some(_)) => {}
        }
    }
    assert!(broken.is_empty(), "{} breaks {} promises:\n{}", kind.name, broken.len(), broken.join("\n"));
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}
