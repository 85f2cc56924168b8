//! How records are written, for who upgrades a fleet.

use molt_domain::board::{Board, Format, Formats};

use crate::v1;

pub(super) fn format(board: &Board) -> v1::FormatView {
    let Formats { stored, program } = board.formats();
    let oldest = |format: Format| format.min_reader.max(format.min_writer);
    v1::FormatView {
        stored: stored.written,
        stored_oldest: oldest(stored),
        program: program.written,
        program_oldest: oldest(program),
    }
}
