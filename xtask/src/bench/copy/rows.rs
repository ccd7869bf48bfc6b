//! The rows: who does what in each of them, and what the protocol cannot do without.

use std::path::{Path, PathBuf};

use super::content::{Content, same_blobs};
use super::registry::Registry;
use super::{Bench, Row, Way, proxy};
use crate::Result;
use crate::bench::measure::{Run, time};
use crate::bench::{empty, remove};

const QUICK: [&str; 2] = ["--durability", "none"];
const DURABLE: [&str; 2] = ["--durability", "full"];
const ALL: [&str; 4] = ["--durability", "none", "--referrers", "all"];

/// How transship runs in every row, besides as it is told to by the row.
const OURS: [(&str, &[&str]); 3] = [
    ("transship --durability none", &QUICK),
    ("transship --durability full", &DURABLE),
    ("transship --referrers all --durability none", &ALL),
];

impl Bench {
    pub(super) fn one(&self, row: Row, content: &Content) -> Result {
        let (roots, blobs) = (content.roots, content.blobs);
        let what = format!("{roots} roots, {blobs} blobs, {} MB", content.bytes / 1_000_000);
        match row {
            Row::PullLarge | Row::PullSmall | Row::PullImages => {
                let (tags, said) = if row == Row::PullLarge { (0, "") } else { (1, "tags, ") };
                let floor = tags + roots + blobs;
                let floor = format!("floor: {floor} requests ({said}{roots} manifests, {blobs} blobs)");
                self.pull(&format!("pull {what}"), &floor, content, row == Row::PullLarge)
            }
            Row::PushLarge | Row::PushSmall | Row::PushImages => {
                let floor = 1 + roots + 2 * blobs;
                let floor = format!(
                    "floor: {floor} requests (tags, {roots} manifests, POST and PUT of {blobs} blobs); those of 32 MiB and more have a PATCH, too"
                );
                self.push(&format!("push {what}"), &floor, content, row == Row::PushLarge)
            }
            Row::Nothing => self.nothing(&what, content),
            Row::Mount => self.mount(&what, content),
            Row::LayoutLarge | Row::LayoutSmall => self.layouts(&what, content, row == Row::LayoutLarge),
            Row::FarPull => self.far_pull(&what, content),
            Row::FarPush => self.far_push(&what, content),
        }
    }

    fn back(&self) -> PathBuf {
        self.work.join("back")
    }

    /// Runs something that makes a layout, and sees that it is what was sent.
    fn with_layout(&self, content: &Content, run: impl FnOnce(&Path) -> Result<Run>) -> Result<Run> {
        let back = self.back();
        remove(&back)?;
        let run = run(&back)?;
        same_blobs(&content.layout, &back)?;
        remove(&back)?;
        Ok(run)
    }

    fn pull(&self, title: &str, floor: &str, content: &Content, is_one: bool) -> Result {
        let registry = self.filled(content)?;
        let (back, there) = (self.back(), registry.there());
        let v1 = if is_one { ":v1" } else { "" };
        let skopeo = || {
            empty(&back)?;
            let to = back.display().to_string();
            let mut command = match is_one {
                true => self.skopeo(&format!("{there}:v1"), &format!("oci:{to}:v1")),
                false => self.sync(("docker", &format!("{}/bench", registry.host)), ("dir", &to)),
            };
            let run = registry.counted(|| time(&mut command));
            remove(&back)?;
            run
        };
        let gets = || {
            empty(&back)?;
            let run = registry.counted(|| time(&mut self.gets(content, &registry, &back)?));
            remove(&back)?;
            run
        };
        let skopeo = Way::new(if is_one { "skopeo copy" } else { "skopeo sync to dir:" }, skopeo);
        let mut ways =
            vec![if is_one { skopeo } else { skopeo.once() }, Way::new("curl -Z of those GETs", gets)];
        if is_one {
            ways.push(Way::new("openssl dgst -sha256", || time(&mut self.hash(content))));
        }
        for (name, flags) in OURS {
            let (registry, there) = (&registry, &there);
            ways.push(Way::new(name, move || {
                self.with_layout(content, |to| {
                    let to = format!("oci:{}{v1}", to.display());
                    let there = &format!("{there}{v1}");
                    registry.counted(|| time(&mut self.copy(flags, there, &to)))
                })
            }));
        }
        self.row(title, floor, &ways)
    }

    fn push(&self, title: &str, floor: &str, content: &Content, is_one: bool) -> Result {
        let fresh = |run: &dyn Fn(&Registry) -> Result<Run>| {
            let registry = self.registry()?;
            registry.counted(|| run(&registry))
        };
        let folder = self.work.join("dir");
        if !is_one {
            // What skopeo can push: a folder of images, as it pulls them itself.
            let registry = self.filled(content)?;
            empty(&folder)?;
            let to = folder.display().to_string();
            time(&mut self.sync(("docker", &format!("{}/bench", registry.host)), ("dir", &to)))?;
        }
        let skopeo = || {
            fresh(&|registry| {
                let host = &registry.host;
                time(&mut match is_one {
                    true => {
                        self.skopeo(&format!("{}:v1", content.here()), &format!("{}:v1", registry.there()))
                    }
                    false => self.sync(("dir", &folder.display().to_string()), ("docker", host)),
                })
            })
        };
        let skopeo = Way::new(if is_one { "skopeo copy" } else { "skopeo sync from dir:" }, skopeo);
        let mut ways = vec![if is_one { skopeo } else { skopeo.once() }];
        if is_one {
            let puts = || fresh(&|registry| time(&mut self.puts(content, registry)));
            ways.push(Way::new("curl, a POST and a PUT for each blob", puts));
        }
        for (name, flags) in [OURS[0], OURS[2]] {
            let fresh = &fresh;
            ways.push(Way::new(name, move || {
                let (from, v1) = (content.here(), if is_one { ":v1" } else { "" });
                let to = |registry: &Registry| format!("{}{v1}", registry.there());
                fresh(&|registry| time(&mut self.copy(flags, &format!("{from}{v1}"), &to(registry))))
            }));
        }
        self.row(title, floor, &ways)?;
        remove(&folder)
    }

