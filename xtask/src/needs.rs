//! What tests and benches need of the machine: a registry and readers that nobody here wrote.
//!
//! On Debian as root the missing packages are installed; elsewhere one line says what is missing and how to get it. Debian
//! starts a service when its package is installed; the tests start their own registry on a free port, so that service is
//! kept from starting, by the means that Debian offers for it (`policy-rc.d`).

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::process::Command;

use crate::Result;
use crate::process::{installed, program, run, shown, succeeds};

/// Programs, each with the package of Debian that has it.
pub(crate) type Programs = &'static [(&'static str, &'static str)];

/// What Debian asks before it starts a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// Our answer: no.
const REFUSAL: &str =
    "#!/bin/sh\n# Made by `cargo xtask` of transship while it installs packages; may be removed.\nexit 101\n";

/// Sees to it that all programs are there, each named with the package of Debian that has it.
///
/// # Errors
///
/// If one is missing and cannot be installed here: the message says how to get it.
pub(crate) fn set_up(chore: &str, programs: Programs) -> Result {
    let missing = missing(programs, installed);
    if missing.is_empty() {
        println!("{chore}: the programs that it needs are there");
        return Ok(());
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if !installed("apt-get") {
        let names = missing.join(", ");
        return Err(format!(
            "missing for the {chore}: {names}; get them from your system, on Debian: {by_hand}"
        )
        .into());
    }
    if !is_root() {
        return Err(format!(
            "missing for the {chore}: {}; get them with: sudo {by_hand}",
            missing.join(", ")
        )
        .into());
    }
    install(&missing)?;
    let left = self::missing(programs, installed);
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("still missing after installing: {}", left.join(", ")).into())
    }
}

/// The packages of the programs that are not there.
fn missing(programs: Programs, is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    programs.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect()
}

/// Who owns what this process makes is who it runs as.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|itself| itself.uid() == 0)
}

fn install(packages: &[&str]) -> Result {
    let policy = NoServices::begin()?;
    step(apt().arg("update"))?;
    step(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))?;
    drop(policy);
    if packages.contains(&"docker-registry") {
        // The next start of the machine would start it; there may be no systemd, and then there is nothing to switch off.
        succeeds(program("systemctl").args(["disable", "docker-registry"]));
    }
    Ok(())
}

fn apt() -> Command {
    let mut command = program("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["--quiet", "--option=DPkg::Lock::Timeout=300"]);
    command
}

fn step(command: &mut Command) -> Result {
    println!("xtask: {}", shown(command));
    run(command)
}

/// While it lives, installing a package starts no service.
struct NoServices {
    /// Whether the policy is ours to remove.
    made: bool,
}

impl NoServices {
    /// A policy that is there already is the machine's own and stays, unless an interrupted run of ours left it.
    fn begin() -> Result<Self> {
        let failed = |error| format!("cannot write {POLICY}: {error}");
        match OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY) {
            Ok(mut file) => {
                let policy = Self { made: true };
                file.write_all(REFUSAL.as_bytes()).map_err(failed)?;
                Ok(policy)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(Self { made: fs::read_to_string(POLICY).is_ok_and(|text| text == REFUSAL) })
            }
            Err(error) => Err(failed(error).into()),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.made
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!(
                "xtask: cannot remove {POLICY}: {error}; remove it, or no package will start its service"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_by_its_package() {
        let programs = &[("skopeo", "skopeo"), ("htpasswd", "apache2-utils")];
        assert_eq!(missing(programs, |_| true), Vec::<&str>::new());
        assert_eq!(missing(programs, |program| program != "htpasswd"), ["apache2-utils"]);
    }
}
