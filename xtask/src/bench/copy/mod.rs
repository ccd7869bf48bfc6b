//! Copying beside skopeo, and beside what bounds it on this machine: a row for each sort of work, with wall clock, processor
//! time, memory and requests. `docs/bench.md` says what is wanted in each row, and why.

mod content;
mod proxy;
mod registry;
mod rows;
mod tools;

use std::path::{Path, PathBuf};

use self::content::Content;
use self::registry::{Registry, Tls};
use super::measure::{Contender, Run, report};
use super::{Args, remove};
use crate::Result;

/// Layers of the large image.
const LAYERS: u64 = 4;

/// The rows, which `--row` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Row {
    /// A large image out of a registry
    PullLarge,
    /// The same into a registry
    PushLarge,
    /// Small artifacts out of a registry
    PullSmall,
    /// The same into a registry
    PushSmall,
    /// Small artifacts that are there already, out of a registry and into one
    Nothing,
    /// Images that share layers, out of a registry
    PullImages,
    /// The same into a registry
    PushImages,
    /// The same from one repository of a registry to another
    Mount,
    /// A large image from layout to layout
    LayoutLarge,
    /// Small artifacts from layout to layout
    LayoutSmall,
    /// Images out of a registry that is far away
    FarPull,
    /// The same into a registry
    FarPush,
}

pub(super) fn bench(transship: &Path, work: &Path, args: &Args) -> Result {
    let tls = if args.tls { Some(Tls::make(&work.join("tls"))?) } else { None };
    let rounds = args.rounds;
    let bench = Bench { transship: transship.to_owned(), work: work.to_owned(), rounds, tls };
    let wanted = |rows: &[Row]| args.row.is_empty() || rows.iter().any(|row| args.row.contains(row));
    if wanted(&[Row::PullLarge, Row::PushLarge, Row::LayoutLarge]) {
        let content = Content::large(work.join("large"), args.copy_size, LAYERS)?;
        bench.some(&content, args, &[Row::PullLarge, Row::PushLarge, Row::LayoutLarge])?;
    }
    if wanted(&[Row::PullSmall, Row::PushSmall, Row::Nothing, Row::LayoutSmall]) {
        let content = Content::small(work.join("small"), args.small)?;
        bench.some(&content, args, &[Row::PullSmall, Row::PushSmall, Row::Nothing, Row::LayoutSmall])?;
    }
    let images = [Row::PullImages, Row::PushImages, Row::Mount, Row::FarPull, Row::FarPush];
    if wanted(&images) {
        bench.some(&Content::images(work.join("images"))?, args, &images)?;
    }
    Ok(())
}

struct Bench {
    transship: PathBuf,
    work: PathBuf,
    rounds: usize,
    tls: Option<Tls>,
}

/// One way to do the work of a row.
struct Way<'a> {
    name: &'static str,
    run: Box<dyn Fn() -> Result<Run> + 'a>,
    /// Whether it takes so long that one round must do.
    once: bool,
}

impl<'a> Way<'a> {
    fn new(name: &'static str, run: impl Fn() -> Result<Run> + 'a) -> Self {
        Self { name, run: Box::new(run), once: false }
    }

    fn once(self) -> Self {
        Self { once: true, ..self }
    }
}

impl Bench {
    /// Runs those of the rows that are wanted, and removes their content.
    fn some(&self, content: &Content, args: &Args, rows: &[Row]) -> Result {
        for row in rows {
            if args.row.is_empty() || args.row.contains(row) {
                self.one(*row, content)?;
            }
        }
        remove(&content.layout)
    }

    /// A registry with nothing in it.
    fn registry(&self) -> Result<Registry> {
        Registry::start(&self.work.join("registry"), self.tls.as_ref())
    }

    /// A registry with all of some content in the repository `bench`.
    fn filled(&self, content: &Content) -> Result<Registry> {
        let registry = self.registry()?;
        super::measure::time(&mut self.copy(&["--durability", "none"], &content.here(), &registry.there()))?;
        Ok(registry)
    }

    /// Runs every way once a round, one after the other, and shows what that tells.
    fn row(&self, title: &str, floor: &str, ways: &[Way<'_>]) -> Result {
        let mut contenders: Vec<Contender> = ways.iter().map(|way| Contender::new(way.name)).collect();
        let mut known: Vec<Option<Run>> = vec![None; ways.len()];
        for round in 0..=self.rounds {
            for ((way, known), contender) in ways.iter().zip(&mut known).zip(&mut contenders) {
                let run = match known.filter(|_| way.once) {
                    Some(run) => run,
                    None => (way.run)()?,
                };
                *known = Some(run);
                // The first round fills the caches.
                if round > 0 {
                    contender.add(run);
                }
            }
        }
        report(title, &contenders);
        println!("  {floor}");
        Ok(())
    }
}

impl Content {
    fn here(&self) -> String {
        format!("oci:{}", self.layout.display())
    }
}

impl Registry {
    fn there(&self) -> String {
        format!("docker://{}/bench", self.host)
    }

    /// Runs something, and counts what this registry is asked meanwhile.
    fn counted(&self, run: impl FnOnce() -> Result<Run>) -> Result<Run> {
        let before = self.requests()?;
        let run = run()?;
        Ok(Run { requests: self.requests()? - before, ..run })
    }
}
