//! What an earlier run left, looked at without touching it: no lock is taken and nothing is written.

use super::open::{lists, reader};
use super::{Names, PartialSpec};
use crate::io::dest::SafeDir;
use crate::io::journal::{BootId, Header, replay};
use crate::model::Bitfield;

/// The units that the journal claims; none where there is no journal of this content, or no data beside it.
pub(super) fn peek(parent: &SafeDir, spec: &PartialSpec) -> Option<Bitfield> {
    let names = Names::of(spec.id);
    parent.stat(&names.part).ok()??;
    let (header, mut reader) = reader(parent, &names)?;
    if header != (Header { id: spec.id, kind: spec.kind, size: spec.size }) {
        return None;
    }
    let claims = replay(&mut reader, spec.map.units(), BootId::now().0).ok()?;
    // What cannot be proven is fetched again.
    let listed: Vec<usize> = lists(spec, &claims).into_iter().map(|(index, _)| index).collect();
    let mut units = claims.have;
    for (index, file) in spec.map.files().iter().enumerate() {
        if file.layout.needs_list() && !listed.contains(&index) {
            for unit in file.units() {
                units.clear(unit);
            }
        }
    }
    Some(units)
}
