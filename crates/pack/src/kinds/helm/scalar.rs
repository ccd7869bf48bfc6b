//! What a scalar of YAML stands for where Helm reads it: as `sigs.k8s.io/yaml` does, which knows YAML 1.1.
//!
//! `yes` is true there, `010` is eight, and `1.10` is a number that becomes the text `1.1` where a text belongs, by way of
//! 32 bits. All that was held against Helm 4.2.3 (`testdata/kinds/helm/SOURCES.md`).

/// What a scalar stands for that was written without quotes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Nothing,
    Bool(bool),
    /// From −2⁶³ to 2⁶⁴−1.
    Integer(i128),
    Float(f64),
    Text,
}

impl Scalar {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Nothing,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
                return Self::Bool(true);
            }
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
                return Self::Bool(false);
            }
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            _ => {}
        }
        match text.as_bytes().first() {
            Some(b'.') => float(text).map_or(Self::Text, Self::Float),
            Some(b'+' | b'-' | b'0'..=b'9') => number(&text.replace('_', "")),
            _ => Self::Text,
        }
    }

    /// The text that it becomes where a text belongs; nothing for nothing, `text` for a text.
    pub(super) fn to_text(&self, text: &str) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Integer(value) => Some(value.to_string()),
            Self::Float(value) => Some(short(*value)),
            Self::Text => Some(text.to_owned()),
        }
    }
}

fn number(plain: &str) -> Scalar {
    if let Some(value) = integer(plain) {
        return Scalar::Integer(value);
    }
    float(plain).map_or(Scalar::Text, Scalar::Float)
}

/// A whole number by its prefix: `0x`, `0o`, `0b`, and `0` for eight.
fn integer(plain: &str) -> Option<i128> {
    let (is_negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain),
    };
    let prefix = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match prefix.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(_) if digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    // A second sign is none of a digit.
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if is_negative { -value } else { value };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

/// Digits with a point or an exponent, or both.
fn float(plain: &str) -> Option<f64> {
    let is_of_numbers =
        plain.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'));
    let value: f64 = plain.parse().ok().filter(|_| is_of_numbers)?;
    value.is_finite().then_some(value)
}

/// Go's `%g` of 32 bits, as short as can be: with an exponent from six digits before the point, or four zeros behind it.
fn short(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "so does Go")]
    let value = value as f32;
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    match (-4..6).contains(&exponent) {
        true => format!("{value}"),
        false => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of them as Helm 4.2.3 puts it into `appVersion`.
    #[test]
    fn scalars_become_the_texts_that_helm_makes_of_them() {
        for (written, text) in [
            ("1.10", Some("1.1")),
            ("1", Some("1")),
            ("1.0", Some("1")),
            ("010", Some("8")),
            ("0x1F", Some("31")),
            ("0o17", Some("15")),
            ("0b11", Some("3")),
            ("1_000", Some("1000")),
            ("1e3", Some("1000")),
            ("1e+3", Some("1000")),
            ("1.5e-7", Some("1.5e-07")),
            ("1234567.5", Some("1.2345675e+06")),
            ("12345678", Some("12345678")),
            ("123456789012345678901234567890", Some("1.2345679e+29")),
            ("yes", Some("true")),
            ("no", Some("false")),
            ("on", Some("true")),
            ("y", Some("true")),
            ("N", Some("false")),
            ("tRue", Some("tRue")),
            ("~", None),
            ("null", None),
            ("2001-01-01", Some("2001-01-01")),
            (".5", Some("0.5")),
            ("5.", Some("5")),
            (".inf", Some("+Inf")),
            ("-.Inf", Some("-Inf")),
            (".nan", Some("NaN")),
            ("+5", Some("5")),
            ("-0", Some("0")),
            ("-0.0", Some("-0")),
            ("1:30", Some("1:30")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("9223372036854775808", Some("9223372036854775808")),
            ("0.1", Some("0.1")),
            ("100000.0", Some("100000")),
            ("1000000.0", Some("1e+06")),
            ("21e-1", Some("2.1")),
            ("0x_1F", Some("31")),
            ("0777", Some("511")),
            ("08", Some("8")),
            ("0.0000001", Some("1e-07")),
            ("1.10.0", Some("1.10.0")),
            ("v1", Some("v1")),
            ("+", Some("+")),
            ("--1", Some("--1")),
            (".", Some(".")),
            ("1e999", Some("1e999")),
        ] {
            assert_eq!(Scalar::of(written).to_text(written).as_deref(), text, "{written}");
        }
    }
}
