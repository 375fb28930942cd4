//! What came of a stream, picture by picture and without the pictures: for whoever measures a camera. Off by default.

use std::collections::VecDeque;

use crate::session::Arrived;

/// One picture as it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// Which of the stream's sessions, from 1 on: timestamps begin anew with each.
    pub session: u64,
    /// When its last packet was here, Unix seconds.
    pub received_s: f64,
    /// RTP timestamp as the camera gave it, freed of the 32-bit wrap.
    pub timestamp: i64,
    /// Compressed.
    pub bytes: usize,
    /// Decoding can start here.
    pub key: bool,
    /// Packets lost before it.
    pub loss: u32,
    /// Parameters changed with it: size, profile, anything.
    pub new_parameters: bool,
}

/// The last pictures of a stream, up to a number.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    most: usize,
    session: u64,
    rows: VecDeque<Arrival>,
}

impl Arrivals {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// A session plays.
    pub(crate) const fn begin(&mut self) {
        self.session += 1;
    }

    pub(crate) fn push(&mut self, picture: &Arrived, received_s: f64) {
        if self.most == 0 {
            return;
        }
        if self.rows.len() == self.most {
            self.rows.pop_front();
        }
        self.rows.push_back(Arrival {
            session: self.session,
            received_s,
            timestamp: picture.timestamp,
            bytes: picture.data.len(),
            key: picture.key,
            loss: picture.loss,
            new_parameters: picture.new_parameters,
        });
    }

    pub(crate) fn rows(&self) -> Vec<Arrival> {
        self.rows.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use edusense_bitstream::Codec;

    use super::*;

    fn picture(timestamp: i64) -> Arrived {
        Arrived {
            codec: Codec::H264,
            data: Bytes::from_static(b"12345"),
            timestamp,
            key: timestamp == 0,
            loss: 0,
            new_parameters: false,
        }
    }

    #[test]
    fn the_last_ones_are_kept_with_their_session() {
        let mut arrivals = Arrivals::new(3);
        arrivals.begin();
        arrivals.push(&picture(0), 1.0);
        arrivals.push(&picture(3600), 2.0);
        arrivals.begin();
        arrivals.push(&picture(0), 3.0);
        arrivals.push(&picture(3600), 4.0);
        let rows = arrivals.rows();
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.session, row.timestamp))
            .collect();
        assert_eq!(found, [(1, 3600), (2, 0), (2, 3600)]);
        assert_eq!((rows[1].bytes, rows[1].key), (5, true));
    }

    #[test]
    fn nothing_is_kept_where_nobody_asked_for_it() {
        let mut arrivals = Arrivals::new(0);
        arrivals.push(&picture(0), 1.0);
        assert!(arrivals.rows().is_empty());
    }
}
