//! What a certificate says of itself: [X.509](https://www.rfc-editor.org/rfc/rfc5280#section-4.1), in DER.
//!
//! ```text
//! Certificate     { TBSCertificate, algorithm, signature }
//! TBSCertificate  { [0] version?, serial, algorithm, issuer, Validity, subject, public key, [1]?, [2]?, [3] extensions? }
//! Validity        { not before, not after }
//! subject         { { { type, value } .. } .. }
//! extensions      { { type, critical?, OCTET STRING of the extension } .. }
//! ```
//!
//! Whether a client's certificate is valid is for rustls to say, before anything is read here.

use std::net::IpAddr;
use std::str::from_utf8;

use crate::time::Timestamp;

/// What the certificate of a client says of it, which the authorities of `--tls-client-ca` have confirmed. Where a port asks for
/// certificates, each request has one in its extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The common name of the subject; `None` without one, or with several.
    pub common_name: Option<String>,
    /// Names of machines, among the alternative names: `worker-7.shop.example`.
    pub dns: Vec<String>,
    /// URIs, among the alternative names: a SPIFFE identity such as `spiffe://shop.example/worker`.
    pub uris: Vec<String>,
    /// Addresses of mail, among the alternative names.
    pub emails: Vec<String>,
    /// Addresses of machines, among the alternative names.
    pub addresses: Vec<IpAddr>,
}

/// A certificate, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) names: ClientCertificate,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Texts that are UTF-8, or a part of it: `UTF8String`, `PrintableString`, `IA5String`.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];
/// `[0]` and `[3]`, with something in them.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// 2.5.4.3
const COMMON_NAME: &[u8] = b"\x55\x04\x03";
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = b"\x55\x1d\x11";

impl Certificate {
    /// Of its DER; `None` when that is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut fields = Der(Der(Der(der).take(SEQUENCE)?).take(SEQUENCE)?);
        if fields.tag() == Some(VERSION) {
            fields.next()?;
        }
        fields.take(INTEGER)?;
        fields.take(SEQUENCE)?;
        fields.take(SEQUENCE)?;
        let mut validity = Der(fields.take(SEQUENCE)?);
        let (not_before, not_after) = (instant(validity.next()?)?, instant(validity.next()?)?);
        let mut names =
            ClientCertificate { common_name: common_name(fields.take(SEQUENCE)?)?, ..ClientCertificate::default() };
        fields.take(SEQUENCE)?;
        while let Some(tag) = fields.tag() {
            let (_, field) = fields.next()?;
            if tag == EXTENSIONS {
                let mut extensions = Der(Der(field).take(SEQUENCE)?);
                while extensions.tag().is_some() {
                    let mut extension = Der(extensions.take(SEQUENCE)?);
                    let kind = extension.take(OBJECT)?;
                    if extension.tag() == Some(BOOLEAN) {
                        extension.next()?;
                    }
                    let value = extension.take(OCTETS)?;
                    if kind == ALTERNATIVE_NAMES {
                        names.add(Der(value).take(SEQUENCE)?)?;
                    }
                }
            }
        }
        Some(Self { not_before, not_after, names })
    }
}

