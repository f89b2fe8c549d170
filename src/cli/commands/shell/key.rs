//! The terminal of a shell between its lines: a key that ends what is watched, and how the terminal was at the start.
//! Invariant: dropped, the terminal is as it was before.

#[cfg(unix)]
pub(super) use unix::{Kept, Key};

#[cfg(not(unix))]
pub(super) use other::{Kept, Key};

#[cfg(unix)]
mod unix {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
    use tokio::sync::oneshot;

    /// How often it is seen whether a key is waited for still.
    const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

    /// How the terminal was.
    pub(in super::super) struct Kept(Option<Termios>);

    impl Kept {
        pub(in super::super) fn now() -> Self {
            Self(tcgetattr(io::stdin()).ok())
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            if let Some(before) = &self.0 {
                // A terminal that has gone needs nothing.
                let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
            }
        }
    }

    /// Waits for a key, which is not shown. Ctrl-C stays a signal.
    pub(in super::super) struct Key {
        pressed: oneshot::Receiver<()>,
        given_up: Arc<AtomicBool>,
        _before: Kept,
    }

    impl Key {
        pub(in super::super) fn begin() -> Self {
            let before = Kept::now();
            if let Some(mut now) = before.0.clone() {
                now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
                now.special_codes[SpecialCodeIndex::VMIN] = 1;
                now.special_codes[SpecialCodeIndex::VTIME] = 0;
                let _ = tcsetattr(io::stdin(), OptionalActions::Now, &now);
            }
            let given_up = Arc::<AtomicBool>::default();
            let (to, pressed) = oneshot::channel();
            let over = Arc::clone(&given_up);
            std::thread::spawn(move || {
                if wait(&over) {
                    let _ = to.send(());
                }
            });
            Self { pressed, given_up, _before: before }
        }

        /// Resolves once it is pressed; never where none can be.
        pub(in super::super) async fn pressed(&mut self) {
            if (&mut self.pressed).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    impl Drop for Key {
        fn drop(&mut self) {
            self.given_up.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there was one before it was given up.
    fn wait(given_up: &AtomicBool) -> bool {
        let stdin = io::stdin();
        while !given_up.load(Ordering::Relaxed) {
            let mut one = [PollFd::new(&stdin, PollFlags::IN)];
            match poll(&mut one, Some(&TURN)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) if !given_up.load(Ordering::Relaxed) => {
                    // All that one key sends.
                    return rustix::io::read(&stdin, &mut [0; 64]).is_ok();
                }
                _ => return false,
            }
        }
        false
    }
}

#[cfg(not(unix))]
mod other {
    /// Nothing to keep here.
    pub(in super::super) struct Kept;

    impl Kept {
        pub(in super::super) const fn now() -> Self {
            Self
        }
    }

    /// Ctrl-C ends what is watched.
    pub(in super::super) struct Key;

    impl Key {
        pub(in super::super) const fn begin() -> Self {
            Self
        }

        pub(in super::super) async fn pressed(&mut self) {
            std::future::pending().await
        }
    }
}
