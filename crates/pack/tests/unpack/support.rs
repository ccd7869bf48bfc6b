//! Tars, images of them, and what lies in a tree.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use transship_layout::{Durability, Layout, Name};
use transship_pack::{Error, Rootfs, UnpackOptions, UnpackPlan, Unpacked, unpack};
use transship_spec::{Descriptor, Digest, ImageConfig, Manifest, MediaType, Platform};

pub(crate) const BLOCK: usize = 512;

/// A tar, entry by entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tar {
    bytes: Vec<u8>,
}

/// A header that can say anything.
pub(crate) fn header(path: &[u8], flag: u8, link: &[u8], size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_size(size);
    header.set_mode(if flag == b'5' { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    let bytes = header.as_mut_bytes();
    bytes[..path.len().min(100)].copy_from_slice(&path[..path.len().min(100)]);
    bytes[157..157 + link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
    header
}

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An entry, its header changed before it is sealed. Long paths and targets get PAX records.
    pub(crate) fn entry(
        mut self,
        path: &[u8],
        flag: u8,
        (link, content): (&[u8], &[u8]),
        change: impl FnOnce(&mut tar::Header),
    ) -> Self {
        for (key, text) in [("path", path), ("linkpath", link)] {
            if text.len() > 100 {
                self = self.pax(&[(key, text)]);
            }
        }
        let mut header = header(path, flag, link, content.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.raw(header.as_bytes()).raw(content).padded()
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(path.as_bytes(), b'0', (b"", content), |_| {})
    }

    pub(crate) fn folder(self, path: &str) -> Self {
        self.entry(path.as_bytes(), b'5', (b"", b""), |_| {})
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path.as_bytes(), b'2', (target.as_bytes(), b""), |_| {})
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path.as_bytes(), b'1', (target.as_bytes(), b""), |_| {})
    }

    /// PAX records for the entry that follows.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let len = (1..9).map(|digits| rest + digits).find(|len| len.to_string().len() + rest == *len);
            content.extend_from_slice(format!("{} {key}=", len.unwrap()).as_bytes());
            content.extend_from_slice(value);
            content.push(b'\n');
        }
        self.extension(b'x', &content)
    }

    pub(crate) fn extension(self, flag: u8, content: &[u8]) -> Self {
        let mut header = header(b"extension", flag, b"", content.len() as u64);
        header.set_cksum();
        self.raw(header.as_bytes()).raw(content).padded()
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn padded(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// Without an end mark.
    pub(crate) fn open(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(&[0; 2 * BLOCK]).bytes
    }
}

/// A layer as it is stored, and the tar that its diff ID is of.
pub(crate) struct Stored {
    pub(crate) media_type: MediaType,
    pub(crate) stored: Vec<u8>,
    pub(crate) diff_id: Digest,
}

impl Stored {
    pub(crate) fn plain(tar: &[u8]) -> Self {
        Self { media_type: MediaType::OCI_LAYER_TAR, stored: tar.to_vec(), diff_id: Digest::sha256(tar) }
    }

    pub(crate) fn compressed(media_type: MediaType, stored: Vec<u8>, tar: &[u8]) -> Self {
        Self { media_type, stored, diff_id: Digest::sha256(tar) }
    }
}

/// Writes an image into a new layout.
pub(crate) fn image(at: &Path, layers: &[Stored]) -> (Layout, Descriptor) {
    let layout = Layout::options().durability(Durability::None).create(at).unwrap();
    let session = layout.begin().unwrap();
    let mut manifest = Manifest::new(Descriptor::of(MediaType::OCI_CONFIG, b""), Vec::new());
    let mut config = ImageConfig { platform: Platform::new("linux", "amd64"), ..ImageConfig::default() };
    for layer in layers {
        manifest.layers.push(session.put_bytes(layer.media_type.clone(), &layer.stored).unwrap());
        config.diff_ids.push(layer.diff_id.clone());
    }
    manifest.config = session.put_bytes(MediaType::OCI_CONFIG, &config.to_bytes()).unwrap();
    let descriptor = session.put_document(&manifest.to_document().unwrap()).unwrap();
    session.commit(|index| index.set(&Name::short("v1").unwrap(), &descriptor)).unwrap();
    (layout, descriptor)
}

pub(crate) fn quick() -> UnpackOptions {
    UnpackOptions { durability: Durability::None, ..UnpackOptions::default() }
}

/// Unpacks an image of these layers to `at/rootfs`, with its layout beside.
pub(crate) fn unpack_stored(
    at: &Path,
    layers: &[Stored],
    options: &UnpackOptions,
) -> Result<Unpacked, Error> {
    let (layout, descriptor) = image(&at.join("layout"), layers);
    let done = UnpackPlan::read(&layout, &descriptor, None)
        .and_then(|plan| unpack(&layout, &plan, Rootfs::begin(at.join("rootfs"))?, options));
    fs::remove_dir_all(at.join("layout")).unwrap();
    done
}

/// The same for plain tars.
pub(crate) fn unpack_tars(at: &Path, tars: &[Vec<u8>]) -> Result<Unpacked, Error> {
    let layers: Vec<Stored> = tars.iter().map(|tar| Stored::plain(tar)).collect();
    unpack_stored(at, &layers, &quick())
}

/// A tree of these tars.
pub(crate) fn tree_of(tars: &[Vec<u8>]) -> BTreeMap<PathBuf, String> {
    let folder = tempfile::tempdir().unwrap();
    unpack_tars(folder.path(), tars).unwrap();
    listing(&folder.path().join("rootfs"))
}

/// All that a tree is: path; type, mode, owner, device, time, the first of its names, extended attributes, content.
pub(crate) fn listing(at: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    let mut all = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(at.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path.clone());
            }
            all.push(path);
        }
    }
    all.sort();
    for path in all {
        let whole = at.join(&path);
        let meta = fs::symlink_metadata(&whole).unwrap();
        let content = match () {
            () if meta.is_file() => Digest::sha256(&fs::read(&whole).unwrap()).short(),
            () if meta.is_symlink() => {
                fs::read_link(&whole).unwrap().as_os_str().as_bytes().escape_ascii().to_string()
            }
            () => String::new(),
        };
        let first = match meta.is_dir() {
            true => String::new(),
            false => inodes.entry(meta.ino()).or_insert_with(|| path.clone()).display().to_string(),
        };
        let (mode, uid, gid, device) = (meta.mode(), meta.uid(), meta.gid(), meta.rdev());
        let (time, nanos) = (meta.mtime(), meta.mtime_nsec());
        let xattrs = xattrs(&whole);
        let line = format!("{mode:o} {uid}:{gid} {device} {time}.{nanos} ={first} {xattrs:?} {content}");
        found.insert(path, line);
    }
    found
}

/// Extended attributes, those of the host apart.
pub(crate) fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 65536];
    let len = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let name = String::from_utf8(name.to_vec()).unwrap();
            let mut value = vec![0; 65536];
            let len = rustix::fs::lgetxattr(path, &*name, &mut value[..]).unwrap();
            (name, value[..len].to_vec())
        })
        .filter(|(name, _)| name != "security.selinux")
        .collect()
}

/// Runs a test of this program once more, as nobody and with nobody's folder, whose path it gets.
///
/// The test's name is with its module: `hostile::…`.
pub(crate) fn as_nobody(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let program = at.join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let own = at.join("own");
    fs::create_dir(&own).unwrap();
    for (path, id) in [(at, 0), (&own, 65534)] {
        std::os::unix::fs::chown(path, Some(id), Some(id)).unwrap();
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(program);
    command.args(["--exact", test, "--nocapture"]).env("AS_NOBODY_IN", &own).env("TMPDIR", &own);
    let output = command.current_dir(&own).output().unwrap();
    let told =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

/// Nobody's folder, in a test that was run again by [`as_nobody`].
pub(crate) fn nobodys() -> Option<PathBuf> {
    std::env::var_os("AS_NOBODY_IN").map(PathBuf::from)
}
