//! Numbers in JSON as Go and JavaScript write them (RFC 8785, section 3.2.2.3).

/// A number as short as can be: with an exponent from 10²¹, and below 10⁻⁶. Nothing for what is no number.
pub(super) fn number(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let size = value.abs();
    if size == 0.0 {
        return Some("0".to_owned());
    }
    if (1e-6..1e21).contains(&size) {
        return Some(value.to_string());
    }
    let text = format!("{value:e}");
    Some(match text.contains("e-") {
        true => text,
        false => text.replace('e', "e+"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_javascript_and_go() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (12_345_678_901_234_567_890.0, "12345678901234567000"),
        ] {
            assert_eq!(number(value).as_deref(), Some(text));
        }
        assert_eq!(number(f64::NAN), None);
    }
}
