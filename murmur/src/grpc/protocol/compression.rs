//! How messages are compressed, by the names that all protocols give it.

use std::io::{Read, Write};
use std::str::FromStr;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName};
use tonic::Status;

use super::super::refusal::shown;
use super::frame;
use crate::location::ByteSize;

/// Whether replies are compressed for callers who understand that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// Never: the network costs less than the processor does.
    Off,
    /// Messages of so many bytes or more.
    From(usize),
}

impl Default for Compress {
    /// From 1 KiB on: what is smaller fits into a packet anyway.
    fn default() -> Self {
        Self::From(1 << 10)
    }
}

impl FromStr for Compress {
    type Err = String;

    /// `off`, or the size that is compressed from on: `1KiB`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let least = text.parse::<ByteSize>().map_err(|error| format!("{error}; or `off` for none"))?;
        Ok(Self::From(least.0))
    }
}

/// What was done to a message's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum Compression {
    Identity,
    Gzip,
    Zstd,
}

/// What is understood, as lists in headers have it.
pub(in crate::grpc) const ACCEPTED: &str = "gzip, zstd, identity";

impl Compression {
    fn named(name: &str) -> Option<Self> {
        [Self::Identity, Self::Gzip, Self::Zstd].into_iter().find(|known| name.eq_ignore_ascii_case(known.name()))
    }

    pub(in crate::grpc) fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What a request names; nothing is `identity`.
    pub(in crate::grpc) fn asked(name: Option<&str>) -> Result<Self, Status> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or("identity");
        Self::named(name).ok_or_else(|| {
            Status::unimplemented(format!(
                "a request compressed by `{}` is not accepted; take one of {ACCEPTED}",
                shown(name)
            ))
        })
    }

    /// Of a header.
    pub(in crate::grpc) fn of(headers: &HeaderMap, header: &HeaderName) -> Result<Self, Status> {
        Self::asked(headers.get(header).map(|value| value.to_str().unwrap_or("?")))
    }

    /// The first one that the caller wants replies in and that is known; `q=0` is a refusal, other weights do not count.
    pub(in crate::grpc) fn wanted(headers: &HeaderMap, header: &HeaderName) -> Self {
        let texts = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
        let names = texts.flat_map(|text| text.split(',')).filter_map(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            let refused = weight.trim().to_ascii_lowercase().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
            (!refused).then_some(name.trim())
        });
        names.filter_map(Self::named).next().unwrap_or(Self::Identity)
    }

    /// The bytes behind compressed ones, if they are at most `most`.
    pub(in crate::grpc) fn decompress(self, bytes: Bytes, most: usize) -> Result<Bytes, Status> {
        let bounded = |reader: &mut dyn Read| {
            let mut plain = Vec::new();
            let read = reader.take(most as u64 + 1).read_to_end(&mut plain);
            match read {
                Ok(_) if plain.len() > most => Err(frame::too_large(most)),
                Ok(_) => Ok(Bytes::from(plain)),
                Err(_) => Err(Status::invalid_argument(format!("the request does not decompress by {}", self.name()))),
            }
        };
        match self {
            Self::Identity => Ok(bytes),
            Self::Gzip => bounded(&mut MultiGzDecoder::new(&*bytes)),
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(&*bytes);
                let mut decoder = decoder.map_err(|_| Status::internal("zstd cannot begin"))?;
                // A frame may ask for as much memory as its window.
                decoder.window_log_max(WINDOW).map_err(|_| Status::internal("zstd cannot begin"))?;
                bounded(&mut decoder)
            }
        }
    }

    /// Compressed bytes of a reply, and by what: some are better left as they are.
    fn compress(self, bytes: Bytes) -> (Self, Bytes) {
        let compressed = match self {
            Self::Identity => None,
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), flate2::Compression::fast());
                encoder.write_all(&bytes).and_then(|()| encoder.finish()).ok()
            }
            Self::Zstd => zstd::bulk::compress(&bytes, 1).ok(),
        };
        match compressed {
            Some(compressed) if compressed.len() < bytes.len() => (self, compressed.into()),
            // It does not gain by it. (Writing to memory does not fail.)
            _ => (Self::Identity, bytes),
        }
    }
}

