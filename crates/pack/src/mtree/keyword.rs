//! Keywords and their values.

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use transship_spec::Digest;

use super::entry::{Entry, Flaw, Time, Type};
use super::escape;

/// Keywords that say how to compare a tree with a specification, and nothing of what to make.
const PASSED_OVER: &[&[u8]] = &[
    b"cksum",
    b"flags",
    b"md5",
    b"md5digest",
    b"nochange",
    b"rmd160",
    b"rmd160digest",
    b"ripemd160digest",
    b"sha1",
    b"sha1digest",
    b"sha384",
    b"sha384digest",
    b"tags",
];

/// How other systems call the way in which they put two numbers into one.
const DEVICE_FORMATS: &[&[u8]] = &[
    b"native", b"386bsd", b"4bsd", b"bsdos", b"freebsd", b"hpux", b"isc", b"linux", b"netbsd", b"osf1",
    b"sco", b"solaris", b"sunos", b"svr3", b"svr4", b"ultrix",
];

/// What one line says, on the way to an entry: names of owners wait until it is known that no number comes.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) entry: Entry,
    uname: Option<Vec<u8>>,
    gname: Option<Vec<u8>>,
}

impl Said {
    pub(super) fn of(entry: Entry) -> Self {
        Self { entry, ..Self::default() }
    }

    /// The entry, once all is said.
    pub(super) fn finish(self) -> Result<Entry, String> {
        let Self { mut entry, uname, gname } = self;
        entry.uid = owner(entry.uid, uname.as_deref(), "uid")?;
        entry.gid = owner(entry.gid, gname.as_deref(), "gid")?;
        Ok(entry)
    }

    /// Takes one word, `KEYWORD` or `KEYWORD=VALUE`. Says the rule that it breaks.
    pub(super) fn take(&mut self, word: &[u8]) -> Result<(), String> {
        let (keyword, value) = split(word);
        let refuse = |rule: &str| Flaw::word(word, rule);
        let entry = &mut self.entry;
        match (keyword, value) {
            (b"optional", _) => entry.optional = true,
            (b"ignore", _) => entry.ignore = true,
            (keyword, _) if PASSED_OVER.contains(&keyword) => {}
            (_, None) => return Err(refuse("is no keyword that stands alone")),
            (b"type", Some(value)) => {
                entry.kind = Some(Type::named(value).ok_or_else(|| {
                    refuse("names no type; there are block, char, dir, fifo, file, link and socket")
                })?);
            }
            (b"mode", Some(value)) => {
                entry.mode = Some(octal(value).ok_or_else(|| refuse("is no mode; write it in octal"))?);
            }
            (b"uid", Some(value)) => entry.uid = Some(number(value).ok_or_else(|| refuse(ID))?),
            (b"gid", Some(value)) => entry.gid = Some(number(value).ok_or_else(|| refuse(ID))?),
            (b"uname", Some(value)) => self.uname = Some(value.to_vec()),
            (b"gname", Some(value)) => self.gname = Some(value.to_vec()),
            (b"time", Some(value)) => {
                entry.time =
                    Some(time(value).ok_or_else(|| refuse("is no time; write SECONDS.NANOSECONDS"))?);
            }
            (b"size", Some(value)) => entry.size = Some(number(value).ok_or_else(|| refuse(NUMBER))?),
            (b"nlink", Some(value)) => entry.nlink = Some(number(value).ok_or_else(|| refuse(NUMBER))?),
            (b"inode", Some(value)) => entry.inode = Some(number(value).ok_or_else(|| refuse(NUMBER))?),
            (b"device", Some(value)) => {
                entry.device = Some(device(value).ok_or_else(|| refuse(DEVICE))?);
            }
            (b"resdevice", Some(value)) => {
                entry.resdevice = Some(device(value).ok_or_else(|| refuse(DEVICE))?);
            }
            (b"link", Some(value)) => entry.link = Some(path(value).map_err(refuse)?),
            (b"content" | b"contents", Some(value)) => entry.content = Some(path(value).map_err(refuse)?),
            (b"sha256" | b"sha256digest", Some(value)) => self.digest("sha256", value).map_err(refuse)?,
            (b"sha512" | b"sha512digest", Some(value)) => self.digest("sha512", value).map_err(refuse)?,
            (keyword, Some(value)) => match keyword.strip_prefix(b"xattr.") {
                Some(name) => self.xattr(name, value).map_err(refuse)?,
                None => return Err(refuse("has a keyword that is not known")),
            },
        }
        Ok(())
    }

    fn digest(&mut self, algorithm: &str, value: &[u8]) -> Result<(), &'static str> {
        const RULE: &str = "is no digest; write it in hexadecimal digits";
        let hex = String::from_utf8(value.to_ascii_lowercase()).map_err(|_| RULE)?;
        let digest = Digest::parse(&format!("{algorithm}:{hex}")).map_err(|_| RULE)?;
        let digests = &mut self.entry.digests;
        digests.retain(|other| other.algorithm() != algorithm);
        digests.push(digest);
        digests.sort_by(|one, other| one.algorithm().cmp(other.algorithm()));
        Ok(())
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let name = escape::read(name)?;
        if name.is_empty() {
            return Err("names no extended attribute");
        }
        let value = STANDARD.decode(value).map_err(|_| "has a value that is no base64")?;
        let xattrs = &mut self.entry.xattrs;
        match xattrs.binary_search_by(|(other, _)| other.cmp(&name)) {
            Ok(found) => xattrs[found].1 = value,
            Err(place) => xattrs.insert(place, (name, value)),
        }
        Ok(())
    }
}

