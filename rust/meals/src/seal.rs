//! Seals: one small signed file for each segment that is full, with the Merkle root over its records. It stays when the segment is
//! pruned: by it a copy of the records, from the hub or from a stick, can still be held against what was here.

use std::collections::HashMap;
use std::io;

use crate::batch::array;
use crate::error::MealsError;
use crate::key::{Key, PublicKey, SIGNATURE_BYTES, is_signed_by};
use crate::merkle::{self, Hash};
use crate::pruned::{self, write_whole};
use crate::record::{RECORD_BYTES, Record, chain};
use crate::segments::{self, MOST_CAPACITY, Segment};
use crate::storage::Storage;
use crate::{SEGMENT_RECORDS, mark};

const SUFFIX: &str = ".seal";
const MAGIC: [u8; 4] = *b"EDL\x01";
const HEAD_BYTES: usize = 168;
const LINE_BYTES: usize = 24;
const MOST_BYTES: u64 = (HEAD_BYTES + SIGNATURE_BYTES) as u64 + MOST_CAPACITY * LINE_BYTES as u64;

/// The records of one terminal's epoch that stand in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The terminal's number.
    pub terminal: u32,
    /// The epoch.
    pub epoch: u32,
    /// Sequence of the first one.
    pub first: u64,
    /// Sequence of the last one.
    pub last: u64,
}

/// What a seal says of its segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// School in the last record.
    pub school: u32,
    /// Position of the first record.
    pub first: u64,
    /// Records, all that the segment has room for.
    pub count: u32,
    /// Time of the last record, Unix microseconds.
    pub time: i64,
    /// Earliest and latest day of any record; 0 where none has one.
    pub days: (u32, u32),
    /// Merkle root (RFC 6962) over the records.
    pub root: Hash,
    /// SHA-256 of the record before the first one; zeros where that is the ledger's first.
    pub before: Hash,
    /// SHA-256 of the last record.
    pub head: Hash,
    /// Which records they are, in the order in which terminals and epochs begin in the segment.
    pub lines: Vec<Line>,
    /// The box's key that signed.
    pub key: PublicKey,
}

/// The name of a segment's seal.
pub(crate) fn name_of(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// Whether a file is a seal, by its name: then the position of its first record.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    segments::number_of(name, SUFFIX)
}

