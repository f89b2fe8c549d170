//! Standard output. A command that ends when it is done ends too when it cannot write there; a service goes on without,
//! and says so. Not responsible for what is written, nor for how the loss is told.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) mod above;

/// Standard output, as a finite command or a service has it. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sink {
    service: Option<Arc<Mutex<SinkState>>>,
}

/// Why something was not written.
#[derive(Debug)]
pub(super) struct Lost {
    /// The system's own error.
    pub(super) cause: io::Error,
    /// Whether a service has not lost anything just before.
    pub(super) is_news: bool,
}

/// How the output of a service stands.
#[derive(Debug, Default, PartialEq, Eq)]
enum SinkState {
    #[default]
    Fine,
    /// It may be well again later, as a disk with room is. Whether the last line that came through was cut off.
    Failing { torn: bool },
    /// Nobody reads it, now and ever.
    Closed,
}

impl Sink {
    /// That of a command which goes on without it.
    pub(super) fn of_service() -> Self {
        Self { service: Some(Arc::default()) }
    }

    /// Whether losing it ends nothing.
    pub(super) const fn is_service(&self) -> bool {
        self.service.is_some()
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// When they are lost, or a part of them.
    pub(super) fn write(&self, lines: &[u8]) -> Result<(), Lost> {
        let mut out = io::stdout().lock();
        match &self.service {
            Some(standing) => standing.lock().unwrap_or_else(PoisonError::into_inner).write(&mut out, lines),
            None => put(&mut out, lines).1.map_err(|cause| Lost { cause, is_news: true }),
        }
    }
}

impl SinkState {
    fn write(&mut self, out: &mut impl Write, lines: &[u8]) -> Result<(), Lost> {
        let torn = match self {
            Self::Closed => return Err(Lost { cause: io::ErrorKind::BrokenPipe.into(), is_news: false }),
            Self::Failing { torn } => *torn,
            Self::Fine => false,
        };
        let is_news = *self == Self::Fine;
        let (mended, ended) = if torn { put(out, b"\n") } else { (0, Ok(())) };
        let (written, ended) = match ended {
            Ok(()) => put(out, lines),
            failed => (0, failed),
        };
        let Err(cause) = ended else {
            *self = Self::Fine;
            return Ok(());
        };
        let torn = if written > 0 { !lines[..written].ends_with(b"\n") } else { torn && mended == 0 };
        *self = if cause.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Failing { torn } };
        Err(Lost { cause, is_news })
    }
}

/// How many bytes went out, and whether all did.
fn put(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, out.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room, or a pipe whose reader has gone.
    struct Disk {
        text: Vec<u8>,
        room: usize,
        full: io::ErrorKind,
    }

    impl Disk {
        fn new(room: usize, full: io::ErrorKind) -> Self {
            Self { text: Vec::new(), room, full }
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(self.full.into());
            }
            self.room -= taken;
            self.text.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_told_once_and_written_again_when_it_has_room() {
        let (mut standing, mut disk) = (SinkState::default(), Disk::new(7, io::ErrorKind::StorageFull));
        standing.write(&mut disk, b"one\n").expect("room");
        let lost = standing.write(&mut disk, b"two-and-three\n").expect_err("full");
        assert!(lost.is_news && lost.cause.kind() == io::ErrorKind::StorageFull);
        assert!(!standing.write(&mut disk, b"four\n").expect_err("full").is_news);
        disk.room = 1;
        assert!(!standing.write(&mut disk, b"five\n").expect_err("full after the torn line's end").is_news);
        disk.room = 100;
        standing.write(&mut disk, b"six\n").expect("room");
        assert_eq!(std::str::from_utf8(&disk.text).expect("text"), "one\ntwo\nsix\n");
        disk.room = 0;
        assert!(standing.write(&mut disk, b"seven\n").expect_err("full").is_news, "it was well meanwhile");
    }

    #[test]
    fn who_has_closed_it_is_never_written_to_again() {
        let (mut standing, mut pipe) = (SinkState::default(), Disk::new(0, io::ErrorKind::BrokenPipe));
        assert!(standing.write(&mut pipe, b"one\n").expect_err("closed").is_news);
        pipe.room = 100;
        assert!(!standing.write(&mut pipe, b"two\n").expect_err("closed").is_news);
        assert!(pipe.text.is_empty());
    }
}
