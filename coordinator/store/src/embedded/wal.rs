//! Reads SQLite's write-ahead log, to know what a recovery will do before SQLite does it.
//!
//! SQLite itself takes the log up to the last commit whose checksums hold and silently drops the
//! rest. After a crash that is right, for the rest was never acknowledged. It is wrong if the
//! medium lost something in the middle, for then acknowledged commits go with it; so that is
//! told apart here: each commit is on the disk before the next one begins, so a crash can break
//! only the last one.
//!
//! The layout is in SQLite's file format, section "The Write-Ahead Log": a header of 32 bytes,
//! then frames of 24 bytes and one page each. A frame belongs to the log's present run if it
//! bears the header's two salts; older runs may follow in the file, as it is used again from its
//! start. Checksums run on from frame to frame.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::Tail;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The lowest bit says in which order the checksums take their bytes.
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;

/// What a log holds for whoever recovers from it.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The pages that whole commits in it have written.
    pub(super) pages: HashSet<u32>,
    /// How many pages the database has after the last whole commit, if there is one.
    pub(super) database_pages: Option<u32>,
    /// The first page as the last whole commit left it, if one wrote it.
    pub(super) first_page: Option<Vec<u8>>,
    /// What follows that commit.
    pub(super) tail: Tail,
}

/// Why a log cannot be recovered from.
#[derive(Debug)]
pub(super) enum WalError {
    /// It cannot be read.
    Io(io::Error),
    /// It has lost something that no crash takes away.
    Damaged(String),
}

impl From<io::Error> for WalError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the log at `path`. A log that is not there is an empty one.
pub(super) fn read(path: &Path) -> Result<Log, WalError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Log::default()),
        Err(error) => return Err(error.into()),
    };
    let length = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut header = [0; HEADER_BYTES];
    if fill(&mut reader, &mut header)? < HEADER_BYTES || header == [0; HEADER_BYTES] {
        // The header is on the disk before the first frame is written.
        return Ok(Log::default());
    }
    let Some(header) = Header::parse(&header) else {
        return Err(WalError::Damaged(format!(
            "the header of a write-ahead log of {length} bytes fails its checksum"
        )));
    };
    Scan::new(header).run(&mut reader)
}

/// What the log's header says.
struct Header {
    page_bytes: usize,
    salts: [u8; 8],
    sum: Checksum,
}

impl Header {
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(bytes, 0);
        let order = match magic.checked_sub(MAGIC)? {
            0 => Order::Little,
            1 => Order::Big,
            _ => return None,
        };
        let sum = Checksum { order, s0: 0, s1: 0 }.over(&bytes[..24]);
        let page_bytes = word(bytes, 8);
        let sound = word(bytes, 4) == VERSION
            && page_bytes.is_power_of_two()
            && (512..=65_536).contains(&page_bytes)
            && sum.is_stored_in(bytes, 24);
        let mut salts = [0; 8];
        salts.copy_from_slice(&bytes[16..24]);
        sound.then_some(Self { page_bytes: usize::try_from(page_bytes).ok()?, salts, sum })
    }
}

/// One pass over the frames.
struct Scan {
    header: Header,
    log: Log,
    /// The checksum that the next frame continues.
    sum: Checksum,
    /// Pages of the transaction that has not met its commit frame yet.
    pending: HashSet<u32>,
    pending_first_page: Option<Vec<u8>>,
    /// The first frame that does not continue the log, counted from 1.
    broken_at: Option<u64>,
    /// Commit frames in the run of frames that continue each other after the break.
    commits_in_run: u32,
    dropped: u64,
}

impl Scan {
    fn new(header: Header) -> Self {
        let sum = header.sum;
        Self {
            header,
            log: Log::default(),
            sum,
            pending: HashSet::new(),
            pending_first_page: None,
            broken_at: None,
            commits_in_run: 0,
            dropped: 0,
        }
    }

