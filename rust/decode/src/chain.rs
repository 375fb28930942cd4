//! Several decoders, asked in order.

use std::fmt;
use std::sync::Arc;

use edusense_bitstream::AccessUnit;

use crate::{Band, Decoder, Detail, Refusal};

/// Decoders in the order in which they are asked: the cheapest first, the one that can do everything last.
#[derive(Clone)]
pub struct Chain {
    decoders: Vec<Arc<dyn Decoder>>,
}

/// Who decoded a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Name of the decoder that gave the last wanted picture.
    pub decoder: &'static str,
    /// Those asked before it, and why each refused.
    pub refused: Vec<(&'static str, Refusal)>,
}

/// Nobody could give all wanted pictures of a run; those that were whole have gone to the sink.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no decoder took it: {}", Reasons(reasons))]
pub struct AllRefused {
    /// Each decoder with its reason, in the order in which they were asked.
    pub reasons: Vec<(&'static str, Refusal)>,
    /// How many wanted pictures were given all the same.
    pub given: usize,
}

impl AllRefused {
    /// Codes that [`Self::code`] can return.
    pub const CODES: &'static [&'static str] = &["picture-damaged", "picture-declined"];

    /// Damage seen by any decoder is damage; otherwise the run was declined.
    #[must_use]
    pub fn code(&self) -> &'static str {
        let damaged =
            |(_, refusal): &(&'static str, Refusal)| matches!(refusal, Refusal::Damaged { .. });
        if self.reasons.iter().any(damaged) {
            Self::CODES[0]
        } else {
            Self::CODES[1]
        }
    }

    /// What to do next, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        (self.code() == "picture-declined").then(|| {
            "`edusense video inspect SOURCE` shows each decoder with its reason".to_owned()
        })
    }
}

struct Reasons<'a>(&'a [(&'static str, Refusal)]);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("there is none");
        }
        for (index, (name, refusal)) in self.0.iter().enumerate() {
            write!(
                out,
                "{}{name}: {refusal}",
                if index == 0 { "" } else { "; " }
            )?;
        }
        Ok(())
    }
}

impl Chain {
    /// A chain that asks `decoders` in this order.
    #[must_use]
    pub fn new(decoders: Vec<Arc<dyn Decoder>>) -> Self {
        Self { decoders }
    }

    /// Names in the order in which they are asked.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.decoders.iter().map(|decoder| decoder.name())
    }

    /// Decodes the wanted pictures of a run with the first decoder that takes them.
    ///
    /// What one decoder gave before it refused is not asked again of the next, so `sink` sees each picture whole once; one that
    /// broke off is begun again from its top.
    ///
    /// # Errors
    /// [`AllRefused`] with every decoder's reason.
    pub fn decode(
        &self,
        run: &[AccessUnit],
        wanted: &dyn Fn(usize) -> bool,
        detail: Detail,
        sink: &mut dyn FnMut(usize, Band<'_>),
    ) -> Result<Taken, AllRefused> {
        let mut given = vec![false; run.len()];
        let mut refused = Vec::new();
        for decoder in &self.decoders {
            let before = given.clone();
            let still_wanted =
                |index: usize| wanted(index) && !before.get(index).copied().unwrap_or(true);
            let answer = decoder.decode(run, &still_wanted, detail, &mut |index, band| {
                if let Some(given @ false) = given.get_mut(index) {
                    *given = band.is_last();
                    sink(index, band);
                }
            });
            match answer {
                Ok(()) => {
                    return Ok(Taken {
                        decoder: decoder.name(),
                        refused,
                    });
                }
                Err(refusal) => refused.push((decoder.name(), refusal)),
            }
        }
        Err(AllRefused {
            reasons: refused,
            given: given.iter().filter(|given| **given).count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LumaView, Shape};
    use edusense_bitstream::Codec;

    /// Gives the first `whole` pictures of a run, begins the next and refuses.
    struct Upto(&'static str, usize);

    impl Decoder for Upto {
        fn name(&self) -> &'static str {
            self.0
        }

        fn decode(
            &self,
            run: &[AccessUnit],
            wanted: &dyn Fn(usize) -> bool,
            _: Detail,
            sink: &mut dyn FnMut(usize, Band<'_>),
        ) -> Result<(), Refusal> {
            let shape = Shape {
                width: 1,
                height: 2,
                scale: 1,
            };
            let band = |top| Band::new(shape, top, LumaView::new(1, 1, 1, &[7]).unwrap()).unwrap();
            for index in (0..run.len().min(self.1)).filter(|index| wanted(*index)) {
                sink(index, band(0));
                sink(index, band(1));
            }
            if self.1 >= run.len() {
                return Ok(());
            }
            sink(self.1, band(0));
            Err(Refusal::Damaged {
                index: self.1,
                reason: "cut".to_owned(),
            })
        }
    }

    fn run(length: usize) -> Vec<AccessUnit> {
        let unit = |index: usize| AccessUnit {
            codec: Codec::H264,
            data: bytes::Bytes::new(),
            pts: index as i64,
            received_s: 0.0,
            key: index == 0,
            loss: 0,
        };
        (0..length).map(unit).collect()
    }

    #[test]
    fn every_picture_is_given_once_and_the_reasons_are_kept() {
        let chain = Chain::new(vec![
            Arc::new(Upto("first", 1)),
            Arc::new(Upto("second", 9)),
        ]);
        let mut seen = Vec::new();
        let taken = chain
            .decode(
                &run(3),
                &|index| index != 1,
                Detail::Motion,
                &mut |index, band| seen.extend(band.is_last().then_some(index)),
            )
            .unwrap();
        assert_eq!(seen, [0, 2]);
        assert_eq!(taken.decoder, "second");
        assert_eq!(taken.refused.len(), 1);
    }

    #[test]
    fn nobody_took_it() {
        let chain = Chain::new(vec![
            Arc::new(Upto("first", 1)),
            Arc::new(Upto("second", 2)),
        ]);
        let refused = chain
            .decode(&run(3), &|_| true, Detail::Whole, &mut |_, _| ())
            .unwrap_err();
        assert_eq!(refused.given, 2);
        assert_eq!(
            refused.to_string(),
            "no decoder took it: first: picture 1 of the run: cut; second: picture 2 of the run: cut"
        );
        assert_eq!(refused.code(), "picture-damaged");
        assert_eq!(
            Chain::new(Vec::new())
                .decode(&run(1), &|_| true, Detail::Whole, &mut |_, _| ())
                .unwrap_err()
                .code(),
            "picture-declined"
        );
    }
}
