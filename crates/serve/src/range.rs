//! One range of a blob (DIST-21, RFC 9110 section 14).

use std::ops::Range;

/// What part of a blob is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it: no range, several ranges, or a unit that nobody knows.
    Whole,
    /// These bytes.
    Bytes(Range<u64>),
    /// None that the blob has.
    Unsatisfiable,
}

/// Reads a `Range` header for a blob of so many bytes.
///
/// What is no range at all is passed over, as RFC 9110 allows; one that ends before it starts is refused, since whoever
/// sends it would take the whole for a part. Several ranges get the whole: nobody who pulls images asks for them.
pub(crate) fn part(header: &str, size: u64) -> Part {
    let Some(("bytes", spec)) = header.split_once('=') else { return Part::Whole };
    let spec = spec.trim();
    if spec.contains(',') {
        return Part::Whole;
    }
    let Some((first, last)) = spec.split_once('-') else { return Part::Whole };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Part::Unsatisfiable,
        (Some(first), Some(last)) => within(first, last.saturating_add(1).min(size), size),
        (Some(first), None) if last.is_empty() => within(first, size, size),
        (None, Some(last)) if first.is_empty() && last == 0 => Part::Unsatisfiable,
        (None, Some(last)) if first.is_empty() => within(size.saturating_sub(last), size, size),
        _ => Part::Whole,
    }
}

fn within(start: u64, end: u64, size: u64) -> Part {
    if start < size { Part::Bytes(start..end) } else { Part::Unsatisfiable }
}

/// Digits as a number; more of them than fit are the largest one.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Reads the `Content-Range` of a chunk: `START-END`, both inclusive (DIST-41).
pub(crate) fn chunk(header: &str) -> Option<Range<u64>> {
    let (first, last) = header.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last && last < u64::MAX).then(|| first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_21_the_six_cases() {
        for (header, expected) in [
            ("bytes=0-9", Part::Bytes(0..10)),
            ("bytes=90-", Part::Bytes(90..100)),
            ("bytes=-10", Part::Bytes(90..100)),
            ("bytes=50-1000", Part::Bytes(50..100)),
            ("bytes=100-200", Part::Unsatisfiable),
            ("bytes=50-0", Part::Unsatisfiable),
        ] {
            assert_eq!(part(header, 100), expected, "{header}");
        }
    }

    #[test]
    fn case_r20_hostile_ranges_are_whole_or_refused() {
        let many = format!("bytes={}", vec!["0-1"; 1000].join(","));
        for whole in [&many, "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "lines=1-2", "bytes=+1-2"]
        {
            assert_eq!(part(whole, 100), Part::Whole, "{whole}");
        }
        let huge = "9".repeat(40);
        assert_eq!(part(&format!("bytes={huge}-"), 100), Part::Unsatisfiable);
        assert_eq!(part(&format!("bytes=0-{huge}"), 100), Part::Bytes(0..100));
        assert_eq!(part(&format!("bytes=-{huge}"), 100), Part::Bytes(0..100));
        assert_eq!(part("bytes=-0", 100), Part::Unsatisfiable);
        assert_eq!(part("bytes=0-", 0), Part::Unsatisfiable);
        assert_eq!(part("bytes=-1", 0), Part::Unsatisfiable);
    }

    #[test]
    fn dist_41_a_chunk_has_an_inclusive_range_without_a_unit() {
        assert_eq!(chunk("0-9"), Some(0..10));
        for bad in ["bytes 0-9", "0-9/10", "9-0", "-9", "0-", "", "a-b", &format!("0-{}", u64::MAX)] {
            assert_eq!(chunk(bad), None, "{bad}");
        }
    }
}
