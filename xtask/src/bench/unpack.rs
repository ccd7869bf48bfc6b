//! Unpacking an image of several gzip layers, beside umoci and tar.
//!
//! On a disk all of them wait for the disk; `--work` on a tmpfs shows what each does itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::measure::{Contender, Run, report, time};
use super::tree::Tree;
use super::{empty, remove};
use crate::Result;
use crate::process::program;

pub(super) fn bench(transship: &Path, tree: &Tree, work: &Path, rounds: usize) -> Result {
    let image = Image::make(transship, tree, work)?;
    let names = [
        "umoci raw unpack",
        "tar -xzf, one layer after the other",
        "transship --durability full",
        "transship",
    ];
    let mut contenders = names.map(Contender::new);
    for round in 0..=rounds {
        let runs = image.round(transship)?;
        // The first round fills the caches.
        if round > 0 {
            contenders.iter_mut().zip(runs).for_each(|(contender, run)| contender.add(run));
        }
    }
    let (layers, megabytes) = (image.layers.len(), tree.bytes / 1_000_000);
    report(&format!("unpack {layers} gzip layers, {} files, {megabytes} MB", tree.files), &contenders);
    empty(&image.layout)
}

/// An image in a layout, and the files of its layers in their order.
struct Image {
    layout: PathBuf,
    layers: Vec<PathBuf>,
    /// Where it is unpacked to.
    rootfs: PathBuf,
}

impl Image {
    /// Makes a layer of each folder in the tree.
    fn make(transship: &Path, tree: &Tree, work: &Path) -> Result<Self> {
        let layout = work.join("image");
        remove(&layout)?;
        let mut folders = Vec::new();
        for entry in fs::read_dir(&tree.path)? {
            folders.push(entry?.path());
        }
        folders.sort();
        let mut pack = Command::new(transship);
        pack.args(["pack", "image", "--progress", "none"]).args(&folders);
        time(pack.arg("--to").arg(format!("oci:{}:v1", layout.display())))?;
        let manifest = Command::new(transship).args(["manifest", "get"]).arg(name(&layout)).output()?;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.stdout)?;
        let digests = manifest["layers"].as_array().into_iter().flatten();
        let file = |layer: &serde_json::Value| {
            let digest = layer["digest"].as_str()?.strip_prefix("sha256:")?;
            Some(layout.join("blobs/sha256").join(digest))
        };
        let layers = digests.filter_map(file).collect();
        Ok(Self { layers, rootfs: work.join("rootfs"), layout })
    }

    fn round(&self, transship: &Path) -> Result<[Run; 4]> {
        let own = |durability| {
            let mut unpack = Command::new(transship);
            unpack.args(["unpack", "--progress", "none", "--durability", durability]).arg(name(&self.layout));
            unpack
        };
        let mut umoci = program("umoci");
        umoci.args(["raw", "unpack", "--image"]).arg(format!("{}:v1", self.layout.display()));
        let script = "mkdir \"$0\" && for layer; do tar -C \"$0\" --overwrite -xzf \"$layer\" || exit; done";
        let mut tar = program("sh");
        tar.args(["-c", script]).arg(&self.rootfs).args(&self.layers);
        Ok([
            self.timed(umoci.arg(&self.rootfs))?,
            self.timed(&mut tar)?,
            self.timed(own("full").arg(&self.rootfs))?,
            self.timed(own("none").arg(&self.rootfs))?,
        ])
    }

    fn timed(&self, command: &mut Command) -> Result<Run> {
        remove(&self.rootfs)?;
        let run = time(command)?;
        remove(&self.rootfs)?;
        Ok(run)
    }
}

fn name(layout: &Path) -> String {
    format!("oci:{}:v1", layout.display())
}
