//! One path, and what is said of it.

use std::fmt;

use transship_spec::{Digest, quote};

use super::{escape, keyword};

/// A path of a tree, with what a specification says of it. What it does not say is `None` or empty.
///
/// ```
/// use transship_pack::mtree::{self, Entry, Type};
///
/// let entry = Entry {
///     path: b"usr/bin/app".to_vec(),
///     kind: Some(Type::File),
///     mode: Some(0o755),
///     ..Entry::default()
/// };
/// let mut text = mtree::HEADER.to_vec();
/// entry.print(&mut text);
/// assert_eq!(text, b"#mtree\n./usr/bin/app type=file mode=0755\n");
/// let read = mtree::parse(&text)?;
/// assert_eq!((&read[0].path, read[0].line), (&entry.path, 2));
/// # Ok::<(), mtree::Flaw>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// From the top of the tree, without a slash at either end; empty for the top itself. No part of it is `.` or `..`.
    pub path: Vec<u8>,
    /// The line that named it first, from one; zero where it was not read from a specification.
    pub line: u32,
    /// `type`
    pub kind: Option<Type>,
    /// `mode`: the twelve bits of permission, in octal.
    pub mode: Option<u32>,
    /// `uid`, or `uname` where that is `root`.
    pub uid: Option<u32>,
    /// `gid`, or `gname` where that is `root`.
    pub gid: Option<u32>,
    /// `time`: of the last modification.
    pub time: Option<Time>,
    /// `size` of a file in bytes.
    pub size: Option<u64>,
    /// `link`: what a symbolic link leads to.
    pub link: Option<Vec<u8>>,
    /// `device`: major and minor number. The name of a format may stand before them; they mean the same with any.
    pub device: Option<(u32, u32)>,
    /// `nlink`: how many names a file has.
    pub nlink: Option<u64>,
    /// `inode`: files with several names and the same number here, and in `resdevice`, are one file.
    pub inode: Option<u64>,
    /// `resdevice`: the file system of `inode`.
    pub resdevice: Option<(u32, u32)>,
    /// `content` or `contents`: the path of a file that holds the content.
    pub content: Option<Vec<u8>>,
    /// `sha256digest` and `sha512digest`, or `sha256` and `sha512`: at most one of each, in this order.
    pub digests: Vec<Digest>,
    /// `xattr.NAME`: values in base64, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// `optional`: it need not be there.
    pub optional: bool,
    /// `ignore`: what lies beneath is not looked at.
    pub ignore: bool,
}

impl Entry {
    /// Adds the line that says all this to `out`.
    pub fn print(&self, out: &mut Vec<u8>) {
        if self.path.is_empty() {
            out.push(b'.');
        } else {
            out.extend_from_slice(b"./");
            escape::write(&self.path, out);
        }
        keyword::print(self, out);
        out.push(b'\n');
    }
}

/// The type of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Type {
    Block,
    Char,
    Dir,
    Fifo,
    File,
    Link,
    Socket,
}

impl Type {
    const ALL: [(&'static str, Self); 7] = [
        ("block", Self::Block),
        ("char", Self::Char),
        ("dir", Self::Dir),
        ("fifo", Self::Fifo),
        ("file", Self::File),
        ("link", Self::Link),
        ("socket", Self::Socket),
    ];

    /// The type of this name.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, kind)| *kind)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// A time since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds upon them, less than a second.
    pub nanoseconds: u32,
}

/// Where and why a specification is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The line, from one; that of the first where one goes on with another.
    pub line: u32,
    /// The byte of that line, from one; lines that go on count as one.
    pub column: usize,
    /// The rule that is broken, with what to write instead.
    pub reason: String,
}

impl Flaw {
    pub(super) fn word(word: &[u8], rule: &str) -> String {
        format!("{} {rule}", quote(&String::from_utf8_lossy(word)))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.reason)
    }
}

impl std::error::Error for Flaw {}
