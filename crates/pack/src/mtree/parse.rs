//! A specification is read, line by line.

use std::collections::HashMap;

use super::entry::{Entry, Flaw, Type};
use super::keyword::{self, Said};
use super::{MAX_ENTRIES, MAX_LINE, escape};

/// Reads a specification: its paths in the order in which it names them first.
///
/// # Errors
/// [`Flaw`] says where it breaks a rule of the language, or a limit.
///
/// ```
/// use transship_pack::mtree;
///
/// let entries = mtree::parse(b"#mtree\n./app type=file content=out/app\n")?;
/// assert_eq!(entries[0].content.as_deref(), Some(&b"out/app"[..]));
/// let flaw = mtree::parse(b"#mtree\n./app mode=rwx\n").unwrap_err();
/// assert_eq!((flaw.line, flaw.column), (2, 7));
/// # Ok::<(), mtree::Flaw>(())
/// ```
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, Flaw> {
    let mut reader = Reader::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let line = Line::take(&mut rest, &mut reader.line)?;
        reader.take(&line)?;
        reader.line += line.breaks;
    }
    Ok(reader.entries)
}

/// A line, joined with those that it goes on with.
struct Line {
    text: Vec<u8>,
    /// How many ends of lines it spans.
    breaks: u32,
}

impl Line {
    fn take(rest: &mut &[u8], number: &mut u32) -> Result<Self, Flaw> {
        let mut line = Self { text: Vec::new(), breaks: 0 };
        *number = (*number).max(1);
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (piece, after) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (*rest, &rest[rest.len()..]),
            };
            *rest = after;
            line.breaks += u32::from(end.is_some());
            let is_comment = line.text.is_empty() && piece.trim_ascii_start().starts_with(b"#");
            let goes_on = !is_comment && end.is_some() && ends_in_escape(piece);
            line.text.extend_from_slice(if goes_on { &piece[..piece.len() - 1] } else { piece });
            if line.text.len() > MAX_LINE {
                let reason = format!("it is longer than {MAX_LINE} bytes");
                return Err(Flaw { line: *number, column: MAX_LINE, reason });
            }
            if !goes_on {
                return Ok(line);
            }
        }
    }

    /// The words, each with its column.
    fn words(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut at = 0;
        self.text.split(u8::is_ascii_whitespace).filter_map(move |word| {
            let column = at + 1;
            at += word.len() + 1;
            (!word.is_empty()).then_some((column, word))
        })
    }
}

/// Whether a line ends in a `\` that is not itself escaped.
fn ends_in_escape(line: &[u8]) -> bool {
    line.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[derive(Default)]
struct Reader {
    entries: Vec<Entry>,
    places: HashMap<Vec<u8>, usize>,
    /// Words that `/set` gave.
    defaults: Vec<Vec<u8>>,
    /// The folder in which names without a slash lie, and how long it was before each step into it.
    folder: Vec<u8>,
    steps: Vec<usize>,
    line: u32,
}

impl Reader {
    fn take(&mut self, line: &Line) -> Result<(), Flaw> {
        let mut words = line.words();
        match words.next() {
            None => Ok(()),
            Some((_, word)) if word.starts_with(b"#") => Ok(()),
            Some((_, b"/set")) => self.set(words),
            Some((_, b"/unset")) => {
                self.unset(words);
                Ok(())
            }
            Some((column, b"..")) => {
                let len = self.steps.pop().ok_or_else(|| self.flaw(column, ".. leads out of the tree"))?;
                self.folder.truncate(len);
                Ok(())
            }
            Some((column, word)) => {
                let (path, relative) =
                    self.path(word).map_err(|rule| self.flaw(column, Flaw::word(word, rule)))?;
                let place = self.name(column, path, words)?;
                let entry = &self.entries[place];
                if relative && entry.kind == Some(Type::Dir) {
                    self.steps.push(self.folder.len());
                    self.folder.clone_from(&entry.path);
                }
                Ok(())
            }
        }
    }

    fn set<'w>(&mut self, words: impl Iterator<Item = (usize, &'w [u8])>) -> Result<(), Flaw> {
        for (column, word) in words {
            Said::default().take(word).map_err(|reason| self.flaw(column, reason))?;
            self.forget(keyword::split(word).0);
            self.defaults.push(word.to_vec());
        }
        Ok(())
    }

    fn unset<'w>(&mut self, words: impl Iterator<Item = (usize, &'w [u8])>) {
        for (_, word) in words {
            if word == b"all" {
                self.defaults.clear();
            }
            self.forget(word);
        }
    }

    fn forget(&mut self, keyword: &[u8]) {
        self.defaults.retain(|word| keyword::split(word).0 != keyword);
    }

    /// The path that a word names, and whether it is one in the folder at hand.
    fn path(&self, word: &[u8]) -> Result<(Vec<u8>, bool), &'static str> {
        if word.starts_with(b"/") {
            return Err("begins with a slash; paths begin at the top of the tree, as in ./etc/motd");
        }
        let relative = !word.contains(&b'/');
        let name = escape::read(word)?;
        if relative && name.contains(&b'/') {
            return Err("hides a slash in a name");
        }
        let mut path = if relative { self.folder.clone() } else { Vec::new() };
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err("leads out of its folder by .."),
                part => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(part);
                }
            }
        }
        Ok((path, relative))
    }

    /// Takes what is said of a path, and tells where it lies among the entries.
    fn name<'w>(
        &mut self,
        column: usize,
        path: Vec<u8>,
        words: impl Iterator<Item = (usize, &'w [u8])>,
    ) -> Result<usize, Flaw> {
        let known = self.places.get(&path).copied();
        let mut said = match known {
            Some(place) => Said::of(self.entries[place].clone()),
            None => self.first(path).map_err(|reason| self.flaw(column, reason))?,
        };
        let before = said.entry.kind;
        for (column, word) in words {
            said.take(word).map_err(|reason| self.flaw(column, reason))?;
        }
        let entry = said.finish().map_err(|reason| self.flaw(column, reason))?;
        let Some(place) = known else {
            self.places.insert(entry.path.clone(), self.entries.len());
            self.entries.push(entry);
            return Ok(self.entries.len() - 1);
        };
        if before.is_some() && before != entry.kind {
            let reason = format!("it has another type than in line {}", entry.line);
            return Err(self.flaw(column, reason));
        }
        self.entries[place] = entry;
        Ok(place)
    }

    /// What is said of a path that was not named before: what `/set` gave.
    fn first(&self, path: Vec<u8>) -> Result<Said, String> {
        if self.entries.len() >= MAX_ENTRIES {
            return Err(format!("there are more than {MAX_ENTRIES} paths"));
        }
        let mut said = Said::of(Entry { path, line: self.line, ..Entry::default() });
        self.defaults.iter().try_for_each(|word| said.take(word))?;
        Ok(said)
    }

    fn flaw(&self, column: usize, reason: impl Into<String>) -> Flaw {
        Flaw { line: self.line, column, reason: reason.into() }
    }
}
