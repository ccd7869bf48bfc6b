//! Packing a tree, beside `tar` with the fastest programs that Debian has, and beside what bounds it.
//!
//! The bound is what has to be done to all bytes and costs the most: for a plain layer its hash, else the compressor. It is
//! measured by the peer's program over a tar that is there already, so that no reading of small files is in it.

use std::path::Path;
use std::process::Command;

use super::measure::{Contender, Run, report, time};
use super::tree::Tree;
use super::{empty, remove};
use crate::Result;
use crate::process::program;

/// What of transship is held against what pipe of a peer.
struct Match {
    compression: &'static str,
    /// What the peer does to a tar.
    pipe: &'static str,
    /// Whether the peer makes a layer: a hash alone has no bytes to compare.
    makes_layer: bool,
    /// Other ways of transship to be shown beside the default.
    variants: &'static [(&'static str, &'static [&'static str])],
}

const MATCHES: &[Match] = &[
    Match {
        compression: "gzip",
        pipe: "pigz -6 -p2",
        makes_layer: true,
        variants: &[("transship --level 3", &["--level", "3"]), ("transship --level 5", &["--level", "5"])],
    },
    Match { compression: "zstd", pipe: "zstd -3 -T2 -q", makes_layer: true, variants: &[] },
    Match { compression: "none", pipe: "openssl dgst -sha256", makes_layer: false, variants: &[] },
];

pub(super) fn bench(transship: &Path, tree: &Tree, work: &Path, rounds: usize) -> Result {
    let tar = work.join("tree.tar");
    time(program("tar").arg("-C").arg(&tree.path).arg("-cf").arg(&tar).arg("."))?;
    for held in MATCHES {
        let title = format!("pack {} files, {} MB, {}", tree.files, tree.bytes / 1_000_000, held.compression);
        report(&title, &held.run(transship, (tree, &tar), work, rounds)?);
    }
    remove(&tar)
}

impl Match {
    fn run(
        &self,
        transship: &Path,
        (tree, tar): (&Tree, &Path),
        work: &Path,
        rounds: usize,
    ) -> Result<Vec<Contender>> {
        let ways = self.ways();
        let peers = [format!("tar | {}", self.pipe), format!("bound: {} of that tar", self.pipe)];
        let mut contenders: Vec<Contender> = peers.iter().map(|name| Contender::new(name)).collect();
        contenders.extend(ways.iter().map(|(name, _)| Contender::new(name)));
        for round in 0..=rounds {
            let mut runs = vec![
                self.beside(&format!("tar -C \"$1\" -cf - . | {}", self.pipe), &tree.path, work)?,
                self.beside(&format!("{} < \"$1\"", self.pipe), tar, work)?,
            ];
            for (_, flags) in &ways {
                runs.push(pack(transship, tree, work, flags)?);
            }
            // The first round fills the caches.
            if round > 0 {
                contenders.iter_mut().zip(runs).for_each(|(contender, run)| contender.add(run));
            }
        }
        Ok(contenders)
    }

    /// Names and flags of what transship does here.
    fn ways(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        let common = ["--compression", self.compression, "--durability"];
        let mut ways = vec![
            ("transship --durability full", [&common[..], &["full"]].concat()),
            ("transship", [&common[..], &["none"]].concat()),
        ];
        ways.extend(
            self.variants.iter().map(|(name, flags)| (*name, [&common[..], &["none"], flags].concat())),
        );
        ways
    }

    /// The peer: a pipe whose memory is not that of one process, and is not shown.
    fn beside(&self, script: &str, from: &Path, work: &Path) -> Result<Run> {
        let out = work.join("peer.out");
        let script = format!("set -o pipefail; {script} > \"$2\"");
        let run = time(program("bash").args(["-c", &script, "bash"]).arg(from).arg(&out))?;
        let bytes = if self.makes_layer { std::fs::metadata(&out)?.len() } else { 0 };
        remove(&out)?;
        Ok(Run { bytes, memory: f64::NAN, ..run })
    }
}

fn pack(transship: &Path, tree: &Tree, work: &Path, flags: &[&str]) -> Result<Run> {
    let layout = work.join("layout");
    remove(&layout)?;
    let mut command = Command::new(transship);
    command.args(["pack", "image", "--threads", "2", "--progress", "none"]).args(flags).arg(&tree.path);
    command.arg("--to").arg(format!("oci:{}:v1", layout.display()));
    let run = time(&mut command)?;
    let bytes = size(&layout.join("blobs/sha256"))?;
    empty(&layout)?;
    Ok(Run { bytes, ..run })
}

/// The bytes of the files in a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
