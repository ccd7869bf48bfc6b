//! `cargo xtask demo`: the main job, shown as one would type it, with nothing installed but Rust.
//!
//! Everything happens in a folder of its own beneath the build folder; the registry listens on the loopback interface and
//! ends with the demo.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{cargo, output, root, run as execute, shown, target};

/// Where a machine keeps documentation or a Python library: thousands of files.
const TREES: &[&str] =
    &["/usr/share/doc", "/usr/lib/python3", "/usr/share/man", "/Library/Developer/CommandLineTools/Library"];

/// A tree of fewer files is a toy.
const ENOUGH: usize = 2_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tree to pack, instead of this machine's documentation
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result {
    let mut build = cargo();
    build.args(["build", "--package", "transship"]);
    println!("demo: {}", shown(&build));
    execute(&mut build)?;
    let tree = args.tree.clone().map_or_else(choose, Ok)?;
    let folder = target().join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let demo = Demo { transship: fs::canonicalize(target().join("debug/transship"))?, folder };
    demo.tell(&tree)
}

struct Demo {
    transship: PathBuf,
    folder: PathBuf,
}

impl Demo {
    fn tell(&self, tree: &Path) -> Result {
        println!("\nAll of this happens in {}", self.folder.display());
        let (tree, readme) = (tree.display().to_string(), root().join("README.md").display().to_string());
        println!("\n# A directory tree becomes an image, a file becomes an artifact. No daemon, no network.");
        self.show(&["pack", "image", &tree, "--label", "from=demo", "--to", "oci:out:tree"])?;
        let file = format!("README.md={readme}:text/markdown");
        let kind = "application/vnd.example.readme";
        self.show(&["pack", "files", &file, "--artifact-type", kind, "--to", "oci:out:readme"])?;
        self.show(&["ls", "oci:out"])?;
        self.show(&["inspect", "oci:out:readme"])?;

        println!("\n# An empty layout, served as a registry. Docker, skopeo and oras could use it, too.");
        self.show(&["init", "store"])?;
        let registry = Registry::start(self)?;
        let remote = format!("{}/demo", registry.host);

        println!("\n# There. The second time, nothing moves.");
        self.show(&["copy", "--all-tags", "oci:out", &remote])?;
        self.show(&["copy", "--all-tags", "oci:out", &remote])?;

        println!("\n# And back, into a layout that does not exist yet.");
        self.show(&["copy", "--all-tags", "--short-names", &remote, "oci:back"])?;
        drop(registry);

        println!("\n# What came back is what was sent: the same names, the same digests.");
        for name in ["tree", "readme"] {
            let [sent, came] = ["out", "back"].map(|layout| self.digest(&format!("oci:{layout}:{name}")));
            let (sent, came) = (sent?, came?);
            if sent != came {
                return Err(format!("{name} was sent as {sent} and came back as {came}").into());
            }
            println!("{name:<8} {sent}");
        }
        println!("\nback/");
        print_tree(&self.folder.join("back"), "")?;
        self.say_what_next();
        Ok(())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.transship);
        command.args(words).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// Shows a command as one would type it, and what it says.
    fn show(&self, words: &[&str]) -> Result {
        let mut command = self.command(words);
        println!("\n$ {}", shown(&command));
        execute(&mut command)
    }

    fn digest(&self, location: &str) -> Result<String> {
        Ok(output(&mut self.command(&["resolve", location]))?.trim().to_owned())
    }

    fn say_what_next(&self) {
        println!("\n# What to try next, from {}", self.folder.display());
        println!("export PATH={}:$PATH", self.transship.parent().unwrap_or(&self.transship).display());
        println!("transship pack image ./some/folder --compression zstd --to oci:out:mine");
        println!("transship inspect oci:out:tree --format json");
        println!("transship serve --listen 127.0.0.1:5000 demo=oci:out");
        println!("skopeo inspect oci:out:tree                 # any other tool reads the layout as it is");
    }
}

/// A registry that is this demo's own, and ends with it.
struct Registry {
    child: Child,
    host: String,
}

impl Registry {
    fn start(demo: &Demo) -> Result<Self> {
        // The port is free a moment later, too, or the registry says that it is not.
        let host = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = demo.command(&["serve", "--writable", "--listen", &host, "demo=oci:store"]);
        println!("\n$ {} &", shown(&command));
        let mut registry = Self { child: command.spawn()?, host };
        let begin = Instant::now();
        while TcpStream::connect(&registry.host).is_err() {
            if registry.child.try_wait()?.is_some() || begin.elapsed() > Duration::from_secs(30) {
                return Err("the registry did not start".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It has nothing unsaved, and there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first place of this machine that has a tree worth packing.
fn choose() -> Result<PathBuf> {
    let rust = output(crate::process::program("rustc").args(["--print", "sysroot"]));
    let rust = rust.map(|sysroot| PathBuf::from(sysroot.trim()).join("share/doc"));
    let places = TREES.iter().map(PathBuf::from).chain(rust);
    let chosen = places.into_iter().find(|place| count(place, ENOUGH) >= ENOUGH);
    chosen.ok_or_else(|| "no tree of some thousands of files here; name one with --tree DIR".into())
}

/// The files beneath a folder, as far as it can be read, and no further than `enough`.
fn count(folder: &Path, enough: usize) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().fold(0, |files, entry| match entry.file_type() {
        _ if files >= enough => files,
        Ok(kind) if kind.is_dir() => files + count(&entry.path(), enough - files),
        Ok(kind) if kind.is_file() => files + 1,
        _ => files,
    })
}

fn print_tree(folder: &Path, indent: &str) -> Result {
    let mut entries = fs::read_dir(folder)?.collect::<std::result::Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for (number, entry) in entries.iter().enumerate() {
        let (branch, below) =
            if number + 1 == entries.len() { ("└── ", "    ") } else { ("├── ", "│   ") };
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            println!("{indent}{branch}{name}/");
            print_tree(&entry.path(), &format!("{indent}{below}"))?;
        } else {
            println!("{indent}{branch}{name}  {} bytes", entry.metadata()?.len());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_files_stops_when_there_are_enough() {
        let sources = root().join("xtask/src");
        assert!(count(&sources, 1_000) > 5);
        assert_eq!(count(&sources, 3), 3);
        assert_eq!(count(Path::new("/no/such/folder"), 3), 0);
    }
}
