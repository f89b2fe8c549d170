//! A map by name whose clones share what has not changed since.
//! Invariant: segments are in name order, none is empty, none holds more than `SEGMENT` entries. A change copies only
//! the segment that it touches, and that only while a clone has it, too.

use std::sync::Arc;

use crate::model::SafePath;

/// Entries in one segment at most: few enough to copy for one change.
const SEGMENT: usize = 512;

/// See the module.
#[derive(Debug, Clone)]
pub struct NameMap<V> {
    segments: Vec<Arc<Vec<(SafePath, V)>>>,
    len: usize,
}

impl<V> Default for NameMap<V> {
    fn default() -> Self {
        Self { segments: Vec::new(), len: 0 }
    }
}

impl<V> NameMap<V> {
    /// How many names.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// What has this name.
    pub fn get(&self, name: &SafePath) -> Option<&V> {
        self.entry(name).map(|(_, value)| value)
    }

    /// The same with the name itself.
    pub fn entry(&self, name: &SafePath) -> Option<(&SafePath, &V)> {
        let (segment, at) = self.find(name).ok()?;
        Some(pair(&self.segments[segment][at]))
    }

    /// All, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&SafePath, &V)> {
        self.segments.iter().flat_map(|segment| segment.iter()).map(pair)
    }

    /// All, in the order of their names.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// What is beneath a directory, in name order. Takes no longer than there is of it.
    pub fn below<'a>(&'a self, dir: &'a SafePath) -> impl Iterator<Item = (&'a SafePath, &'a V)> {
        // No name in a directory is less than a space; where not even that fits, nothing is below.
        let first = dir.child(" ").ok();
        let from = first.map_or((self.segments.len(), 0), |first| self.find(&first).unwrap_or_else(|place| place));
        let rest = self.segments.iter().skip(from.0).flat_map(|segment| segment.iter()).skip(from.1).map(pair);
        let below = |name: &SafePath| name.as_str().strip_prefix(dir.as_str()).is_some_and(|r| r.starts_with('/'));
        rest.take_while(move |(name, _)| below(name))
    }

    /// The segment and place of a name, or where it would be put.
    fn find(&self, name: &SafePath) -> Result<(usize, usize), (usize, usize)> {
        let after = self.segments.partition_point(|segment| segment[0].0 <= *name);
        let Some(segment) = after.checked_sub(1) else { return Err((0, 0)) };
        let found = self.segments[segment].binary_search_by(|(other, _)| other.cmp(name));
        found.map(|at| (segment, at)).map_err(|at| (segment, at))
    }
}

impl<V: Clone> NameMap<V> {
    /// What has this name, to be changed.
    pub fn get_mut(&mut self, name: &SafePath) -> Option<&mut V> {
        let (segment, at) = self.find(name).ok()?;
        Some(&mut Arc::make_mut(&mut self.segments[segment])[at].1)
    }

    /// Puts a value in the place of what has its name.
    pub fn insert(&mut self, name: SafePath, value: V) {
        let (segment, at) = match self.find(&name) {
            Ok((segment, at)) => {
                Arc::make_mut(&mut self.segments[segment])[at].1 = value;
                return;
            }
            Err(place) => place,
        };
        self.len += 1;
        let Some(entries) = self.segments.get_mut(segment).map(Arc::make_mut) else {
            return self.segments.push(Arc::new(vec![(name, value)]));
        };
        if entries.len() < SEGMENT {
            return entries.insert(at, (name, value));
        }
        // What comes in order fills segment after segment.
        let mut upper = if at == SEGMENT { Vec::new() } else { entries.split_off(SEGMENT / 2) };
        match at.checked_sub(entries.len()) {
            Some(at) => upper.insert(at, (name, value)),
            None => entries.insert(at, (name, value)),
        }
        self.segments.insert(segment + 1, Arc::new(upper));
    }

    /// Takes away what has this name.
    pub fn remove(&mut self, name: &SafePath) -> Option<V> {
        let (segment, at) = self.find(name).ok()?;
        self.len -= 1;
        let entries = Arc::make_mut(&mut self.segments[segment]);
        let (_, value) = entries.remove(at);
        if entries.is_empty() {
            self.segments.remove(segment);
        }
        Some(value)
    }
}

const fn pair<V>((name, value): &(SafePath, V)) -> (&SafePath, &V) {
    (name, value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn name(n: u32) -> SafePath {
        // Names that begin with a directory's and go on with less than a slash, too.
        let text = match n % 3 {
            0 => format!("d{}/{n:05}", n % 5),
            1 => format!("d{} {n:05}", n % 5),
            _ => format!("d{}", n % 7),
        };
        SafePath::parse(&text).expect("a name")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn is_a_map_and_a_clone_stays_as_it_was(
            batches in proptest::collection::vec((0..4000_u32, 0..1500_u32, 1..7_u32, any::<bool>()), 1..8),
        ) {
            let (mut map, mut model) = (NameMap::default(), BTreeMap::new());
            for (round, (start, len, step, remove)) in batches.into_iter().enumerate() {
                let (held, before) = (map.clone(), model.clone());
                for n in (0..len).map(|n| (start + n * step) % 4000) {
                    if remove {
                        prop_assert_eq!(map.remove(&name(n)), model.remove(&name(n)));
                    } else if let (Some(value), Some(other)) = (map.get_mut(&name(n)), model.get_mut(&name(n))) {
                        (*value, *other) = (*value + 1, *other + 1);
                    } else {
                        map.insert(name(n), round);
                        model.insert(name(n), round);
                    }
                }
                prop_assert!(held.iter().eq(before.iter()), "a clone");
                prop_assert!(map.iter().eq(model.iter()));
                prop_assert_eq!(map.len(), model.len());
                prop_assert!(map.segments.iter().all(|segment| (1..=SEGMENT).contains(&segment.len())));
                let dir = SafePath::parse("d2").expect("a name");
                let below = model.iter().filter(|(name, _)| name.as_str().starts_with("d2/"));
                prop_assert!(map.below(&dir).eq(below));
            }
        }
    }

    #[test]
    fn what_comes_in_order_fills_segments() {
        let mut map = NameMap::default();
        (0..3 * SEGMENT).for_each(|n| map.insert(SafePath::parse(&format!("{n:05}")).expect("a name"), n));
        assert_eq!(map.segments.iter().map(|segment| segment.len()).collect::<Vec<_>>(), [SEGMENT; 3]);
    }
}
