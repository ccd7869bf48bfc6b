//! JSON as the specification allows it, checked and taken apart without changing a byte (IMG-105, IMG-109).
//!
//! [`validate`] accepts exactly: UTF-8 without a byte order mark, one value, nothing after it but white space, no
//! member name twice in one object, no lone surrogate, at most [`MAX_DEPTH`] levels and [`MAX_MEMBERS`] members an
//! object. [`members`] and [`elements`] give
//! the byte ranges of the parts of a value, which is what an editor needs that must leave every other byte alone.
//!
//! Memory: the names of the objects being read, borrowed from the input. Time: linear, but for sorting the names of
//! each object.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use crate::Error;

/// The deepest nesting accepted.
pub const MAX_DEPTH: usize = 64;
/// The most members of one object (case D18).
pub const MAX_MEMBERS: usize = 1 << 16;
/// The most elements that [`outline`] tells of one array: twice the descriptors that fit into the largest `index.json`,
/// and far less than the numbers that would.
pub const MAX_ELEMENTS: usize = 4_000_000;

/// Checks that `bytes` are one well-formed JSON value by the rules above.
///
/// # Errors
/// [`Error::Json`] with the offset of the first fault, [`Error::Limit`] when it nests too deeply or an object has too many
/// members.
///
/// ```
/// use transship_spec::json;
/// assert!(json::validate(br#"{"a": [1, 2]}"#).is_ok());
/// assert!(json::validate(br#"{"a": 1, "a": 2}"#).is_err());
/// ```
pub fn validate(bytes: &[u8]) -> Result<(), Error> {
    let mut scanner = Scanner::new(bytes, 0)?;
    scanner.space();
    scanner.value(0)?;
    scanner.space();
    if scanner.at == bytes.len() { Ok(()) } else { Err(scanner.fault("text after the value")) }
}

/// One member of an object, by where its parts lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name, unescaped.
    pub name: String,
    /// From the opening quote of the name to the end of the value.
    pub range: Range<usize>,
    /// The value alone.
    pub value: Range<usize>,
}

/// The members of the object that lies at `range` of `bytes`, in the order written.
///
/// # Errors
/// [`Error::Json`] when there is no object.
pub fn members(bytes: &[u8], range: Range<usize>) -> Result<Vec<Member>, Error> {
    let mut scanner = Scanner::new(bytes.get(..range.end).unwrap_or(bytes), range.start)?;
    let mut members = Vec::new();
    scanner.space();
    scanner.expect(b'{', "no object")?;
    scanner.sequence(b'}', |scanner| {
        let start = scanner.at;
        let name = scanner.string()?.into_owned();
        scanner.space();
        scanner.expect(b':', "no colon after a name")?;
        scanner.space();
        let value = scanner.at;
        scanner.value(1)?;
        members.push(Member {
            name: String::from_utf8_lossy(&name).into_owned(),
            range: start..scanner.at,
            value: value..scanner.at,
        });
        Ok(())
    })?;
    Ok(members)
}

/// The byte ranges of the elements of the array that lies at `range` of `bytes`.
///
/// # Errors
/// [`Error::Json`] when there is no array.
pub fn elements(bytes: &[u8], range: Range<usize>) -> Result<Vec<Range<usize>>, Error> {
    let mut scanner = Scanner::new(bytes.get(..range.end).unwrap_or(bytes), range.start)?;
    let mut elements = Vec::new();
    scanner.space();
    scanner.expect(b'[', "no array")?;
    scanner.sequence(b']', |scanner| {
        let start = scanner.at;
        scanner.value(1)?;
        elements.push(start..scanner.at);
        Ok(())
    })?;
    Ok(elements)
}

/// A member of the outermost object, with the elements of its value where that is an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlined {
    /// The member.
    pub member: Member,
    /// The byte ranges of the elements.
    pub elements: Option<Vec<Range<usize>>>,
}

/// All that [`validate`], [`members`] and [`elements`] tell of an object, in one pass: for documents of many megabytes.
///
/// # Errors
/// As [`validate`], [`Error::Json`] when the value is no object, and [`Error::Limit`] beyond [`MAX_ELEMENTS`].
///
/// ```
/// use transship_spec::json;
/// let outline = json::outline(br#"{"a": [1, 22], "b": 3}"#)?;
/// assert_eq!(outline[0].elements, Some(vec![7..8, 10..12]));
/// assert_eq!(outline[1].member.name, "b");
/// # Ok::<(), transship_spec::Error>(())
/// ```
pub fn outline(bytes: &[u8]) -> Result<Vec<Outlined>, Error> {
    let mut scanner = Scanner::new(bytes, 0)?;
    let mut outline: Vec<Outlined> = Vec::new();
    let mut names = HashSet::new();
    scanner.space();
    scanner.expect(b'{', "no object")?;
    scanner.sequence(b'}', |scanner| {
        let start = scanner.at;
        let name = scanner.string()?.into_owned();
        let name = String::from_utf8_lossy(&name).into_owned();
        if !names.insert(name.clone()) {
            return Err(scanner.fault("an object that has one name twice"));
        }
        at_most(names.len(), MAX_MEMBERS, "the number of members of a JSON object")?;
        scanner.space();
        scanner.expect(b':', "no colon after a name")?;
        scanner.space();
        let value = scanner.at;
        let elements = match scanner.peek() {
            Some(b'[') => Some(scanner.array_elements()?),
            _ => scanner.value(1).map(|()| None)?,
        };
        let member = Member { name, range: start..scanner.at, value: value..scanner.at };
        outline.push(Outlined { member, elements });
        Ok(())
    })?;
    scanner.space();
    if scanner.at == bytes.len() { Ok(outline) } else { Err(scanner.fault("text after the value")) }
}

