//! The sections of a binary of WebAssembly: as much of them as tells what it imports and exports.
//!
//! Read as it streams by; sections that do not matter are passed over by their sizes, which must fit. Names are taken
//! from components only, whose imports and exports they describe; those of a module are counted.

use std::io::{self, BufRead, Read};

/// The largest section that is looked into, in bytes.
const SECTION: u64 = 8 << 20;

/// What is known of a binary.
#[derive(Debug, Default)]
pub(super) struct Binary {
    is_component: bool,
    pub(super) imports: Names,
    pub(super) exports: Names,
}

/// Imports or exports.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) count: u64,
    /// Their names; none of a module's.
    pub(super) names: Vec<String>,
}

/// Why something is no binary of WebAssembly.
#[derive(Debug)]
pub(super) enum Flaw {
    Read(io::Error),
    Invalid(String),
}

impl From<&str> for Flaw {
    fn from(reason: &str) -> Self {
        Self::Invalid(reason.to_owned())
    }
}

impl Binary {
    pub(super) fn is_component(&self) -> bool {
        self.is_component
    }

    /// Reads all of it.
    pub(super) fn read(mut source: impl BufRead) -> Result<Self, Flaw> {
        let mut head = Vec::new();
        (&mut source).take(8).read_to_end(&mut head).map_err(Flaw::Read)?;
        if !head.starts_with(b"\0asm") {
            return Err("it does not begin with the magic of WebAssembly".into());
        }
        let (import, export) = match head.get(4..8) {
            Some([1, 0, 0, 0]) => (2, 7),
            Some([0x0d, 0, 1, 0]) => (10, 11),
            Some(other) => {
                return Err(Flaw::Invalid(format!("it is of a version that is not known: {other:02x?}")));
            }
            None => return Err(CUT.into()),
        };
        let mut binary = Self { is_component: import == 10, ..Self::default() };
        while let Some(section) = Section::next(&mut source)? {
            let names = match section.id {
                id if id == import => &mut binary.imports,
                id if id == export => &mut binary.exports,
                _ => {
                    section.pass(&mut source)?;
                    continue;
                }
            };
            let bytes = section.content(&mut source)?;
            let mut rest = Bytes(&bytes);
            let count = rest.number()?;
            names.count += count;
            if binary.is_component {
                for _ in 0..count {
                    names.names.push(rest.component_item(section.id == import)?);
                }
            }
        }
        Ok(binary)
    }
}

const CUT: &str = "it ends in the middle of a section";

struct Section {
    id: u8,
    size: u64,
}

impl Section {
    /// The head of the next section; nothing at the end.
    fn next(source: &mut impl BufRead) -> Result<Option<Self>, Flaw> {
        let mut id = [0];
        if source.read(&mut id).map_err(Flaw::Read)? == 0 {
            return Ok(None);
        }
        let (mut size, mut shift) = (0_u64, 0);
        loop {
            let mut byte = [0];
            if source.read(&mut byte).map_err(Flaw::Read)? == 0 {
                return Err(CUT.into());
            }
            size |= u64::from(byte[0] & 0x7f) << shift;
            match byte[0] & 0x80 {
                0 => return Ok(Some(Self { id: id[0], size })),
                _ if shift >= 28 => return Err("the size of a section is no number of 32 bits".into()),
                _ => shift += 7,
            }
        }
    }

    fn pass(&self, source: &mut impl BufRead) -> Result<(), Flaw> {
        let passed = io::copy(&mut source.take(self.size), &mut io::sink()).map_err(Flaw::Read)?;
        if passed == self.size { Ok(()) } else { Err(CUT.into()) }
    }

    fn content(&self, source: &mut impl BufRead) -> Result<Vec<u8>, Flaw> {
        if self.size > SECTION {
            let reason = format!("its imports or exports take more than {SECTION} bytes");
            return Err(Flaw::Invalid(reason));
        }
        let mut bytes = Vec::new();
        source.take(self.size).read_to_end(&mut bytes).map_err(Flaw::Read)?;
        if bytes.len() as u64 == self.size { Ok(bytes) } else { Err(CUT.into()) }
    }
}