/// How replies to one caller are compressed.
#[derive(Debug, Clone, Copy)]
pub(in crate::grpc) struct Wanted {
    pub(super) by: Compression,
    /// Messages of fewer bytes stay as they are.
    pub(super) least: usize,
}

impl Wanted {
    /// Whether a message of so many bytes is compressed.
    pub(in crate::grpc) fn is_of(self, bytes: usize) -> bool {
        self.by != Compression::Identity && bytes >= self.least
    }

    pub(in crate::grpc) fn compress(self, bytes: Bytes) -> (Compression, Bytes) {
        if self.is_of(bytes.len()) { self.by.compress(bytes) } else { (Compression::Identity, bytes) }
    }
}

/// Largest window of zstd that is accepted, as a power of two: 8 MiB, which is what its specification recommends to support.
const WINDOW: u32 = 23;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 3] = [Compression::Identity, Compression::Gzip, Compression::Zstd];

    #[test]
    fn what_is_compressed_comes_back_and_small_replies_stay_as_they_are() {
        let large = Bytes::from("pages ".repeat(10_000));
        for compression in ALL {
            let (by, compressed) = compression.compress(large.clone());
            assert_eq!(by, compression);
            assert_eq!(compressed.len() < large.len() / 10, compression != Compression::Identity, "{compression:?}");
            assert_eq!(compression.decompress(compressed, large.len()).unwrap(), large);
            // Knuth's MMIX generator.
            let next =
                |n: &u64| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
            let noise: Vec<u8> = std::iter::successors(Some(1), next).map(|n| (n >> 40) as u8).take(2_000).collect();
            assert_eq!(compression.compress(noise.clone().into()), (Compression::Identity, Bytes::from(noise)));
            let wanted = Wanted { by: compression, least: large.len() };
            assert_eq!(wanted.compress(large.clone()).0, compression);
            let smaller = large.slice(1..);
            assert_eq!(wanted.compress(smaller.clone()), (Compression::Identity, smaller));
        }
    }

    #[test]
    fn a_small_request_that_unpacks_to_a_large_one_is_refused_before_it_is_unpacked() {
        let bomb = Bytes::from(vec![0; 8 << 20]);
        for compression in [Compression::Gzip, Compression::Zstd] {
            let (_, compressed) = compression.compress(bomb.clone());
            assert!(compressed.len() < 1 << 17);
            let refused = compression.decompress(compressed, 1 << 20).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let (_, compressed) = compression.compress(Bytes::from("pages ".repeat(1_000)));
            for wrong in [compressed.slice(..compressed.len() - 3), Bytes::from("something else")] {
                let refused = compression.decompress(wrong, 1 << 20).unwrap_err();
                assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{compression:?}");
            }
        }
    }

    #[test]
    fn the_first_known_name_of_a_list_is_taken() {
        let wanted = |list: &'static str| {
            let name = HeaderName::from_static("accept-encoding");
            let headers = [(name.clone(), list.parse().unwrap())].into_iter().collect();
            Compression::wanted(&headers, &name)
        };
        for (list, taken) in [
            ("", Compression::Identity),
            ("br", Compression::Identity),
            ("br, gzip, zstd", Compression::Gzip),
            ("zstd;q=0.5,gzip", Compression::Zstd),
            ("gzip;q=0, zstd", Compression::Zstd),
            ("GZIP; Q=0, ZSTD", Compression::Zstd),
            ("identity, gzip", Compression::Identity),
        ] {
            assert_eq!(wanted(list), taken, "{list}");
        }
        assert_eq!(Compression::asked(Some("gzip")).unwrap(), Compression::Gzip);
        assert_eq!(Compression::asked(None).unwrap(), Compression::Identity);
        let refused = Compression::asked(Some("br")).unwrap_err();
        assert_eq!(refused.message(), "a request compressed by `br` is not accepted; take one of gzip, zstd, identity");
    }
}
