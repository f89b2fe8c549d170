//! Which permissions new files and directories do not get: those that the command wants that asked for them, whatever the umask of
//! the process is that makes them. Only Linux tells a process's own without changing it.

/// A umask that is asked for, beside that of this process. What it is asked of by nobody changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mask {
    asked: u32,
    own: u32,
}

impl Mask {
    /// That of this process; none where the system does not tell. Blocks.
    #[must_use]
    pub fn own() -> Option<u32> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
        u32::from_str_radix(mask.trim(), 8).ok()
    }

    /// What is asked for, where that and this process's own are known. Blocks.
    #[must_use]
    pub fn asked(umask: Option<u32>) -> Self {
        let both = umask.zip(Self::own()).filter(|(asked, own)| asked != own);
        both.map_or_else(Self::default, |(asked, own)| Self { asked: asked & 0o777, own })
    }

    /// With which mode something is made that has these permissions where nothing is masked.
    #[must_use]
    pub const fn making(self, all: u32) -> u32 {
        all & !self.asked
    }

    /// The mode that something is given after it was made, where this process's own umask took more than is asked for. A
    /// directory's default access list has the word before any umask, and then nothing was taken.
    pub fn given(self, all: u32, is: impl FnOnce() -> Option<u32>) -> Option<u32> {
        let wanted = self.making(all);
        let left = wanted & !self.own;
        (left != wanted && is()? & 0o777 == left).then_some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_made_or_given_afterwards() {
        let is = |mode: u32| move || Some(0o100_000 | mode);
        let stricter = Mask { asked: 0o077, own: 0o022 };
        assert_eq!((stricter.making(0o666), stricter.given(0o666, is(0o600))), (0o600, None));
        let wider = Mask { asked: 0o002, own: 0o077 };
        assert_eq!((wider.making(0o777), wider.given(0o777, is(0o700))), (0o775, Some(0o775)));
        assert_eq!(wider.given(0o666, is(0o660)), None, "an access list has the word");
        assert_eq!((Mask::default().making(0o666), Mask::default().given(0o666, || None)), (0o666, None));
    }

    #[test]
    fn where_it_is_the_same_nothing_is_done() {
        assert_eq!((Mask::asked(Mask::own()), Mask::asked(None)), (Mask::default(), Mask::default()));
    }
}
