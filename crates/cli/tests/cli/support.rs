//! A folder of its own for each test, the program run in it, and small layouts.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use transship_spec::Digest;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_transship");

/// The digest of `{}`.
pub(crate) const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// A folder to work in, with a home beside it.
pub(crate) struct Sandbox {
    folder: TempDir,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        Self { folder }
    }

    /// A path in the folder that the program is run in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join("home").join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program with nothing of this process's environment but `PATH`.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home(""))
            .env("TMPDIR", self.folder.path())
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(PROGRAM).args(arguments).output().unwrap())
    }

    /// Runs the program, which must succeed; gives its standard output without the last end of line.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.stdout.strip_suffix('\n').unwrap_or(&run.stdout).to_owned()
    }

    /// Runs the program, which must fail with this code and leave everything as it was; gives what it said.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let before = self.tree();
        let run = self.run(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");
        let errors = run.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{arguments:?}: {}", run.stderr);
        assert_eq!(self.tree(), before, "{arguments:?} changed something: {}", run.stderr);
        run.stderr
    }

    /// As [`Sandbox::fails`], and what it says must hold these words.
    pub(crate) fn fails_saying(&self, code: i32, arguments: &[&str], words: &str) {
        let said = self.fails(code, arguments);
        assert!(said.contains(words), "{arguments:?} does not say {words:?}: {said}");
    }

    /// Everything in the folder: what it is, and its content.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        walk(self.folder.path(), &mut found);
        found
    }

    /// An artifact of one small blob, put there as plumbing does it; gives the digest of the manifest.
    pub(crate) fn artifact(&self, layout: &str, name: &str, content: &str) -> String {
        let file = self.write("artifact-content", content);
        self.write("artifact-config", "{}");
        let digest = self.ok(&["blob", "put", file.to_str().unwrap(), &format!("oci:{layout}")]);
        self.ok(&["blob", "put", "artifact-config", &format!("oci:{layout}")]);
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"text/x-test","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{EMPTY}","size":2}},"layers":[{{"mediaType":"text/plain","digest":"{digest}","size":{},"annotations":{{"org.opencontainers.image.title":"content.txt"}}}}]}}"#,
            content.len()
        );
        self.write("artifact-manifest", manifest);
        let put = self.ok(&["manifest", "put", "artifact-manifest", &format!("oci:{layout}:{name}")]);
        for name in ["artifact-content", "artifact-config", "artifact-manifest"] {
            fs::remove_file(self.path(name)).unwrap();
        }
        put
    }

    /// The file of a blob.
    pub(crate) fn blob(&self, layout: &str, digest: &str) -> PathBuf {
        self.path(layout).join("blobs").join(digest.replace(':', "/"))
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(999));
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        let what = if meta.is_dir() {
            walk(&path, found);
            "folder".to_owned()
        } else if meta.is_file() {
            fs::read(&path)
                .map_or_else(|error| error.to_string(), |content| Digest::sha256(&content).to_string())
        } else {
            format!("{:?} {:?}", meta.file_type(), fs::read_link(&path).ok())
        };
        found.insert(path, format!("{:o} {what}", meta.permissions().mode()));
    }
}