const ID: &str = "is no number of a user or a group";
const NUMBER: &str = "is no number";
const DEVICE: &str = "is no device; write native,MAJOR,MINOR";

/// The keyword of a word, and its value. The name of an attribute may hold an escaped `=` and no other.
pub(super) fn split(word: &[u8]) -> (&[u8], Option<&[u8]>) {
    match word.iter().position(|byte| *byte == b'=') {
        Some(equals) => (&word[..equals], Some(&word[equals + 1..])),
        None => (word, None),
    }
}

fn owner(number: Option<u32>, name: Option<&[u8]>, keyword: &str) -> Result<Option<u32>, String> {
    match (number, name) {
        (Some(number), _) => Ok(Some(number)),
        (None, None) => Ok(None),
        (None, Some(b"root")) => Ok(Some(0)),
        (None, Some(name)) => {
            Err(Flaw::word(name, &format!("is an owner whose number is not known; write {keyword}=NUMBER")))
        }
    }
}

fn path(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let path = escape::read(value)?;
    if path.is_empty() { Err("is no path") } else { Ok(path) }
}

fn number<N: std::str::FromStr>(value: &[u8]) -> Option<N> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

fn octal(value: &[u8]) -> Option<u32> {
    let digits = matches!(value.len(), 1..=10) && value.iter().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(std::str::from_utf8(value).ok()?, 8).ok()?;
    (digits && mode <= 0o7777).then_some(mode)
}

/// What follows the point is a count of nanoseconds, and not a fraction: `1.5` is one second and five of them.
fn time(value: &[u8]) -> Option<Time> {
    let (seconds, nanoseconds) = match value.iter().position(|byte| *byte == b'.') {
        Some(point) => (&value[..point], number::<u32>(&value[point + 1..])?),
        None => (value, 0),
    };
    let seconds = match seconds.strip_prefix(b"-") {
        Some(seconds) => number::<i64>(seconds)?.checked_neg()?,
        None => number(seconds)?,
    };
    (nanoseconds < 1_000_000_000).then_some(Time { seconds, nanoseconds })
}

/// `FORMAT,MAJOR,MINOR`, or both in one number as Linux has it.
fn device(value: &[u8]) -> Option<(u32, u32)> {
    let parts: Vec<&[u8]> = value.split(|byte| *byte == b',').collect();
    match parts[..] {
        [both] => {
            let both = any_base(both)?;
            Some((rustix::fs::major(both), rustix::fs::minor(both)))
        }
        [format, major, minor] if DEVICE_FORMATS.contains(&format) => {
            Some((any_base(major)?.try_into().ok()?, any_base(minor)?.try_into().ok()?))
        }
        _ => None,
    }
}

/// A number as C writes it.
fn any_base(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    }
}

/// Adds all that an entry says, each word with a space before it.
pub(super) fn print(entry: &Entry, out: &mut Vec<u8>) {
    let mut plain = |keyword: &str, value: Option<&dyn Display>| {
        if let Some(value) = value {
            out.extend_from_slice(format!(" {keyword}={value}").as_bytes());
        }
    };
    fn shown<T: Display>(value: &Option<T>) -> Option<&dyn Display> {
        value.as_ref().map(|value| value as &dyn Display)
    }
    let device = |(major, minor): (u32, u32)| format!("native,{major},{minor}");
    plain("type", shown(&entry.kind));
    plain("mode", shown(&entry.mode.map(|mode| format!("{mode:04o}"))));
    plain("uid", shown(&entry.uid));
    plain("gid", shown(&entry.gid));
    plain("time", shown(&entry.time.map(|time| format!("{}.{:09}", time.seconds, time.nanoseconds))));
    plain("size", shown(&entry.size));
    plain("device", shown(&entry.device.map(device)));
    plain("nlink", shown(&entry.nlink));
    plain("inode", shown(&entry.inode));
    plain("resdevice", shown(&entry.resdevice.map(device)));
    for digest in &entry.digests {
        plain(&format!("{}digest", digest.algorithm()), Some(&digest.encoded()));
    }
    for (keyword, path) in [(&b" link="[..], &entry.link), (b" content=", &entry.content)] {
        if let Some(path) = path {
            out.extend_from_slice(keyword);
            escape::write(path, out);
        }
    }
    for (name, value) in &entry.xattrs {
        out.extend_from_slice(b" xattr.");
        escape::write(name, out);
        out.push(b'=');
        out.extend_from_slice(STANDARD.encode(value).as_bytes());
    }
    for (keyword, set) in [(&b" optional"[..], entry.optional), (b" ignore", entry.ignore)] {
        if set {
            out.extend_from_slice(keyword);
        }
    }
}
