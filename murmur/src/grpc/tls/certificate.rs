//! What a certificate says of itself: [X.509](https://www.rfc-editor.org/rfc/rfc5280#section-4.1).
//!
//! Whether a client's certificate is valid is for rustls to say, before anything is read here.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

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
    /// Whether there are alternative names of other kinds: directories, registered numbers.
    pub has_others: bool,
    /// When it ends; a connection that was begun with it may be there longer. `None` where that cannot be said.
    pub until: Option<SystemTime>,
}

/// A certificate, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) names: ClientCertificate,
}

impl Certificate {
    /// Of its DER; `None` when that is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(der).ok()?;
        let mut names = ClientCertificate { common_name: common_name(read.subject()), ..ClientCertificate::default() };
        if let Some(alternative) = read.subject_alternative_name().ok()? {
            for name in &alternative.value.general_names {
                names.add(name)?;
            }
        }
        let instant = |of: ASN1Time| Timestamp::from_seconds(of.timestamp());
        let validity = read.validity();
        let end = u64::try_from(validity.not_after.timestamp()).unwrap_or_default();
        names.until = UNIX_EPOCH.checked_add(Duration::from_secs(end));
        Some(Self { not_before: instant(validity.not_before), not_after: instant(validity.not_after), names })
    }
}

impl ClientCertificate {
    fn add(&mut self, name: &GeneralName<'_>) -> Option<()> {
        match *name {
            GeneralName::RFC822Name(name) => self.emails.push(name.to_owned()),
            GeneralName::DNSName(name) => self.dns.push(name.to_owned()),
            GeneralName::URI(name) => self.uris.push(name.to_owned()),
            GeneralName::IPAddress(bytes) => self.addresses.push(address(bytes)?),
            GeneralName::Invalid(..) => return None,
            _ => self.has_others = true,
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
fn common_name(subject: &X509Name<'_>) -> Option<String> {
    let mut names = subject.iter_common_name();
    match (names.next(), names.next()) {
        (Some(one), None) => one.as_str().ok().map(str::to_owned),
        _ => None,
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
            has_others: false,
            until: Some(UNIX_EPOCH + Duration::from_secs(2_587_593_600)),
        };
        assert_eq!(read.names, names);
    }

    #[test]
    fn a_subject_without_names_has_none() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let names = Certificate::read(&made(params)).unwrap().names;
        assert_eq!(names, ClientCertificate { until: names.until, ..ClientCertificate::default() });
    }

    #[test]
    fn names_of_other_kinds_are_known_to_be_there() {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::OtherName((vec![1, 3, 6, 1], "worker".into())));
        assert!(Certificate::read(&made(params)).unwrap().names.has_others);
    }

    #[test]
    fn which_of_two_common_names_is_meant_is_not_guessed() {
        let pair = |name: &str| {
            let value = [&[0x0c, name.len() as u8], name.as_bytes()].concat();
            let pair = [b"\x06\x03\x55\x04\x03", value.as_slice()].concat();
            let pair = [&[0x30, pair.len() as u8], pair.as_slice()].concat();
            [&[0x31, pair.len() as u8], pair.as_slice()].concat()
        };
        let of = |pairs: &[u8]| {
            let subject = [&[0x30, pairs.len() as u8], pairs].concat();
            common_name(&X509Name::from_der(&subject).unwrap().1)
        };
        assert_eq!(of(&pair("a")), Some("a".into()));
        assert_eq!(of(&[pair("a"), pair("b")].concat()), None);
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
