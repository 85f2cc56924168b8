//! The format of the records, as the board and the store each know it.

use molt_domain::board::{Format, Formats};

/// What the board is told of the store's format and of the program's.
pub(super) fn formats(stored: molt_store::Format, program: molt_store::Format) -> Formats {
    let of_board = |molt_store::Format { written, min_reader, min_writer }| Format {
        written,
        min_reader,
        min_writer,
    };
    Formats { stored: of_board(stored), program: of_board(program) }
}

/// What the store is told.
pub(super) fn of_store(format: Format) -> molt_store::Format {
    let Format { written, min_reader, min_writer } = format;
    molt_store::Format { written, min_reader, min_writer }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rules_and_the_store_write_the_same_format() {
        assert_eq!(super::of_store(molt_domain::board::Format::NEWEST), molt_store::FORMAT);
    }
}