impl Seal {
    /// Position after the last record.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    fn signed(&self, key: &Key) -> Vec<u8> {
        let mut raw = Self {
            key: key.public(),
            ..self.clone()
        }
        .encode();
        let signature = key.sign(&raw);
        raw.extend_from_slice(&signature);
        raw
    }

    fn encode(&self) -> Vec<u8> {
        let mut raw = vec![0; HEAD_BYTES];
        raw[..4].copy_from_slice(&MAGIC);
        raw[4..8].copy_from_slice(&self.school.to_le_bytes());
        raw[8..16].copy_from_slice(&self.first.to_le_bytes());
        raw[16..20].copy_from_slice(&self.count.to_le_bytes());
        let lines = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        raw[20..24].copy_from_slice(&lines.to_le_bytes());
        raw[24..32].copy_from_slice(&self.time.to_le_bytes());
        raw[32..36].copy_from_slice(&self.days.0.to_le_bytes());
        raw[36..40].copy_from_slice(&self.days.1.to_le_bytes());
        raw[40..72].copy_from_slice(&self.root);
        raw[72..104].copy_from_slice(&self.before);
        raw[104..136].copy_from_slice(&self.head);
        raw[136..168].copy_from_slice(&self.key);
        for line in &self.lines {
            raw.extend_from_slice(&line.terminal.to_le_bytes());
            raw.extend_from_slice(&line.epoch.to_le_bytes());
            raw.extend_from_slice(&line.first.to_le_bytes());
            raw.extend_from_slice(&line.last.to_le_bytes());
        }
        raw
    }

    /// Reads one and checks that it was signed with the key that it names.
    ///
    /// # Errors
    /// [`MealsError::Batch`]: it is cut short, none, or altered.
    pub fn decode(raw: &[u8]) -> Result<Self, MealsError> {
        let refused = |what: &str| {
            Err(MealsError::Batch {
                what: what.to_owned(),
            })
        };
        if raw.len() < HEAD_BYTES + SIGNATURE_BYTES || raw[..4] != MAGIC {
            return refused("it does not begin as a seal does");
        }
        let (body, signature) = raw.split_at(raw.len() - SIGNATURE_BYTES);
        let key: PublicKey = array(body, 136);
        if !is_signed_by(&key, body, &array::<SIGNATURE_BYTES>(signature, 0)) {
            return refused("its signature does not fit: it was altered");
        }
        let found = Self {
            school: u32::from_le_bytes(array(body, 4)),
            first: u64::from_le_bytes(array(body, 8)),
            count: u32::from_le_bytes(array(body, 16)),
            time: i64::from_le_bytes(array(body, 24)),
            days: (
                u32::from_le_bytes(array(body, 32)),
                u32::from_le_bytes(array(body, 36)),
            ),
            root: array(body, 40),
            before: array(body, 72),
            head: array(body, 104),
            key,
            lines: body[HEAD_BYTES..]
                .as_chunks::<LINE_BYTES>()
                .0
                .iter()
                .map(|line| Line {
                    terminal: u32::from_le_bytes(array(line, 0)),
                    epoch: u32::from_le_bytes(array(line, 4)),
                    first: u64::from_le_bytes(array(line, 8)),
                    last: u64::from_le_bytes(array(line, 16)),
                })
                .collect(),
        };
        let meant = found.first <= segments::MOST_RECORDS
            && (1..=MOST_CAPACITY).contains(&u64::from(found.count))
            && body == found.encode();
        if meant {
            Ok(found)
        } else {
            refused("its lengths contradict each other")
        }
    }

    /// What a full segment's seal has to say; the key is zero.
    ///
    /// # Errors
    /// [`MealsError::Damaged`]: one of its records is not sound. Errors of the system.
    pub(crate) fn of_segment(segment: &Segment) -> Result<Self, MealsError> {
        Self::compute(segment, true)
    }

    /// The same of a segment whose chain somebody else looks at.
    ///
    /// # Errors
    /// As [`Self::of_segment`], but for records that do not follow one another.
    pub(crate) fn of_chained(segment: &Segment) -> Result<Self, MealsError> {
        Self::compute(segment, false)
    }

    fn compute(segment: &Segment, chained: bool) -> Result<Self, MealsError> {
        let damaged = |position: u64, what: String| MealsError::Damaged {
            segment: segment.name.clone(),
            offset: segment.offset(position),
            record: position,
            what,
        };
        let mut leaves = Vec::new();
        let mut lines: Vec<Line> = Vec::new();
        let mut known: HashMap<(u32, u32), usize> = HashMap::new();
        let (mut before, mut head, mut days) = (None, [0; 32], (0, 0));
        let (mut time, mut school) = (0, 0);
        let mut position = segment.first;
        while position < segment.end() {
            let count = (segment.end() - position).min(SEGMENT_RECORDS);
            let mut bytes = vec![0; usize::try_from(count).unwrap_or(0) * RECORD_BYTES];
            segment
                .read(position, &mut bytes)
                .map_err(|error| MealsError::io(format!("reading `{}`", segment.name), &error))?;
            for raw in bytes.as_chunks::<RECORD_BYTES>().0 {
                let record =
                    Record::decode(raw).map_err(|flaw| damaged(position, flaw.to_string()))?;
                if chained && before.is_some() && record.previous != head {
                    return Err(damaged(
                        position,
                        "does not follow the record before it".to_owned(),
                    ));
                }
                before = before.or(Some(record.previous));
                if chained || position + 1 == segment.end() {
                    head = chain(raw);
                }
                leaves.push(merkle::leaf(raw));
                (time, school) = (record.time, record.school);
                if record.day > 0 {
                    let first = if days.0 == 0 { u32::MAX } else { days.0 };
                    days = (first.min(record.day), days.1.max(record.day));
                }
                let line = *known
                    .entry((record.terminal, record.epoch))
                    .or_insert_with(|| {
                        lines.push(Line {
                            terminal: record.terminal,
                            epoch: record.epoch,
                            first: record.sequence,
                            last: record.sequence,
                        });
                        lines.len() - 1
                    });
                if let Some(line) = lines.get_mut(line) {
                    line.last = record.sequence;
                }
                position += 1;
            }
        }
        Ok(Self {
            school,
            first: segment.first,
            count: u32::try_from(segment.capacity).unwrap_or(u32::MAX),
            time,
            days,
            root: merkle::root(&leaves),
            before: before.unwrap_or_default(),
            head,
            lines,
            key: [0; 32],
        })
    }

    /// Whether two say the same of a segment, whoever signed them.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        Self {
            key: other.key,
            ..self.clone()
        } == *other
    }
}

