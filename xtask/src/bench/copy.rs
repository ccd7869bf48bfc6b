//! Copying a large image from a layout to a registry and back, beside skopeo.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::measure::{Contender, Run, report, time};
use super::registry::Registry;
use super::{Args, empty, remove};
use crate::Result;
use crate::process::{program, run as execute};

/// Layers of the image.
const LAYERS: u64 = 8;

pub(super) fn bench(transship: &Path, work: &Path, args: &Args) -> Result {
    let bench = Bench { transship: transship.to_owned(), work: work.to_owned() };
    bench.make_image(args.copy_size)?;
    let (mut push, mut pull) = (Table::new("push"), Table::new("pull"));
    for round in 0..=args.rounds {
        let (pushed, pulled) = bench.round()?;
        // The first round fills the caches.
        if round > 0 {
            push.add(pushed);
            pull.add(pulled);
        }
    }
    push.report(&format!("copy {} MiB from a layout to docker-registry", args.copy_size));
    pull.report(&format!("copy {} MiB from docker-registry to a layout", args.copy_size));
    Ok(())
}

struct Table([Contender; 3]);

impl Table {
    fn new(way: &str) -> Self {
        let names = ["skopeo copy", "transship copy --durability full", "transship copy --durability none"];
        Self(names.map(|name| Contender::new(&format!("{name} ({way})"))))
    }

    fn add(&mut self, runs: [Run; 3]) {
        self.0.iter_mut().zip(runs).for_each(|(contender, run)| contender.add(run));
    }

    fn report(&self, title: &str) {
        report(title, &self.0);
    }
}

struct Bench {
    transship: PathBuf,
    work: PathBuf,
}

impl Bench {
    fn source(&self) -> PathBuf {
        self.work.join("source")
    }

    /// An image whose layers cannot be compressed, so that bytes on the wire are bytes on disk.
    fn make_image(&self, mebibytes: u64) -> Result {
        let mut folders = Vec::new();
        for layer in 0..LAYERS {
            let folder = self.work.join(format!("layer-{layer}"));
            empty(&folder)?;
            noise(&folder.join("noise"), layer, mebibytes / LAYERS)?;
            folders.push(folder);
        }
        let mut command = Command::new(&self.transship);
        command.args(["pack", "image", "--level", "1", "--progress", "none"]).args(&folders);
        command.arg("--to").arg(format!("oci:{}:v1", self.source().display()));
        execute(command.stdout(std::process::Stdio::null()))?;
        folders.iter().try_for_each(|folder| remove(folder))
    }

    /// Each contender pushes to a registry of its own and pulls from it again.
    fn round(&self) -> Result<([Run; 3], [Run; 3])> {
        let skopeo = self.there_and_back(&|from, to| skopeo(from, to))?;
        let durable = self.there_and_back(&|from, to| self.copy("full", from, to))?;
        let quick = self.there_and_back(&|from, to| self.copy("none", from, to))?;
        Ok(([skopeo.0, durable.0, quick.0], [skopeo.1, durable.1, quick.1]))
    }

    fn there_and_back(&self, copy: &dyn Fn(&str, &str) -> Command) -> Result<(Run, Run)> {
        let registry = Registry::start(&self.work.join("registry"))?;
        let remote = format!("docker://{}/bench:v1", registry.host);
        let pushed = time(&mut copy(&format!("oci:{}:v1", self.source().display()), &remote))?;
        let back = self.work.join("back");
        remove(&back)?;
        let pulled = time(&mut copy(&remote, &format!("oci:{}:v1", back.display())))?;
        same_blobs(&self.source(), &back)?;
        remove(&back)?;
        Ok((pushed, pulled))
    }

    fn copy(&self, durability: &str, from: &str, to: &str) -> Command {
        let mut command = Command::new(&self.transship);
        command.args(["copy", "--progress", "none", "--durability", durability, from, to]);
        command
    }
}

fn skopeo(from: &str, to: &str) -> Command {
    let mut command = program("skopeo");
    command.args(["copy", "--quiet", "--preserve-digests"]);
    command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
    // Digests are kept, as ours are: else it compresses anew, which is another job.
    command.args([from, to]);
    command
}

/// What came back must be what was sent, or the time means nothing.
fn same_blobs(source: &Path, back: &Path) -> Result {
    let names = |layout: &Path| -> Result<Vec<(std::ffi::OsString, u64)>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(layout.join("blobs/sha256"))? {
            let entry = entry?;
            names.push((entry.file_name(), entry.metadata()?.len()));
        }
        names.sort();
        Ok(names)
    };
    let (sent, came) = (names(source)?, names(back)?);
    if sent == came { Ok(()) } else { Err("what came back is not what was sent".into()) }
}

/// A file of numbers that no compressor makes smaller (xorshift64*).
fn noise(path: &Path, seed: u64, mebibytes: u64) -> Result {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..mebibytes * (1 << 20) / 8 {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        file.write_all(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes())?;
    }
    Ok(file.flush()?)
}
