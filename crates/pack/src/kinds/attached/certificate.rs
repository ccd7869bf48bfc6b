//! Certificates, as far as they tell who claims to have signed: subject, alternative names, and the issuer that Fulcio notes.
//!
//! Nothing is verified. What is not laid out as X.509 says (RFC 5280), in DER, tells nothing; only its fingerprint is said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use transship_spec::Digest;

use super::said::Said;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
/// Elements of one list that are looked at.
const MOST: usize = 64;

const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
/// 1.3.6.1.4.1.57264.1.1, whose value is the bare text, and .8, whose value is a DER string.
const FULCIO_ISSUER: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x01];
const FULCIO_ISSUER_2: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x08];

/// Says what the first certificate of a PEM text claims.
pub(super) fn say_pem(text: &str, said: &mut Said) {
    let body =
        text.split_once("-----BEGIN CERTIFICATE-----").and_then(|(_, rest)| rest.split_once("-----END"));
    let body: Option<String> = body.map(|(body, _)| body.split_whitespace().collect());
    match body.and_then(|body| STANDARD.decode(body).ok()) {
        Some(der) => say(&der, said),
        None => said.unreadable("certificate", "it is no PEM"),
    }
}

/// Says what a certificate claims.
pub(super) fn say(der: &[u8], said: &mut Said) {
    said.say("certificate", Digest::sha256(der).to_string());
    let Some(certificate) = Certificate::read(der) else {
        return said.unreadable("certificate", "it is not laid out as X.509");
    };
    for identity in certificate.identities {
        said.say("claims identity", identity);
    }
    said.say_some("claims identity vouched for by", certificate.vouched);
    said.say_some("certificate subject", certificate.subject);
    said.say_some("certificate issuer", certificate.issuer);
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Certificate {
    subject: Option<String>,
    issuer: Option<String>,
    identities: Vec<String>,
    vouched: Option<String>,
}

impl Certificate {
    fn read(der: &[u8]) -> Option<Self> {
        let mut signed = Der(Der(der).of(SEQUENCE)?);
        let mut fields = Der(signed.of(SEQUENCE)?);
        // The version is told only where it is not the first.
        let (tag, _) = fields.next()?;
        if tag == 0xa0 {
            fields.next()?;
        }
        fields.of(SEQUENCE)?;
        let issuer = name(fields.of(SEQUENCE)?);
        fields.of(SEQUENCE)?;
        let subject = name(fields.of(SEQUENCE)?);
        fields.of(SEQUENCE)?;
        let mut certificate = Self { subject, issuer, ..Self::default() };
        for (tag, value) in fields {
            if tag == 0xa3 {
                certificate.read_extensions(Der(value).of(SEQUENCE)?);
            }
        }
        Some(certificate)
    }

    fn read_extensions(&mut self, list: &[u8]) {
        for (_, extension) in Der(list).take(MOST) {
            let mut fields = Der(extension);
            let Some(id) = fields.of(OID) else { continue };
            let Some((_, value)) = fields.find(|(tag, _)| *tag == OCTETS) else { continue };
            match id {
                ALTERNATIVE_NAMES => {
                    let names = Der(value).of(SEQUENCE).unwrap_or_default();
                    self.identities.extend(Der(names).take(MOST).filter_map(alternative_name));
                }
                FULCIO_ISSUER => self.vouched = self.vouched.take().or_else(|| Some(text(value))),
                FULCIO_ISSUER_2 => self.vouched = Der(value).next().map(|(_, value)| text(value)),
                _ => {}
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An address, a host, a URI, or the name of another sort that Fulcio gives to users without an address.
fn alternative_name((tag, value): (u8, &[u8])) -> Option<String> {
    match tag {
        0x81 | 0x82 | 0x86 => Some(text(value)),
        0xa0 => {
            let mut fields = Der(value);
            fields.of(OID)?;
            let (_, name) = Der(fields.of(0xa0)?).next()?;
            Some(text(name))
        }
        _ => None,
    }
}

/// A distinguished name by those of its parts that people go by.
fn name(list: &[u8]) -> Option<String> {
    let part = |(_, set): (u8, &[u8])| {
        let mut fields = Der(Der(set).of(SEQUENCE)?);
        let key = match fields.of(OID)? {
            [0x55, 0x04, 0x03] => "CN",
            [0x55, 0x04, 0x06] => "C",
            [0x55, 0x04, 0x0a] => "O",
            [0x55, 0x04, 0x0b] => "OU",
            _ => return None,
        };
        let (_, value) = fields.next()?;
        Some(format!("{key}={}", text(value)))
    };
    let parts: Vec<String> = Der(list).take(MOST).filter(|(tag, _)| *tag == SET).filter_map(part).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Elements of DER, one after the other: a tag and a value. It ends at what is none.
#[derive(Debug, Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element, which must have this tag.
    fn of(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, value) = self.next()?;
        (found == tag).then_some(value)
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            short @ 0..=0x7f => usize::from(short),
            long @ 0x81..=0x84 => {
                let (bytes, after) = rest.split_at_checked(usize::from(long & 0x7f))?;
                rest = after;
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (value, after) = rest.split_at_checked(length)?;
        // Tags of several bytes are not of X.509.
        if tag & 0x1f == 0x1f {
            return None;
        }
        self.0 = after;
        Some((tag, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The certificate of sigstore-go's othernameBundle.json (testdata/kinds/attached).
    fn sample() -> Vec<u8> {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/kinds/attached/othername.sigstore.json");
        let bundle: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        STANDARD.decode(bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_of_fulcio_tells_who_claims_to_have_signed_and_who_vouches_for_that() {
        let certificate = Certificate::read(&sample()).unwrap();
        assert_eq!(certificate.identities, ["foo!oidc.local"]);
        assert_eq!(certificate.vouched.as_deref(), Some("http://oidc.local:8080"));
        assert_eq!(certificate.subject, None);
        assert_eq!(certificate.issuer.as_deref(), Some("C=USA, O=Linux Foundation"));
    }

    #[test]
    fn what_is_cut_or_changed_anywhere_ends_in_no_panic() {
        let sample = sample();
        for length in 0..sample.len() {
            assert_eq!(Certificate::read(&sample[..length]), None, "{length}");
        }
        for position in 0..sample.len() {
            for value in [0, 0x7f, 0x84, 0xff] {
                let mut changed = sample.clone();
                changed[position] = value;
                let mut said = Said::default();
                say(&changed, &mut said);
            }
        }
    }
}