    fn run(mut self, reader: &mut impl Read) -> Result<Log, WalError> {
        let mut frame = vec![0; FRAME_HEADER_BYTES + self.header.page_bytes];
        let mut unfinished = 0;
        for number in 1.. {
            let got = fill(reader, &mut frame)?;
            if got < frame.len() {
                self.dropped += as_u64(got);
                break;
            }
            if self.broken_at.is_none() {
                if self.take(&frame) {
                    unfinished = if self.pending.is_empty() { 0 } else { unfinished + as_u64(got) };
                    continue;
                }
                self.broken_at = Some(number);
            }
            self.look_past_the_break(&frame)?;
        }
        self.dropped += unfinished;
        if self.dropped > 0 {
            self.log.tail = Tail::Dropped { bytes: self.dropped };
        }
        Ok(self.log)
    }

    /// Takes a frame that continues the log; answers whether it does.
    fn take(&mut self, frame: &[u8]) -> bool {
        let page = word(frame, 0);
        let sum = self.sum.over_frame(frame);
        if !self.is_of_this_run(frame) || page == 0 || !sum.is_stored_in(frame, 16) {
            return false;
        }
        self.sum = sum;
        self.pending.insert(page);
        if page == 1 {
            self.pending_first_page = Some(frame[FRAME_HEADER_BYTES..].to_vec());
        }
        if let Some(pages) = commit_mark(frame) {
            self.log.pages.extend(self.pending.drain());
            self.log.database_pages = Some(pages);
            if let Some(page) = self.pending_first_page.take() {
                self.log.first_page = Some(page);
            }
        }
        true
    }

    /// Counts commits that continue each other after the break. One is what a crash leaves, or a
    /// disk that refused to sync; a second one began after the first was on the disk.
    fn look_past_the_break(&mut self, frame: &[u8]) -> Result<(), WalError> {
        if !self.is_of_this_run(frame) {
            self.commits_in_run = 0;
            return Ok(());
        }
        self.dropped += as_u64(frame.len());
        if !self.sum.over_frame(frame).is_stored_in(frame, 16) {
            self.commits_in_run = 0;
        }
        self.sum = self.sum.stored_in(frame, 16);
        if commit_mark(frame).is_some() {
            self.commits_in_run += 1;
        }
        match self.broken_at {
            Some(frame) if self.commits_in_run >= 2 => Err(WalError::Damaged(format!(
                "frame {frame} of the write-ahead log is broken, but whole commits follow it"
            ))),
            _ => Ok(()),
        }
    }

    fn is_of_this_run(&self, frame: &[u8]) -> bool {
        frame[8..16] == self.header.salts
    }
}

/// How many pages the database has after this frame, if it ends a commit.
fn commit_mark(frame: &[u8]) -> Option<u32> {
    Some(word(frame, 4)).filter(|&pages| pages != 0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// SQLite's running checksum.
#[derive(Clone, Copy, Debug)]
struct Checksum {
    order: Order,
    s0: u32,
    s1: u32,
}

impl Checksum {
    /// The checksum after `bytes` too, whose number is a multiple of 8.
    fn over(self, bytes: &[u8]) -> Self {
        let number = |at: usize, pair: &[u8]| {
            let four = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
            match self.order {
                Order::Little => u32::from_le_bytes(four),
                Order::Big => u32::from_be_bytes(four),
            }
        };
        let (mut s0, mut s1) = (self.s0, self.s1);
        for pair in bytes.chunks_exact(8) {
            s0 = s0.wrapping_add(number(0, pair)).wrapping_add(s1);
            s1 = s1.wrapping_add(number(4, pair)).wrapping_add(s0);
        }
        Self { order: self.order, s0, s1 }
    }

    /// The checksum after a frame: the first 8 bytes of its header, and its page.
    fn over_frame(self, frame: &[u8]) -> Self {
        self.over(&frame[..8]).over(&frame[FRAME_HEADER_BYTES..])
    }

    fn stored_in(self, bytes: &[u8], at: usize) -> Self {
        Self { order: self.order, s0: word(bytes, at), s1: word(bytes, at + 4) }
    }

    fn is_stored_in(self, bytes: &[u8], at: usize) -> bool {
        self.s0 == word(bytes, at) && self.s1 == word(bytes, at + 4)
    }
}

/// The big-endian number in the four bytes of `bytes` from `at` on.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, &byte| (number << 8) | u32::from(byte))
}

/// Reads until `buffer` is full or the file ends; answers how many bytes it got.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match reader.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn as_u64(bytes: usize) -> u64 {
    // No machine has more address space than this.
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