/// What is left of a section.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Result<u8, Flaw> {
        let (first, rest) = self.0.split_first().ok_or("a section ends in the middle of an item")?;
        self.0 = rest;
        Ok(*first)
    }

    /// An unsigned number of at most 32 bits, in LEB128; of a signed one at least its bytes.
    fn number(&mut self) -> Result<u64, Flaw> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number has more than 32 bits".into())
    }

    fn name(&mut self) -> Result<String, Flaw> {
        let size = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let (name, rest) = self.0.split_at_checked(size).ok_or("a name is longer than its section")?;
        self.0 = rest;
        Ok(std::str::from_utf8(name).map_err(|_| "a name is not UTF-8")?.to_owned())
    }

    /// One import or export of a component, by its name.
    fn component_item(&mut self, is_import: bool) -> Result<String, Flaw> {
        let form = self.byte()?;
        let name = self.name()?;
        match form {
            0 | 1 => {}
            // A version may follow, apart from the name.
            2 => drop(self.name()?),
            _ => return Err("an import or an export has a name of a form that is not known".into()),
        }
        if is_import {
            self.description()?;
            return Ok(name);
        }
        if self.byte()? == 0 {
            // A sort of core WebAssembly.
            self.byte()?;
        }
        self.number()?;
        if self.byte()? == 1 {
            self.description()?;
        }
        Ok(name)
    }

    /// Passes over what an import or an export is.
    fn description(&mut self) -> Result<(), Flaw> {
        match self.byte()? {
            0 => {
                self.byte()?;
                self.number()?;
            }
            // A value that is another, or is of a type.
            2 => {
                self.byte()?;
                self.number()?;
            }
            // A type that is another, or is a resource of its own.
            3 => {
                if self.byte()? == 0 {
                    self.number()?;
                }
            }
            1 | 4 | 5 => drop(self.number()?),
            _ => return Err("an import or an export is of a sort that is not known".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Binary, String> {
        Binary::read(bytes).map_err(|flaw| match flaw {
            Flaw::Invalid(reason) => reason,
            Flaw::Read(error) => error.to_string(),
        })
    }

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn imports_and_exports_of_a_module_are_counted() {
        // (import "e" "f" (func 0)) (import "e" "g" (func 0)) (export "h" (func 0))
        let binary = [MODULE, b"\x02\x0d\x02\x01e\x01f\0\0\x01e\x01g\0\0", b"\x07\x05\x01\x01h\0\0"].concat();
        let binary = read(&binary).unwrap();
        assert!(!binary.is_component());
        assert_eq!((binary.imports.count, binary.exports.count), (2, 1));
    }

    #[test]
    fn imports_and_exports_of_a_component_are_named_whatever_their_sort() {
        let imports = b"\x0a\x27\x06\0\x01a\x05\0\0\x01b\x01\x07\0\x01c\x03\0\x02\0\x01d\x03\x01\x01\x01e\x00\x11\x03\x02\x01f\x051.2.3\x04\x80\x01";
        let exports = b"\x0b\x0f\x02\0\x01x\x05\x01\x00\0\x01y\x00\x11\x02\x01\x05\x03";
        let mut binary = [COMPONENT, imports, exports].concat();
        binary[9] = u8::try_from(imports.len() - 2).unwrap();
        binary[8 + imports.len() + 1] = u8::try_from(exports.len() - 2).unwrap();
        let found = read(&binary).unwrap();
        assert!(found.is_component());
        assert_eq!(found.imports.names, ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(found.exports.names, ["x", "y"]);
    }

    #[test]
    fn what_is_no_whole_binary_is_refused_with_the_reason() {
        for (bytes, words) in [
            (b"".to_vec(), "magic"),
            (b"\x7fELF".to_vec(), "magic"),
            (b"\0asm\x01".to_vec(), "middle"),
            (b"\0asm\x02\0\0\0".to_vec(), "version"),
            ([MODULE, b"\x01"].concat(), "middle"),
            ([MODULE, b"\x01\x05abc"].concat(), "middle"),
            ([MODULE, b"\x02\xff\xff\xff\xff\xff\x01"].concat(), "32 bits"),
            ([MODULE, b"\x02\xff\xff\xff\xff\x0f"].concat(), "more than"),
            ([COMPONENT, b"\x0a\x03\x01\0\x09"].concat(), "longer"),
            ([COMPONENT, b"\x0a\x01\x01"].concat(), "item"),
            ([COMPONENT, b"\x0a\x05\x01\0\x01\xff\x05"].concat(), "UTF-8"),
            ([COMPONENT, b"\x0a\x06\x01\x07\x01a\x05\0"].concat(), "form"),
            ([COMPONENT, b"\x0a\x06\x01\0\x01a\x09\0"].concat(), "sort"),
        ] {
            let reason = read(&bytes).unwrap_err();
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }
}
