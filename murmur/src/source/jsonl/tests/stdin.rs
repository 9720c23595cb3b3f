//! Standard input.

use super::*;

/// An input that comes in these pieces.
struct Pieces(Vec<&'static [u8]>);

impl std::io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let piece = self.0.remove(0);
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

async fn read(
    records: &Arc<MemoryStore>,
    pieces: &[&'static [u8]],
    after: Option<u64>,
) -> Result<Vec<(u64, String)>, Error> {
    let config = JsonlConfig::parse("-").unwrap();
    let mut source = StdinSource::new(&config, records.clone(), Pieces(pieces.to_vec()));
    let Poll::Assigned(assigned) = source.poll().await? else { panic!("the partition comes first") };
    let partition = assigned[0].partition.clone();
    assert_eq!(partition.as_str(), "f:stdin:1");
    source.seek(&partition, after.map(|line| Offset::from_pair(1, line))).await?;
    let mut lines = Vec::new();
    loop {
        match source.poll().await? {
            Poll::Batch(batch) => {
                for payload in batch.payloads {
                    let text = String::from_utf8(batch.buffer[payload.bytes].to_vec()).unwrap();
                    lines.push((payload.offset.words()[3], text));
                }
            }
            Poll::Idle => {}
            Poll::End => return Ok(lines),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_same_input_again_goes_on_after_what_was_counted() {
    let records = Arc::new(MemoryStore::new());
    let line = |n: u64, text: &str| (n, text.to_owned());
    let first = read(&records, &[b"one\ntw", b"o\n\nfo", b"ur"], None).await.unwrap();
    assert_eq!(first, [line(1, "one"), line(2, "two"), line(4, "four")]);
    // Cut in other pieces, and longer.
    let second = read(&records, &[b"o", b"ne\ntwo\n\nfour\nfive\n"], Some(2)).await.unwrap();
    assert_eq!(second, [line(4, "four"), line(5, "five")]);
    for (other, says) in [
        (vec![b"another\ninput\n".as_slice()], "other bytes"),
        (vec![b"on".as_slice()], "other bytes"),
        (vec![], "other bytes"),
        (vec![b"one\ntwo\n".as_slice()], "1 lines too early"),
    ] {
        let error = read(&records, &other, Some(3)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        assert!(error.to_string().contains(says) && error.to_string().contains("id=NAME"), "{error}");
    }
}

#[tokio::test]
async fn it_cannot_go_back() {
    let records = Arc::new(MemoryStore::new());
    let config = JsonlConfig::parse("-").unwrap();
    let mut source = StdinSource::new(&config, records, Pieces(vec![b"one\ntwo\n"]));
    let partition = PartitionId::new("f:stdin:1");
    source.poll().await.unwrap();
    source.seek(&partition, None).await.unwrap();
    while !matches!(source.poll().await.unwrap(), Poll::End) {}
    source.seek(&partition, Some(Offset::from_pair(1, 2))).await.unwrap();
    let error = source.seek(&partition, Some(Offset::from_pair(1, 1))).await.unwrap_err();
    assert!(error.to_string().contains("same input"), "{error}");
}
