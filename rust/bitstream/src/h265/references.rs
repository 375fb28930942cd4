//! Short-term reference picture sets (clauses 7.3.7 and 7.4.8).

use h264_reader::rbsp::BitRead;

use super::{Fault, impossible};
use crate::bits::Bits;

/// Pictures that a set can hold (`sps_max_dec_pic_buffering_minus1` is at most 15).
const MOST: usize = 16;

/// One set: how far each picture is away in output order, those before first, nearest first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct References {
    before: usize,
    count: usize,
    distance: [i32; MOST],
    used: [bool; MOST],
}

impl References {
    /// How many of them the current picture may refer to.
    pub(super) fn used(&self) -> u32 {
        self.used[..self.count].iter().filter(|used| **used).count() as u32
    }

    fn push(&mut self, distance: i32, used: bool) -> Result<(), Fault> {
        let Some(place) = self.distance.get_mut(self.count) else {
            return impossible(format!("more than {MOST} pictures in a set"));
        };
        *place = distance;
        self.used[self.count] = used;
        self.count += 1;
        Ok(())
    }

    /// `st_ref_pic_set()`, with those that were sent before it.
    ///
    /// `own`: it stands in a slice header, behind all of the sequence.
    pub(super) fn read(bits: &mut Bits<'_>, earlier: &[Self], own: bool) -> Result<Self, Fault> {
        if !earlier.is_empty() && bits.read_bit("inter_ref_pic_set_prediction_flag")? {
            return Self::read_predicted(bits, earlier, own);
        }
        let mut set = Self::default();
        let negative = bits.read_ue("num_negative_pics")?;
        let positive = bits.read_ue("num_positive_pics")?;
        if negative as usize > MOST || positive as usize > MOST - negative as usize {
            return impossible(format!("{negative} and {positive} pictures"));
        }
        for (count, sign) in [(negative, -1), (positive, 1)] {
            let mut distance = 0;
            for _ in 0..count {
                distance += sign * (bits.read_ue("delta_poc_minus1")? as i32 + 1);
                let used = bits.read_bit("used_by_curr_pic_flag")?;
                set.push(distance, used)?;
            }
            if sign < 0 {
                set.before = set.count;
            }
        }
        Ok(set)
    }

    /// A set that is told by its difference from an earlier one (equations 7-61 and 7-62).
    fn read_predicted(bits: &mut Bits<'_>, earlier: &[Self], own: bool) -> Result<Self, Fault> {
        // Only a slice may choose which one.
        let back = if own {
            bits.read_ue("delta_idx_minus1")? as usize + 1
        } else {
            1
        };
        let from = earlier.len().checked_sub(back);
        let Some(from) = from.and_then(|from| earlier.get(from)) else {
            return impossible(back);
        };
        let negative = bits.read_bit("delta_rps_sign")?;
        let size = bits.read_ue("abs_delta_rps_minus1")? as i32 + 1;
        let delta = if negative { -size } else { size };
        // One flag for each of its pictures, and one for the picture that it was of.
        let mut flags = [(false, false); MOST + 1];
        for flag in &mut flags[..=from.count] {
            let used = bits.read_bit("used_by_curr_pic_flag")?;
            *flag = (used, used || bits.read_bit("use_delta_flag")?);
        }
        let itself = (delta, flags[from.count]);
        let picture = |at: usize| (from.distance[at] + delta, flags[at]);
        let mut set = Self::default();
        let keep = |set: &mut Self, (distance, (used, kept)): (i32, (bool, bool)), sign: i32| {
            if kept && distance.signum() == sign {
                set.push(distance, used)
            } else {
                Ok(())
            }
        };
        // Nearest first: before the picture those that were after the other one come last to first, and the other way round.
        (from.before..from.count)
            .rev()
            .try_for_each(|at| keep(&mut set, picture(at), -1))?;
        keep(&mut set, itself, -1)?;
        (0..from.before).try_for_each(|at| keep(&mut set, picture(at), -1))?;
        set.before = set.count;
        (0..from.before)
            .rev()
            .try_for_each(|at| keep(&mut set, picture(at), 1))?;
        keep(&mut set, itself, 1)?;
        (from.before..from.count).try_for_each(|at| keep(&mut set, picture(at), 1))?;
        Ok(set)
    }
}
