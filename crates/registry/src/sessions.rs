//! Upload sessions that are remembered for the next process (DIST-45).
//!
//! A process that is killed in the middle of a large blob leaves a small file behind: which blob of which repository, and
//! where the registry wants the rest. The next one asks there how much has come. Whoever uses a file holds it locked, so
//! that two processes never send to one session, and the kernel frees what a dead one held. The files hold no
//! credentials; but a location is a secret of its own, so that only the user may read them, and none is ever shown.
//!
//! None of it is needed: a file that is malformed, of another blob, too old, or one too many is removed, and where files
//! cannot be written or locked nothing is remembered. A location is followed by the same rules as if the registry had
//! just named it (DIST-32).

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use transship_spec::Digest;
use url::Url;

/// Registries forget sessions after a day to a week.
const AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Files that are kept; the oldest go first.
const MOST: usize = 256;
/// Names in the folder that are looked at.
const LOOKED_AT: usize = 4096;
/// Bytes of a file. A location is a header, and those end at 64 KiB.
const LONGEST: u64 = 80 << 10;

/// The folder of remembered sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    folder: PathBuf,
    swept: AtomicBool,
}

/// Which upload: the same blob to the same place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Where the registry answers: scheme, host and port.
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
}

/// What a file says.
#[derive(Serialize, Deserialize)]
struct Note {
    #[serde(flatten)]
    key: Key,
    location: String,
}

/// The file of one upload, locked as long as this lives. What was noted stays when it is dropped.
pub(crate) struct Slot {
    file: Arc<File>,
    path: PathBuf,
    key: Key,
    location: Option<String>,
}

impl Sessions {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, swept: AtomicBool::new(false) }
    }

    /// The place for an upload, unless another process is at it or nothing can be kept.
    pub(crate) async fn take(&self, key: Key) -> Option<Slot> {
        let folder = self.folder.clone();
        let sweep = !self.swept.swap(true, Ordering::Relaxed);
        let take = move || {
            if sweep {
                sweep_folder(&folder, SystemTime::now());
            }
            Slot::open(&folder, key)
        };
        match tokio::task::spawn_blocking(take).await {
            Ok(Ok(slot)) => slot,
            Ok(Err(error)) => {
                tracing::debug!(%error, "upload sessions cannot be remembered");
                None
            }
            Err(_) => None,
        }
    }
}

impl Slot {
    fn open(folder: &Path, key: Key) -> std::io::Result<Option<Self>> {
        make_private(folder)?;
        let path = folder.join(key.file_name());
        let Some(file) = lock(&path, true)? else { return Ok(None) };
        let location = read(&file)?.filter(|note| note.key == key).map(|note| note.location);
        Ok(Some(Self { file: Arc::new(file), path, key, location }))
    }

