//! An input of several parts: texts between lines that hold `%%` alone.

const BETWEEN: &[u8] = b"\n%%\n";

/// The first parts of an input; empty ones where it has fewer. The last takes the rest.
pub(crate) fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut rest = Some(bytes);
    std::array::from_fn(|number| {
        let Some(text) = rest.take() else { return &bytes[..0] };
        match text.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
            Some(at) if number + 1 < N => {
                rest = Some(&text[at + BETWEEN.len()..]);
                &text[..at]
            }
            _ => text,
        }
    })
}

/// All parts of an input, at most so many.
pub(crate) fn all_parts(bytes: &[u8], most: usize) -> Vec<&[u8]> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while all.len() < most {
        let [first, after] = parts::<2>(rest);
        all.push(first);
        if first.len() == rest.len() {
            break;
        }
        rest = after;
    }
    all
}
