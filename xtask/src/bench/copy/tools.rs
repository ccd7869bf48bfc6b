//! The commands that the contenders are.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::Bench;
use super::content::Content;
use super::registry::Registry;
use crate::Result;
use crate::process::program;

impl Bench {
    /// `transship copy` of what is named or else of everything, without referrers unless a flag says otherwise.
    pub(super) fn copy(&self, flags: &[&str], from: &str, to: &str) -> Command {
        let mut command = Command::new(&self.transship);
        command.args(["copy", "--progress", "none"]);
        if !from.ends_with(":v1") {
            command.arg("--all-tags");
        }
        if to.starts_with("oci:") && !to.ends_with(":v1") {
            command.arg("--short-names");
        }
        if !flags.contains(&"--referrers") {
            command.args(["--referrers", "none", "--digest-tags=false"]);
        }
        if let Some(tls) = &self.tls {
            let hosts =
                [from, to].map(|place| place.strip_prefix("docker://").and_then(|it| it.split('/').next()));
            for host in hosts.into_iter().flatten() {
                // Named with its host, it also says that this registry on the loopback interface speaks TLS.
                command.arg("--ca-file").arg(format!("{host}={}", tls.authority.display()));
            }
        }
        command.args(flags).args([from, to]);
        command
    }

    /// `skopeo sync`, which copies all tags of a repository, but not of a layout: a folder of images is the nearest.
    pub(super) fn sync(&self, from: (&str, &str), to: (&str, &str)) -> Command {
        let mut command = program("skopeo");
        command.args(["sync", "--preserve-digests", "--src", from.0, "--dest", to.0]);
        command.args(["--src-tls-verify=false", "--dest-tls-verify=false", from.1, to.1]);
        command
    }

    /// `skopeo copy` of one image.
    pub(super) fn skopeo(&self, from: &str, to: &str) -> Command {
        let mut command = program("skopeo");
        command.args(["copy", "--quiet", "--preserve-digests"]);
        command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
        // Digests are kept, as ours are: else it compresses anew, which is another job.
        command.args([from, to]);
        command
    }

    /// curl with the very GETs that a copy needs, 16 at a time, into files and without hashing.
    pub(super) fn gets(&self, content: &Content, registry: &Registry, folder: &Path) -> Result<Command> {
        let mut config = String::new();
        let (manifests, blobs) = (content.digests.0.iter(), content.digests.1.iter());
        let urls = manifests.map(|digest| ("manifests", digest));
        for (sort, digest) in urls.chain(blobs.map(|digest| ("blobs", digest))) {
            let url = format!("{}/v2/bench/{sort}/{digest}", self.base(registry));
            writeln!(config, "url = \"{url}\"\noutput = \"{}/{digest}\"", folder.display())?;
        }
        let file = self.work.join("curl");
        fs::write(&file, config)?;
        let mut command = program("curl");
        command.args(["-skZ", "--parallel-max", "16", "--fail", "-H"]);
        command.arg("Accept: application/vnd.oci.image.manifest.v1+json").arg("-K").arg(&file);
        Ok(command)
    }

    /// curl with a POST and a PUT for each blob, one after the other: what a push of large blobs cannot do without.
    pub(super) fn puts(&self, content: &Content, registry: &Registry) -> Command {
        let script = "for digest; do
            place=$(curl -sk --fail -X POST -D- -o/dev/null \"$base/v2/bench/blobs/uploads/\" | tr -d '\\r' |
                sed -n 's/^[Ll]ocation: //p') &&
            curl -sk --fail -o/dev/null -H 'Content-Type: application/octet-stream' -T \"$blobs/${digest#sha256:}\" \\
                \"$place&digest=$digest\" || exit
        done";
        let mut command = program("sh");
        command.args(["-c", script, "sh"]).args(&content.digests.1);
        command.env("base", self.base(registry)).env("blobs", content.layout.join("blobs/sha256"));
        command
    }

    fn base(&self, registry: &Registry) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", registry.host)
    }

    /// The hash of all blobs of a layout.
    pub(super) fn hash(&self, content: &Content) -> Command {
        let mut command = program("sh");
        command.args(["-c", "openssl dgst -sha256 \"$1\"/blobs/sha256/*", "sh"]).arg(&content.layout);
        command
    }

    /// `cp -r` that moves bytes.
    pub(super) fn plain_copy(&self, content: &Content, to: &Path) -> Command {
        let mut command = program("cp");
        command.args(["-r", "--reflink=never"]).arg(&content.layout).arg(to);
        command
    }
}
