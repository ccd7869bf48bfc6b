//! Packing a tree, beside `tar` with the fastest compressors that Debian has.

use std::path::Path;
use std::process::Command;

use super::measure::{Contender, Run, report, time};
use super::tree::Tree;
use super::{empty, remove};
use crate::Result;
use crate::process::program;

/// A pipe of the peers, and what of transship is held against it.
const MATCHES: &[(&str, &str, &str)] =
    &[("gzip", "pigz -6 -p2", "tar | pigz -6 -p2"), ("zstd", "zstd -3 -T2 -q", "tar | zstd -3 -T2")];

pub(super) fn bench(transship: &Path, tree: &Tree, work: &Path, rounds: usize) -> Result {
    for (compression, pipe, name) in MATCHES {
        let mut peer = Contender::new(name);
        let mut durable = Contender::new("transship pack image --durability full");
        let mut quick = Contender::new("transship pack image --durability none");
        for round in 0..=rounds {
            let runs = (
                beside(pipe, tree, work)?,
                pack(transship, tree, work, &["--compression", compression, "--durability", "full"])?,
                pack(transship, tree, work, &["--compression", compression, "--durability", "none"])?,
            );
            // The first round fills the caches.
            if round > 0 {
                peer.add(runs.0);
                durable.add(runs.1);
                quick.add(runs.2);
            }
        }
        let title = format!("pack {} files, {} MB, {compression}", tree.files, tree.bytes / 1_000_000);
        report(&title, &[peer, durable, quick]);
    }
    Ok(())
}

/// The peer: a pipe whose memory is not that of one process, and is not shown.
fn beside(pipe: &str, tree: &Tree, work: &Path) -> Result<Run> {
    let out = work.join("peer.out");
    let script = format!("set -o pipefail; tar -C \"$1\" -cf - . | {pipe} > \"$2\"");
    let run = time(program("bash").args(["-c", &script, "bash"]).arg(&tree.path).arg(&out))?;
    let bytes = std::fs::metadata(&out)?.len();
    remove(&out)?;
    Ok(Run { bytes, memory: f64::NAN, ..run })
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