/// Reads a segment's seal; `None` where there is none.
///
/// # Errors
/// [`MealsError::Batch`]: it is damaged. Errors of the system.
pub(crate) fn read(storage: &dyn Storage, first: u64) -> Result<Option<Seal>, MealsError> {
    let name = name_of(first);
    let doing = |error: &io::Error| MealsError::io(format!("reading `{name}`"), error);
    let file = match storage.open(&name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(doing(&error)),
    };
    let length = file
        .length()
        .map_err(|error| doing(&error))?
        .min(MOST_BYTES);
    let mut raw = vec![0; usize::try_from(length).unwrap_or(0)];
    let count = file.read_at(&mut raw, 0).map_err(|error| doing(&error))?;
    let found = Seal::decode(&raw[..count])?;
    if found.first != first {
        return Err(MealsError::Batch {
            what: format!("it is the seal of the segment at {}", found.first),
        });
    }
    Ok(Some(found))
}

/// Seals one segment, unless that is done; what is there already must say the same.
///
/// # Errors
/// [`MealsError::Damaged`]: the segment is not sound, or its seal says something else. Errors of the system.
pub(crate) fn make(
    storage: &dyn Storage,
    segment: &Segment,
    found: Seal,
    key: &Key,
) -> Result<(Seal, bool), MealsError> {
    // A seal that cannot be read is rot of a file that can be made again, as long as the segment is there.
    match read(storage, segment.first) {
        Ok(Some(seal)) if seal.agrees_with(&found) => return Ok((seal, false)),
        Ok(Some(_)) => {
            return Err(MealsError::Damaged {
                segment: segment.name.clone(),
                offset: 0,
                record: segment.first,
                what: format!(
                    "its seal `{}` says something else of it: one of the two was changed",
                    name_of(segment.first)
                ),
            });
        }
        Ok(None) | Err(MealsError::Batch { .. }) => {}
        Err(error) => return Err(error),
    }
    let name = name_of(segment.first);
    let seal = Seal {
        key: key.public(),
        ..found
    };
    write_whole(storage, &name, &format!("{name}.new"), &seal.signed(key))
        .map_err(|error| MealsError::io(format!("writing `{name}`"), &error))?;
    Ok((seal, true))
}

/// The segments that are full, confirmed, and not the last one: those that nothing is written to any more.
pub(crate) fn full(segments: &[Segment], synced: u64) -> &[Segment] {
    let others = segments.len().saturating_sub(1);
    let count = segments[..others]
        .iter()
        .take_while(|segment| segment.end() <= synced)
        .count();
    &segments[..count]
}

/// Seals all segments that are full and have no seal; may run beside a writer. Returns the new seals.
///
/// # Errors
/// [`MealsError::Damaged`]: a segment is not sound, or is not what its seal says. Errors of the system.
pub fn seal(storage: &dyn Storage, key: &Key) -> Result<Vec<Seal>, MealsError> {
    let found = pruned::read(storage)?;
    let (segments, _) = pruned::segments_of(storage, SEGMENT_RECORDS, &found.pruned)?;
    let mark = mark::read(storage)
        .map_err(|error| MealsError::io(format!("reading `{}`", mark::MARK_NAME), &error))?;
    let mut made = Vec::new();
    let mut head = found.pruned.head;
    let mut end = found.pruned.until;
    for segment in full(&segments, mark.mark.synced) {
        let found = Seal::of_segment(segment)?;
        if segment.first != end || found.before != head {
            return Err(MealsError::Damaged {
                segment: segment.name.clone(),
                offset: 0,
                record: segment.first,
                what: "does not follow the record before it".to_owned(),
            });
        }
        let (seal, new) = make(storage, segment, found, key)?;
        (head, end) = (seal.head, seal.end());
        if new {
            made.push(seal);
        }
    }
    Ok(made)
}