impl ClientCertificate {
    fn add(&mut self, names: &[u8]) -> Option<()> {
        let mut names = Der(names);
        while names.tag().is_some() {
            let (tag, name) = names.next()?;
            match tag {
                0x81 => self.emails.push(from_utf8(name).ok()?.to_owned()),
                0x82 => self.dns.push(from_utf8(name).ok()?.to_owned()),
                0x86 => self.uris.push(from_utf8(name).ok()?.to_owned()),
                0x87 => self.addresses.push(address(name)?),
                // Names of other kinds: directories, registered numbers.
                _ => {}
            }
        }
        Some(())
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The one common name of a subject. Which of several is meant nobody can tell.
fn common_name(subject: &[u8]) -> Option<Option<String>> {
    let mut found = Vec::new();
    let mut sets = Der(subject);
    while sets.tag().is_some() {
        let mut set = Der(sets.take(SET)?);
        while set.tag().is_some() {
            let mut pair = Der(set.take(SEQUENCE)?);
            let kind = pair.take(OBJECT)?;
            let (tag, value) = pair.next()?;
            if kind == COMMON_NAME {
                let text = TEXTS.contains(&tag).then(|| from_utf8(value).ok()).flatten();
                found.push(text.map(str::to_owned));
            }
        }
    }
    let only = if found.len() == 1 { found.pop().flatten() } else { None };
    Some(only)
}

/// `YYMMDDHHMMSSZ` up to 2049, or `YYYYMMDDHHMMSSZ`.
fn instant((tag, text): (u8, &[u8])) -> Option<Timestamp> {
    let text = from_utf8(text).ok()?;
    let (century, rest) = match tag {
        UTC_TIME => (if text >= "50" { "19" } else { "20" }, text),
        GENERALIZED_TIME => text.split_at_checked(2)?,
        _ => return None,
    };
    let digits =
        rest.strip_suffix('Z').filter(|digits| digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit()))?;
    let part = |at: usize| &digits[at..at + 2];
    let written = format!("{century}{}-{}-{}T{}:{}:{}Z", part(0), part(2), part(4), part(6), part(8), part(10));
    written.parse().ok()
}

/// Elements of DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Of the next element.
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element: its tag, and what is in it.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, length], rest) = self.0.split_first_chunk()?;
        // From 128 on, so many bytes say the length.
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// What is in the next element, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn made(params: CertificateParams) -> Vec<u8> {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn rich() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned(), "10.1.2.3".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Shop");
        params.distinguished_name.push(DnType::CommonName, "Wörker 7");
        params.subject_alt_names.push(SanType::URI("spiffe://shop.example/worker".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("worker@shop.example".try_into().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress("2001:db8::1".parse().unwrap()));
        (params.not_before, params.not_after) = (date_time_ymd(1975, 1, 2), date_time_ymd(2051, 12, 31));
        made(params)
    }

    #[test]
    fn names_and_times_are_read() {
        let read = Certificate::read(&rich()).unwrap();
        assert_eq!(read.not_before, "1975-01-02T00:00:00Z".parse().unwrap());
        assert_eq!(read.not_after, "2051-12-31T00:00:00Z".parse().unwrap());
        let names = ClientCertificate {
            common_name: Some("Wörker 7".into()),
            dns: vec!["a.example".into()],
            uris: vec!["spiffe://shop.example/worker".into()],
            emails: vec!["worker@shop.example".into()],
            addresses: vec!["10.1.2.3".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        };
        assert_eq!(read.names, names);
    }

    #[test]
    fn a_subject_without_names_has_none() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        assert_eq!(Certificate::read(&made(params)).unwrap().names, ClientCertificate::default());
    }

    #[test]
    fn which_of_two_common_names_is_meant_is_not_guessed() {
        let pair = |name: &str| {
            let value = [&[0x0c, name.len() as u8], name.as_bytes()].concat();
            let pair = [b"\x06\x03\x55\x04\x03", value.as_slice()].concat();
            let pair = [&[SEQUENCE, pair.len() as u8], pair.as_slice()].concat();
            [&[SET, pair.len() as u8], pair.as_slice()].concat()
        };
        assert_eq!(common_name(&pair("a")), Some(Some("a".into())));
        assert_eq!(common_name(&[pair("a"), pair("b")].concat()), Some(None));
    }

    #[test]
    fn what_is_cut_off_is_no_certificate() {
        let whole = rich();
        for end in 0..whole.len() {
            assert_eq!(Certificate::read(&whole[..end]), None, "{end}");
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_read_or_not_and_nothing_else(at in any::<prop::sample::Index>(), byte: u8) {
            let mut damaged = rich();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            let _ = Certificate::read(&damaged);
        }

        #[test]
        fn any_bytes_are_read_or_not_and_nothing_else(bytes: Vec<u8>) {
            let _ = Certificate::read(&bytes);
        }
    }
}
