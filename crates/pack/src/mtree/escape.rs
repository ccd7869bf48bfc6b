//! Names as words of plain ASCII, in the manner of vis(3).

/// Adds a text as a word. Whatever is not a plain character, or means something to some reader (globs too), is a `\` with
/// three octal digits, which all readers know.
pub(super) fn write(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'\\' | b'#' | b'=' | b'*' | b'?' | b'[' | b']' | b'"' => octal(*byte, out),
            0x21..=0x7e => out.push(*byte),
            _ => octal(*byte, out),
        }
    }
}

fn octal(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]);
}

/// Reads a word: octal digits, the escapes of C, `\s` for a space, and `\^x`, `\M-x` and `\M^x` for control and high bytes.
///
/// Says what is wrong with it otherwise; NUL is in no name.
pub(super) fn read(word: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut text = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let (byte, len) = if *first == b'\\' { unescape(after)? } else { (*first, 0) };
        if byte == 0 {
            return Err("holds a NUL, which no name can");
        }
        text.push(byte);
        rest = &after[len..];
    }
    Ok(text)
}

/// The byte that what follows a `\` stands for, and how long that is.
fn unescape(after: &[u8]) -> Result<(u8, usize), &'static str> {
    Ok(match after {
        [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
            ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 3)
        }
        [b'a', ..] => (0x07, 1),
        [b'b', ..] => (0x08, 1),
        [b't', ..] => (b'\t', 1),
        [b'n', ..] => (b'\n', 1),
        [b'v', ..] => (0x0b, 1),
        [b'f', ..] => (0x0c, 1),
        [b'r', ..] => (b'\r', 1),
        [b's', ..] => (b' ', 1),
        [b'M', b'-', low, ..] => (low | 0x80, 3),
        [b'M', b'^', low, ..] => (control(*low) | 0x80, 3),
        [b'^', low, ..] => (control(*low), 2),
        [plain, ..] if plain.is_ascii_punctuation() => (*plain, 1),
        _ => return Err("holds an escape that is not known; write \\ and three octal digits"),
    })
}

fn control(letter: u8) -> u8 {
    if letter == b'?' { 0x7f } else { letter & 0x1f }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_escape_is_read() {
        for (word, text) in [
            ("plain", Some(&b"plain"[..])),
            (r"a\040b", Some(b"a b")),
            (r"a\sb\tc\nd", Some(b"a b\tc\nd")),
            (r"gr\303\274n", Some("grün".as_bytes())),
            ("grün", Some("grün".as_bytes())),
            (r"\377\376", Some(b"\xff\xfe")),
            (r"\\\#\=\*", Some(b"\\#=*")),
            (r"\^A\^?\M-i\M^A", Some(b"\x01\x7f\xe9\x81")),
            (r"\a\b\v\f\r", Some(b"\x07\x08\x0b\x0c\r")),
            ("[slug].js", Some(b"[slug].js")),
            (r"\000", None),
            (r"\^@", None),
            (r"\400", None),
            (r"\40", None),
            (r"\x41", None),
            ("\\", None),
        ] {
            assert_eq!(read(word.as_bytes()).ok().as_deref(), text, "{word}");
        }
    }

    #[test]
    fn every_byte_comes_back_and_words_are_plain() {
        let all: Vec<u8> = (1..=255).collect();
        let mut word = Vec::new();
        write(&all, &mut word);
        assert!(word.iter().all(u8::is_ascii_graphic));
        assert_eq!(read(&word).unwrap(), all);
    }
}
