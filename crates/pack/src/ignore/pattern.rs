//! One pattern of a path.
//!
//! It is matched piece by piece against all places of the path at once, so that no pattern takes longer than its length
//! times that of the path.

/// A pattern of whole paths.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
    /// Whether it is a path and nothing else.
    plain: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// `?`
    One,
    /// `*`
    Star,
    /// `**` at the end: anything.
    Rest,
    /// `**` before something else: any number of folders.
    Folders,
    /// `[…]`, which may be a slash.
    Class { not: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// Says what is wrong with a text that is none.
    pub(super) fn new(text: &[u8]) -> Result<Self, &'static str> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(piece) = take_piece(&mut rest)? {
            match (pieces.last_mut(), piece) {
                (Some(Piece::Bytes(before)), Piece::Bytes(bytes)) => before.extend_from_slice(&bytes),
                (_, piece) => pieces.push(piece),
            }
        }
        // As moby has it: `**x` is whatever ends in x.
        if let [Piece::Folders, Piece::Bytes(_)] = &pieces[..]
            && !text.starts_with(b"**/")
        {
            pieces[0] = Piece::Rest;
        }
        let plain = pieces.iter().all(|piece| matches!(piece, Piece::Bytes(_)));
        Ok(Self { pieces, plain })
    }

    /// Whether it matches a path or a folder that leads to it.
    pub(super) fn matches_or_leads(&self, path: &[u8]) -> bool {
        if let [Piece::Bytes(bytes)] = &self.pieces[..] {
            return path.strip_prefix(&**bytes).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
        }
        let ends = self.ends(path);
        (1..=path.len()).any(|end| ends[end] && (end == path.len() || path[end] == b'/'))
    }

    /// Whether it may match something beneath a folder: only a plain path certainly does not.
    pub(super) fn may_lie_beneath(&self, folder: &[u8]) -> bool {
        let plain = if self.plain { self.pieces.first() } else { None };
        match plain {
            Some(Piece::Bytes(path)) => {
                path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
            }
            _ => true,
        }
    }

    /// The places in a path up to which all of the pattern matches.
    fn ends(&self, path: &[u8]) -> Vec<bool> {
        let mut places = vec![false; path.len() + 1];
        places[0] = true;
        for piece in &self.pieces {
            places = piece.step(&places, path);
        }
        places
    }
}

impl Piece {
    /// The places that one more piece leads to.
    fn step(&self, from: &[bool], path: &[u8]) -> Vec<bool> {
        let mut to = vec![false; from.len()];
        let mut inside = false;
        for place in 0..from.len() {
            match self {
                Self::Bytes(bytes) if from[place] && path[place..].starts_with(bytes) => {
                    to[place + bytes.len()] = true;
                }
                Self::One | Self::Class { .. } if from[place] => {
                    if let Some((char, len)) = char_at(&path[place..])
                        && self.takes(char)
                    {
                        to[place + len] = true;
                    }
                }
                Self::Star => {
                    inside = from[place] || inside && path[place - 1] != b'/';
                    to[place] = inside;
                }
                Self::Rest => {
                    inside |= from[place];
                    to[place] = inside;
                }
                Self::Folders => {
                    to[place] = from[place] || inside && path[place - 1] == b'/';
                    inside |= from[place];
                }
                _ => {}
            }
        }
        to
    }

    fn takes(&self, char: Option<char>) -> bool {
        match self {
            Self::Class { not, ranges } => {
                let within = |char| ranges.iter().any(|(first, last)| (*first..=*last).contains(&char));
                char.is_some_and(within) != *not
            }
            _ => char != Some('/'),
        }
    }
}

/// The character that a path goes on with, and its length; a byte that is none stands for itself.
fn char_at(path: &[u8]) -> Option<(Option<char>, usize)> {
    let start = &path[..path.len().min(4)];
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(char) => Some((Some(char), char.len_utf8())),
        None => (!path.is_empty()).then_some((None, 1)),
    }
}

fn take_piece(rest: &mut &[u8]) -> Result<Option<Piece>, &'static str> {
    let Some((first, after)) = rest.split_first() else { return Ok(None) };
    *rest = after;
    Ok(Some(match first {
        b'?' => Piece::One,
        b'*' => match after.strip_prefix(b"*") {
            None => Piece::Star,
            Some(after) => {
                *rest = after.strip_prefix(b"/").unwrap_or(after);
                if rest.is_empty() { Piece::Rest } else { Piece::Folders }
            }
        },
        b'[' => class(rest)?,
        b'\\' => {
            let (escaped, after) = after.split_first().ok_or("it ends in a \\ that escapes nothing")?;
            *rest = after;
            Piece::Bytes(vec![*escaped])
        }
        plain => Piece::Bytes(vec![*plain]),
    }))
}

/// What follows a `[`, up to its `]`.
fn class(rest: &mut &[u8]) -> Result<Piece, &'static str> {
    let not = rest.first() == Some(&b'^');
    if not {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if rest.first() == Some(&b']') && !ranges.is_empty() {
            *rest = &rest[1..];
            return Ok(Piece::Class { not, ranges });
        }
        let first = class_char(rest)?;
        let mut last = first;
        if let Some(after) = rest.strip_prefix(b"-") {
            *rest = after;
            last = class_char(rest)?;
        }
        if last < first {
            return Err("a range in [ ] ends before it begins");
        }
        ranges.push((first, last));
    }
}

fn class_char(rest: &mut &[u8]) -> Result<char, &'static str> {
    const BAD: &str = "a [ needs characters or ranges and a ] behind them; \\[ is a bracket";
    if let Some(after) = rest.strip_prefix(b"\\") {
        *rest = after;
    } else if matches!(rest.first(), Some(b']' | b'-')) {
        return Err(BAD);
    }
    let (char, len) = char_at(rest).ok_or(BAD)?;
    *rest = &rest[len..];
    char.ok_or(BAD)
}
