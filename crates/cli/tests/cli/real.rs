//! The CNCF registry as Debian ships it, and the peers beside it.

use transship_testkit::{DockerRegistry, peers};

use crate::support::Sandbox;

/// A registry that lets everybody in.
pub(crate) fn registry() -> DockerRegistry {
    DockerRegistry::start_blocking()
}

/// One that lets in only who has this name and password.
pub(crate) fn guarded(user: &str, password: &str) -> DockerRegistry {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(DockerRegistry::start_with_login(user, password))
}

/// Runs another tool in the sandbox, where it must succeed; gives its standard output.
pub(crate) fn peer(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> String {
    let output = sandbox.command(peers::program(program)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