    fn nothing(&self, what: &str, content: &Content) -> Result {
        let registry = self.filled(content)?;
        let back = self.back();
        remove(&back)?;
        let (there, to) = (registry.there(), format!("oci:{}", back.display()));
        time(&mut self.copy(&QUICK, &there, &to))?;
        let floor = format!("floor: {} requests (tags, and each manifest's digest)", 1 + content.roots);
        for (title, from, to) in [("pull", &there, &to), ("push", &content.here(), &there)] {
            let ways: Vec<Way<'_>> = OURS
                .iter()
                .map(|(name, flags)| {
                    let registry = &registry;
                    Way::new(name, move || registry.counted(|| time(&mut self.copy(flags, from, to))))
                })
                .collect();
            self.row(&format!("{title} again, nothing to do: {what}"), &floor, &ways)?;
        }
        remove(&back)
    }

    fn mount(&self, what: &str, content: &Content) -> Result {
        let (roots, blobs) = (content.roots, content.blobs);
        let floor = format!(
            "floor: {} requests (two lists of tags, GET and PUT of {roots} manifests, {blobs} mounts)",
            2 + 2 * roots + blobs
        );
        let fresh = |run: &dyn Fn(&Registry) -> Result<Run>| {
            let registry = self.filled(content)?;
            registry.counted(|| run(&registry))
        };
        let skopeo = || {
            fresh(&|registry| {
                let host = &registry.host;
                let (from, to) = (format!("{host}/bench"), format!("{host}/other"));
                time(&mut self.sync(("docker", &from), ("docker", &to)))
            })
        };
        let mut ways = vec![Way::new("skopeo sync", skopeo)];
        for (name, flags) in [OURS[0], OURS[2]] {
            let fresh = &fresh;
            ways.push(Way::new(name, move || {
                fresh(&|registry| {
                    let to = format!("docker://{}/other", registry.host);
                    time(&mut self.copy(flags, &registry.there(), &to))
                })
            }));
        }
        self.row(&format!("copy within one registry: {what}"), &floor, &ways)
    }

    fn layouts(&self, what: &str, content: &Content, is_one: bool) -> Result {
        let cp = || self.with_layout(content, |to| time(&mut self.plain_copy(content, to)));
        let mut ways = vec![Way::new("cp -r --reflink=never", cp)];
        if is_one {
            ways.push(Way::new("openssl dgst -sha256", || time(&mut self.hash(content))));
            let skopeo = || {
                self.with_layout(content, |to| {
                    let (from, to) = (format!("{}:v1", content.here()), format!("oci:{}:v1", to.display()));
                    time(&mut self.skopeo(&from, &to))
                })
            };
            ways.push(Way::new("skopeo copy", skopeo));
        }
        for (name, flags) in OURS {
            ways.push(Way::new(name, move || {
                self.with_layout(content, |to| {
                    let to = format!("oci:{}", to.display());
                    time(&mut self.copy(flags, &content.here(), &to))
                })
            }));
        }
        self.row(
            &format!("layout to layout: {what}"),
            "floor: every byte read, hashed and written once",
            &ways,
        )
    }

    fn far_pull(&self, what: &str, content: &Content) -> Result {
        let registry = self.filled(content)?;
        let (host, back) = (proxy::start(&registry.host)?, self.back());
        let skopeo = || {
            empty(&back)?;
            let to = back.display().to_string();
            let mut command = self.sync(("docker", &format!("{host}/bench")), ("dir", &to));
            let run = registry.counted(|| time(&mut command));
            remove(&back)?;
            run
        };
        let ours = || {
            self.with_layout(content, |to| {
                let (from, to) = (format!("docker://{host}/bench"), format!("oci:{}", to.display()));
                registry.counted(|| time(&mut self.copy(&QUICK, &from, &to)))
            })
        };
        let ways = [Way::new("skopeo sync to dir:", skopeo).once(), Way::new(OURS[0].0, ours)];
        self.row(&format!("pull, 50 ms away: {what}"), "wanted: 3 times as fast", &ways)
    }

    fn far_push(&self, what: &str, content: &Content) -> Result {
        let folder = self.work.join("dir");
        empty(&folder)?;
        {
            let registry = self.filled(content)?;
            let to = folder.display().to_string();
            time(&mut self.sync(("docker", &format!("{}/bench", registry.host)), ("dir", &to)))?;
        }
        let far = |run: &dyn Fn(&str) -> Result<Run>| {
            let registry = self.registry()?;
            let host = proxy::start(&registry.host)?;
            registry.counted(|| run(&host))
        };
        let skopeo =
            || far(&|host| time(&mut self.sync(("dir", &folder.display().to_string()), ("docker", host))));
        let ours =
            || far(&|host| time(&mut self.copy(&QUICK, &content.here(), &format!("docker://{host}/bench"))));
        let ways = [Way::new("skopeo sync from dir:", skopeo).once(), Way::new(OURS[0].0, ours)];
        self.row(&format!("push, 50 ms away: {what}"), "wanted: 3 times as fast", &ways)?;
        remove(&folder)
    }
}