    /// Where the upload stood, as the registry wrote it.
    pub(crate) fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Remembers a location in place of the one before. Whether that works does not matter.
    pub(crate) async fn note(&mut self, location: &Url) {
        if self.location() == Some(location.as_str()) {
            return;
        }
        self.location = Some(location.to_string());
        let note = Note { key: self.key.clone(), location: location.to_string() };
        let file = Arc::clone(&self.file);
        let Ok(text) = serde_json::to_vec(&note) else { return };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || write(&file, &text)).await {
            tracing::debug!(%error, "an upload session cannot be remembered");
        }
    }

    /// Forgets it: the upload is done, or the session is gone.
    pub(crate) fn forget(mut self) {
        self.location = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.location.is_none() {
            // Still locked, so that nobody else has begun to use it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Key {
    fn file_name(&self) -> String {
        let text = format!("{}\n{}\n{}", self.registry, self.repository, self.digest);
        format!("{}.json", Digest::sha256(text.as_bytes()).encoded())
    }
}

/// Opens a file that is one, and locks it; nothing when another process has it.
fn lock(path: &Path, create: bool) -> std::io::Result<Option<File>> {
    // Once more where the file was removed between the two.
    for _ in 0..3 {
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => return Ok(None),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        if std::fs::symlink_metadata(path).is_ok_and(|named| is_same(&named, &file)) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Whether a path names the file that is open.
#[cfg(unix)]
fn is_same(named: &Metadata, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().is_ok_and(|open| (open.dev(), open.ino()) == (named.dev(), named.ino()))
}

#[cfg(not(unix))]
fn is_same(named: &Metadata, _: &File) -> bool {
    named.is_file()
}

/// What a file says; nothing where it is empty, too long or malformed.
fn read(file: &File) -> std::io::Result<Option<Note>> {
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> Option<Note> {
    if bytes.len() as u64 > LONGEST {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

/// Writes over what is there, and only then cuts off what is left of it: a crash between leaves what is no JSON.
fn write(file: &File, text: &[u8]) -> std::io::Result<()> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text)?;
    file.set_len(text.len() as u64)
}

/// Makes the folder, for its user only.
fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Removes what is too old, and the oldest of what is too much. Files in use, and files of others, stay.
fn sweep_folder(folder: &Path, now: SystemTime) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .take(LOOKED_AT)
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_ours))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort_unstable_by(|one, other| other.cmp(one));
    for (at, (modified, path)) in files.iter().enumerate() {
        let is_old = now.duration_since(*modified).is_ok_and(|age| age > AGE);
        if (is_old || at >= MOST)
            && let Ok(Some(_locked)) = lock(path, false)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn is_ours(name: &str) -> bool {
    let stem = name.strip_suffix(".json");
    stem.is_some_and(|stem| stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Reads a file, and writes what it says, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub(crate) fn rewritten(bytes: &[u8]) -> Option<String> {
    parse(bytes).and_then(|note| serde_json::to_string(&note).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digest: &str) -> Key {
        Key {
            registry: "https://r.example/".to_owned(),
            repository: "team/app".to_owned(),
            digest: format!("sha256:{digest}"),
            size: 5,
        }
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[tokio::test]
    async fn what_was_noted_is_there_for_the_next_and_gone_when_it_was_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path().join("transship/uploads"));
        let mut slot = sessions.take(key("a")).await.unwrap();
        assert_eq!(slot.location(), None);
        slot.note(&url("https://r.example/upload/1?_state=long")).await;
        slot.note(&url("https://r.example/upload/2")).await;
        drop(slot);
        assert_eq!(sessions.take(key("b")).await.unwrap().location(), None);
        let slot = sessions.take(key("a")).await.unwrap();
        assert_eq!(slot.location(), Some("https://r.example/upload/2"));
        slot.forget();
        assert_eq!(sessions.take(key("a")).await.unwrap().location(), None);
        assert_eq!(std::fs::read_dir(&sessions.folder).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn two_never_have_the_same_session() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path().to_owned());
        let slot = sessions.take(key("a")).await.unwrap();
        assert!(Sessions::new(folder.path().to_owned()).take(key("a")).await.is_none());
        drop(slot);
        assert!(sessions.take(key("a")).await.is_some());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_user_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path().join("uploads"));
        let slot = sessions.take(key("a")).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&slot.path), mode(&sessions.folder)), (0o600, 0o700));
    }

    #[tokio::test]
    async fn what_is_malformed_or_of_another_blob_is_not_believed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path().to_owned());
        let path = folder.path().join(key("a").file_name());
        let whole = |key: &Key| serde_json::to_string(&Note { key: key.clone(), location: "x".to_owned() });
        let good = whole(&key("a")).unwrap();
        for text in [
            String::new(),
            "nonsense".to_owned(),
            "[".repeat(100_000),
            good.clone() + "tail",
            good[..good.len() - 1].to_owned(),
            whole(&key("b")).unwrap(),
            whole(&Key { size: 6, ..key("a") }).unwrap(),
            format!("{good}{}", " ".repeat(100 << 10)),
        ] {
            std::fs::write(&path, &text).unwrap();
            assert_eq!(sessions.take(key("a")).await.unwrap().location(), None, "{text:.80}");
            assert!(!path.exists(), "{text:.80}");
        }
        std::fs::write(&path, &good).unwrap();
        assert_eq!(sessions.take(key("a")).await.unwrap().location(), Some("x"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_is_no_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path().to_owned());
        let path = folder.path().join(key("a").file_name());
        std::fs::write(folder.path().join("precious"), "mine").unwrap();
        std::os::unix::fs::symlink(folder.path().join("precious"), &path).unwrap();
        assert!(sessions.take(key("a")).await.is_none());
        assert_eq!(std::fs::read_to_string(folder.path().join("precious")).unwrap(), "mine");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(sessions.take(key("a")).await.is_none());
    }

    #[test]
    fn what_is_too_old_or_too_much_goes_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let put = |number: usize, age: Duration| {
            let path = folder.path().join(key(&number.to_string()).file_name());
            File::create(&path).unwrap().set_modified(now - age).unwrap();
            path
        };
        let old = put(0, AGE + Duration::from_secs(1));
        let used = put(1, AGE * 2);
        let held = lock(&used, false).unwrap();
        let kept: Vec<_> = (2..MOST).map(|number| put(number, Duration::from_secs(number as u64))).collect();
        let foreign = folder.path().join("notes.json");
        File::create(&foreign).unwrap().set_modified(now - AGE * 2).unwrap();
        sweep_folder(folder.path(), now);
        assert!(!old.exists() && used.exists() && foreign.exists());
        assert!(kept.iter().all(|path| path.exists()));
        drop(held);
        for number in 1000..1010 {
            put(number, Duration::ZERO);
        }
        sweep_folder(folder.path(), now);
        assert!(kept[..kept.len() - 8].iter().all(|path| path.exists()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), MOST + 1);
    }
}