fn at_most(count: usize, limit: usize, what: &'static str) -> Result<(), Error> {
    if count <= limit { Ok(()) } else { Err(Error::Limit { what, limit: limit as u64 }) }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    names: Vec<Cow<'a, [u8]>>,
}

impl<'a> Scanner<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Result<Self, Error> {
        let reason = |reason, offset| Error::Json { offset, reason };
        if let Err(error) = std::str::from_utf8(bytes) {
            return Err(reason("not UTF-8", error.valid_up_to()));
        }
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            return Err(reason("it begins with a byte order mark", 0));
        }
        Ok(Self { bytes, at, names: Vec::new() })
    }

    fn fault(&self, reason: &'static str) -> Error {
        Error::Json { offset: self.at, reason }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<(), Error> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.fault(if self.peek().is_none() { "it ends early" } else { otherwise }))
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Error> {
        if depth >= MAX_DEPTH {
            return Err(Error::Limit { what: "JSON nesting", limit: MAX_DEPTH as u64 });
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.fault("no value")),
            None => Err(self.fault("it ends early")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Error> {
        self.at += 1;
        let first = self.names.len();
        self.sequence(b'}', |scanner| {
            if scanner.peek() != Some(b'"') {
                return Err(scanner.fault("no name in quotes"));
            }
            let name = scanner.string()?;
            scanner.names.push(name);
            let count = scanner.names.len() - first;
            at_most(count, MAX_MEMBERS, "the number of members of a JSON object")?;
            scanner.space();
            scanner.expect(b':', "no colon after a name")?;
            scanner.space();
            scanner.value(depth + 1)
        })?;
        self.names[first..].sort_unstable();
        let twice = self.names[first..].windows(2).any(|pair| pair[0] == pair[1]);
        self.names.truncate(first);
        if twice { Err(self.fault("an object that ends here has one name twice")) } else { Ok(()) }
    }

    fn array(&mut self, depth: usize) -> Result<(), Error> {
        self.at += 1;
        self.sequence(b']', |scanner| scanner.value(depth + 1))
    }

    /// The ranges of the elements of an array at the second level.
    fn array_elements(&mut self) -> Result<Vec<Range<usize>>, Error> {
        self.at += 1;
        let mut elements = Vec::new();
        self.sequence(b']', |scanner| {
            let start = scanner.at;
            scanner.value(2)?;
            elements.push(start..scanner.at);
            at_most(elements.len(), MAX_ELEMENTS, "the number of elements of a JSON array")?;
            Ok(())
        })?;
        Ok(elements)
    }

    /// Items between commas, up to and with `close`.
    fn sequence(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            item(self)?;
            self.space();
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(());
            }
            self.expect(b',', "no comma between items")?;
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Error> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault("no value"))
        }
    }

    fn number(&mut self) -> Result<(), Error> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("a number without digits")) } else { Ok(()) }
    }

    /// The string at the cursor, unescaped; borrowed when it has no escapes.
    fn string(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        self.expect(b'"', "no string")?;
        let start = self.at;
        let mut owned: Option<Vec<u8>> = None;
        loop {
            match self.peek() {
                None => return Err(self.fault("a string without end")),
                Some(b'"') => break,
                Some(b'\\') => {
                    let text = owned.get_or_insert_with(|| self.bytes[start..self.at].to_vec());
                    let mut buffer = [0; 4];
                    self.at += 1;
                    let character = Self::escape(self.bytes, &mut self.at)?;
                    text.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                }
                Some(0..=0x1f) => return Err(self.fault("a control character in a string")),
                Some(byte) => {
                    self.at += 1;
                    if let Some(text) = &mut owned {
                        text.push(byte);
                    }
                }
            }
        }
        let text = owned.map_or(Cow::Borrowed(&self.bytes[start..self.at]), Cow::Owned);
        self.at += 1;
        Ok(text)
    }

    fn escape(bytes: &[u8], at: &mut usize) -> Result<char, Error> {
        let fault = |offset, reason| Error::Json { offset, reason };
        let byte = bytes.get(*at).copied();
        *at += 1;
        Ok(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = Self::hex4(bytes, at)?;
                let mut units = vec![high];
                if (0xd800..0xdc00).contains(&high) && bytes.get(*at..*at + 2) == Some(b"\\u") {
                    *at += 2;
                    units.push(Self::hex4(bytes, at)?);
                }
                let mut decoded = char::decode_utf16(units);
                match (decoded.next(), decoded.next()) {
                    (Some(Ok(character)), None) => character,
                    _ => return Err(fault(*at, "a lone surrogate in a string")),
                }
            }
            _ => return Err(fault(*at, "an unknown escape in a string")),
        })
    }

    fn hex4(bytes: &[u8], at: &mut usize) -> Result<u16, Error> {
        let fault = Error::Json { offset: *at, reason: "an escape without four hexadecimal digits" };
        let digits = bytes.get(*at..*at + 4).ok_or(fault.clone())?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(fault);
        }
        *at += 4;
        let digits = std::str::from_utf8(digits).map_err(|_| fault.clone())?;
        u16::from_str_radix(digits, 16).map_err(|_| fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_105_well_formed_values_are_accepted() {
        for good in [
            "{}",
            " [] ",
            "0",
            "-0.5e+10",
            "\"a\\u00e9\\ud83d\\ude00\\n\"",
            "true",
            "null",
            "{\"a\":{\"a\":1},\"b\":[{\"a\":2}]}\n",
        ] {
            validate(good.as_bytes()).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
    }

    #[test]
    fn img_105_malformed_values_are_refused() {
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            "-",
            "+1",
            ".5",
            "1e",
            "NaN",
            "tru",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"a\nb\"",
            "\"a",
            "{} x",
            "{}{}",
            "{\"a\" 1}",
            "\u{feff}{}",
            "'a'",
            "{\"a\":1 \"b\":2}",
        ] {
            assert!(validate(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(validate(b"\"\xff\"").is_err());
    }

    #[test]
    fn img_105_a_name_twice_is_refused_also_when_it_is_escaped() {
        assert!(validate(br#"{"digest":1,"x":2,"digest":3}"#).is_err());
        assert!(validate(br#"{"digest":1,"\u0064igest":3}"#).is_err());
        assert!(validate(br#"{"a":{"b":1},"c":{"b":1}}"#).is_ok());
    }

    #[test]
    fn case_l11_deep_nesting_is_a_limit_and_no_stack_overflow() {
        let deep = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
        assert!(validate(&deep(MAX_DEPTH)).is_ok());
        assert!(matches!(validate(&deep(MAX_DEPTH + 1)), Err(Error::Limit { .. })));
        assert!(matches!(validate(&deep(200_000)), Err(Error::Limit { .. })));
    }

    #[test]
    fn case_d18_members_and_elements_are_counted() {
        let object = |count: usize| {
            let members: Vec<_> = (0..count).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        let (most, more) = (object(MAX_MEMBERS), object(MAX_MEMBERS + 1));
        assert!(validate(most.as_bytes()).is_ok() && outline(most.as_bytes()).is_ok());
        assert!(matches!(validate(more.as_bytes()), Err(Error::Limit { .. })));
        assert!(matches!(outline(more.as_bytes()), Err(Error::Limit { .. })));
        let array = format!("{{\"a\":[0{}]}}", ",0".repeat(MAX_ELEMENTS));
        assert!(matches!(outline(array.as_bytes()), Err(Error::Limit { .. })));
    }

    #[test]
    fn ranges_point_at_the_very_bytes() {
        let text = br#" { "a" : [ 1 , {"b": 2} ] , "c\n": null } "#;
        let members = members(text, 0..text.len()).unwrap();
        assert_eq!(members.iter().map(|m| &*m.name).collect::<Vec<_>>(), ["a", "c\n"]);
        assert_eq!(&text[members[1].range.clone()], br#""c\n": null"#);
        let elements = elements(text, members[0].value.clone()).unwrap();
        let slices: Vec<_> = elements.into_iter().map(|range| &text[range]).collect();
        assert_eq!(slices, [&b"1"[..], br#"{"b": 2}"#]);
    }

    #[test]
    fn an_outline_is_what_the_others_tell_and_refuses_what_they_refuse() {
        let text = br#" { "a" : [ 1 , {"b": [2]} ] , "c\n": null, "d":[] } "#;
        let outline = outline(text).unwrap();
        let members = members(text, 0..text.len()).unwrap();
        assert_eq!(outline.iter().map(|o| o.member.clone()).collect::<Vec<_>>(), members);
        assert_eq!(outline[0].elements, Some(elements(text, members[0].value.clone()).unwrap()));
        assert_eq!((&outline[1].elements, &outline[2].elements), (&None, &Some(vec![])));
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        for bad in [
            "",
            "[]",
            "{",
            "{} x",
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            "\u{feff}{}",
            &deep(MAX_DEPTH),
        ] {
            assert!(super::outline(bad.as_bytes()).is_err(), "{bad}");
            assert!(bad == "[]" || validate(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(super::outline(deep(MAX_DEPTH - 1).as_bytes()).is_ok());
    }
}
