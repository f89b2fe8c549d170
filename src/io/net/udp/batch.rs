//! Datagrams that wait to leave together: equal segments to one destination, as one send of the kernel takes them.
//! Invariant: a batch holds whole segments of one size, of which only the last may be shorter, and after a shorter
//! one nothing is added. Not responsible for when it is sent.

use std::net::{IpAddr, SocketAddr};

use quinn::udp::{EcnCodepoint, Transmit};

/// The greatest UDP payload over IPv4 (65,535 less 20 and 8 bytes of headers): also the most that one send takes.
pub(super) const MAX_SEND: usize = 65_507;

/// A batch that has not left yet.
#[derive(Debug)]
pub(super) struct Batch {
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    src_ip: Option<IpAddr>,
    segment: usize,
    bytes: Vec<u8>,
    /// Bytes that have left.
    sent: usize,
}

impl Batch {
    pub(super) const fn new() -> Self {
        let destination = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0));
        Self { destination, ecn: None, src_ip: None, segment: 1, bytes: Vec::new(), sent: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Takes these segments over in place of what has left.
    pub(super) fn begin(&mut self, transmit: &Transmit<'_>) {
        self.destination = transmit.destination;
        self.ecn = transmit.ecn;
        self.src_ip = transmit.src_ip;
        self.segment = segment_of(transmit);
        self.sent = 0;
        self.bytes.clear();
        self.bytes.extend_from_slice(transmit.contents);
    }

    /// Adds these segments if one send can carry them with those that wait; says whether it did.
    pub(super) fn add(&mut self, transmit: &Transmit<'_>, max_segments: usize) -> bool {
        let fits = transmit.destination == self.destination
            && transmit.ecn == self.ecn
            && transmit.src_ip == self.src_ip
            && segment_of(transmit) == self.segment
            && self.sent == 0
            && self.takes_more(transmit.contents.len(), max_segments);
        if fits {
            self.bytes.extend_from_slice(transmit.contents);
        }
        fits
    }

    /// Whether so many bytes more would still be one send.
    pub(super) fn takes_more(&self, len: usize, max_segments: usize) -> bool {
        let total = self.bytes.len() + len;
        self.bytes.len().is_multiple_of(self.segment)
            && total <= MAX_SEND
            && total.div_ceil(self.segment) <= max_segments
    }

    /// Sends all that waits, in sends that the kernel takes; what fails stays.
    pub(super) fn send<E>(&mut self, mut send: impl FnMut(&Transmit<'_>) -> Result<(), E>) -> Result<(), E> {
        let contents = &self.bytes[self.sent..];
        let rest = Transmit {
            destination: self.destination,
            ecn: self.ecn,
            contents,
            segment_size: (self.segment < contents.len()).then_some(self.segment),
            src_ip: self.src_ip,
        };
        for piece in pieces(&rest) {
            send(&piece)?;
            self.sent += piece.contents.len();
        }
        Ok(())
    }
}

/// A batch as sends of whole segments, none longer than [`MAX_SEND`].
pub(super) fn pieces<'a>(transmit: &'a Transmit<'a>) -> impl Iterator<Item = Transmit<'a>> {
    let segment = segment_of(transmit);
    let piece = if transmit.segment_size.is_some() { segment * (MAX_SEND / segment).max(1) } else { segment };
    transmit.contents.chunks(piece).map(move |contents| Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn,
        contents,
        segment_size: (segment < contents.len()).then_some(segment),
        src_ip: transmit.src_ip,
    })
}

/// The length of each segment but the last.
fn segment_of(transmit: &Transmit<'_>) -> usize {
    let whole = transmit.contents.len().max(1);
    transmit.segment_size.filter(|size| *size > 0).map_or(whole, |size| size.min(whole))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn transmit(contents: &[u8], segment_size: Option<usize>) -> Transmit<'_> {
        let destination = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Transmit { destination, ecn: None, contents, segment_size, src_ip: None }
    }

    fn lengths(len: usize, segment_size: Option<usize>) -> Vec<(usize, Option<usize>)> {
        let contents = vec![0; len];
        let transmit = transmit(&contents, segment_size);
        pieces(&transmit).map(|piece| (piece.contents.len(), piece.segment_size)).collect()
    }

    #[test]
    fn a_batch_is_split_at_whole_segments() {
        assert_eq!(lengths(14_520, Some(1452)), [(14_520, Some(1452))]);
        assert_eq!(lengths(89_520, Some(8952)), [(62_664, Some(8952)), (26_856, Some(8952))]);
        assert_eq!(lengths(150_000, Some(65_507)), [(65_507, None), (65_507, None), (18_986, None)]);
        assert_eq!(lengths(1200, None), [(1200, None)]);
        assert_eq!(lengths(900, Some(1200)), [(900, None)]);
    }

    #[test]
    fn equal_segments_to_one_destination_are_one_send_up_to_the_kernels_limits() {
        let bytes = vec![7; 14_520];
        let mut batch = Batch::new();
        assert!(batch.is_empty());
        batch.begin(&transmit(&bytes, Some(1452)));
        for _ in 0..3 {
            assert!(batch.add(&transmit(&bytes, Some(1452)), 64));
        }
        assert!(!batch.add(&transmit(&bytes, Some(1452)), 64), "more than one send takes");
        assert!(batch.add(&transmit(&bytes[..4 * 1452], Some(1452)), 64));
        assert!(!batch.add(&transmit(&bytes[..1452], Some(1452)), 44), "more segments than the socket takes");
        let mut sends = Vec::new();
        let sent: Result<(), ()> = batch.send(|piece| {
            sends.push((piece.contents.len(), piece.segment_size));
            Ok(())
        });
        assert_eq!((sent, sends, batch.is_empty()), (Ok(()), vec![(44 * 1452, Some(1452))], true));
    }

    #[test]
    fn another_destination_mark_source_or_size_is_not_mixed_in() {
        let bytes = vec![7; 2904];
        let one = transmit(&bytes, Some(1452));
        let mut batch = Batch::new();
        batch.begin(&one);
        let other = |change: fn(&mut Transmit<'_>)| {
            let mut other = transmit(&bytes, Some(1452));
            change(&mut other);
            other
        };
        assert!(!batch.add(&other(|t| t.destination.set_port(2)), 64));
        assert!(!batch.add(&other(|t| t.ecn = Some(EcnCodepoint::Ect0)), 64));
        assert!(!batch.add(&other(|t| t.src_ip = Some(Ipv4Addr::LOCALHOST.into())), 64));
        assert!(!batch.add(&other(|t| t.segment_size = Some(1200)), 64));
        assert!(batch.add(&transmit(&bytes[..2000], Some(1452)), 64), "its last segment may be shorter");
        assert!(!batch.add(&one, 64), "after a shorter one nothing follows");
    }

    #[test]
    fn what_the_kernel_does_not_take_stays() {
        let bytes: Vec<u8> = (0..5 * 32_700_u32).map(|i| u8::try_from(i % 251).expect("small")).collect();
        let mut batch = Batch::new();
        batch.begin(&transmit(&bytes, Some(32_700)));
        let (mut room, mut left) = (2, Vec::new());
        while !batch.is_empty() {
            let sent = batch.send(|piece| {
                if room == 0 {
                    return Err(());
                }
                room -= 1;
                left.extend_from_slice(piece.contents);
                Ok(())
            });
            assert_eq!(sent.is_err(), !batch.is_empty());
            room = 2;
        }
        assert_eq!(left, bytes);
    }
}
