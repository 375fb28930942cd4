//! Where motion counts: polygons in shares of the picture, laid over the cells of the small picture.

/// A polygon's corners in order, as shares of the picture: `[0, 0]` is the upper left, `[1, 1]` the lower right.
pub type Polygon = Vec<[f32; 2]>;

/// Where motion counts. With none, it counts everywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Zones {
    /// Where there are any, only what moves in one of them counts.
    pub watch: Vec<Polygon>,
    /// What moves in one of them never counts, also where it is watched.
    pub ignore: Vec<Polygon>,
}

impl Zones {
    /// Which cells of a small picture count; `None` where all do.
    pub(crate) fn mask(&self, width: usize, height: usize) -> Option<Mask> {
        if width * height == 0 || self.watch.is_empty() && self.ignore.is_empty() {
            return None;
        }
        let cells = width * height;
        let lay = |zones: &[Polygon]| {
            let mut covered = vec![false; cells];
            for zone in zones {
                cover(zone, width, height, &mut covered);
            }
            covered
        };
        let mut counts = if self.watch.is_empty() {
            vec![true; cells]
        } else {
            lay(&self.watch)
        };
        for (counts, ignored) in counts.iter_mut().zip(lay(&self.ignore)) {
            *counts &= !ignored;
        }
        counts.contains(&false).then(|| Mask::new(counts, width))
    }
}

/// Which cells count.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mask {
    counts: Vec<bool>,
    width: usize,
    /// Cells that count and have a neighbour that does not.
    border: Vec<usize>,
}

impl Mask {
    fn new(counts: Vec<bool>, width: usize) -> Self {
        let height = counts.len() / width;
        let mixed = |at: &usize| {
            counts[*at] && around(*at, width, height).any(|neighbour| !counts[neighbour])
        };
        let border = (0..counts.len()).filter(mixed).collect();
        Self {
            counts,
            width,
            border,
        }
    }

    /// Which cells do not count.
    pub(crate) fn closed(&self) -> Vec<bool> {
        self.counts.iter().map(|counts| !counts).collect()
    }

    /// Takes out of the evidence what does not count. Evidence is averaged over 3 × 3 cells: what moves just beyond the border has
    /// left some on this side of it, which goes as well.
    pub(crate) fn apply(&self, single: &[f32], evidence: &mut [f32]) {
        let height = self.counts.len() / self.width;
        for &at in &self.border {
            let (mut all, mut own) = (0.0, 0.0);
            for neighbour in around(at, self.width, height) {
                all += single[neighbour];
                own += single[neighbour] * f32::from(u8::from(self.counts[neighbour]));
            }
            evidence[at] *= if all > 0.0 { own / all } else { 0.0 };
        }
        for (evidence, counts) in evidence.iter_mut().zip(&self.counts) {
            if !counts {
                *evidence = 0.0;
            }
        }
    }
}

/// A cell and its eight neighbours; the picture's border is repeated, as where differences are averaged.
fn around(at: usize, width: usize, height: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (at % width, at / width);
    let near = |at: usize, most: usize| [at.saturating_sub(1), at, (at + 1).min(most - 1)];
    let columns = near(x, width);
    near(y, height)
        .into_iter()
        .flat_map(move |y| columns.map(|x| y * width + x))
}

/// Marks the cells whose middle is in a polygon; of a polygon smaller than that, those that its corners are in.
fn cover(polygon: &[[f32; 2]], width: usize, height: usize, covered: &mut [bool]) {
    let middle = |at: usize, of: usize| (at as f32 + 0.5) / of as f32;
    let mut any = false;
    for (at, covered) in covered.iter_mut().enumerate() {
        if contains(
            polygon,
            middle(at % width, width),
            middle(at / width, height),
        ) {
            (any, *covered) = (true, true);
        }
    }
    if any {
        return;
    }
    for [x, y] in polygon {
        let cell = |share: f32, of: usize| {
            let inside = (0.0..=1.0).contains(&share);
            inside.then(|| ((share * of as f32) as usize).min(of - 1))
        };
        if let (Some(x), Some(y)) = (cell(*x, width), cell(*y, height)) {
            covered[y * width + x] = true;
        }
    }
}

/// Whether a point is in a polygon: an odd number of sides lies to its right.
fn contains(polygon: &[[f32; 2]], x: f32, y: f32) -> bool {
    let sides = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let crossed = sides.filter(|([x0, y0], [x1, y1])| {
        (*y0 > y) != (*y1 > y) && x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    });
    crossed.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(watch: &[&[[f32; 2]]], ignore: &[&[[f32; 2]]]) -> Zones {
        let all = |list: &[&[[f32; 2]]]| list.iter().map(|zone| zone.to_vec()).collect();
        Zones {
            watch: all(watch),
            ignore: all(ignore),
        }
    }

    const LEFT: [[f32; 2]; 4] = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]];
    const TOP: [[f32; 2]; 4] = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.5], [0.0, 0.5]];

    #[test]
    fn nothing_is_masked_without_zones_or_by_a_zone_that_is_all() {
        assert_eq!(Zones::default().mask(4, 4), None);
        let all: [[f32; 2]; 4] = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        assert_eq!(zones(&[&all], &[]).mask(4, 4), None);
    }

    #[test]
    fn watched_places_count_and_ignored_ones_never_do() {
        let count = |zones: Zones| {
            zones
                .mask(4, 4)
                .map(|mask| mask.counts.iter().filter(|cell| **cell).count())
        };
        assert_eq!(count(zones(&[&LEFT], &[])), Some(8));
        assert_eq!(count(zones(&[], &[&LEFT])), Some(8));
        assert_eq!(count(zones(&[&LEFT], &[&TOP])), Some(4));
        assert_eq!(count(zones(&[&LEFT, &TOP], &[])), Some(12));
    }

    #[test]
    fn a_zone_smaller_than_a_cell_is_seen() {
        let tiny: [[f32; 2]; 3] = [[0.51, 0.51], [0.52, 0.51], [0.52, 0.52]];
        let mask = zones(&[&tiny], &[]).mask(4, 4);
        assert_eq!(
            mask.map(|mask| mask.counts.iter().position(|cell| *cell)),
            Some(Some(10))
        );
    }

    #[test]
    fn what_moves_beyond_the_border_leaves_nothing_on_this_side() {
        let Some(mask) = zones(&[], &[&LEFT]).mask(6, 6) else {
            panic!("half is masked")
        };
        let apply = |moving: usize| {
            let mut single = vec![0.0; 36];
            single[moving] = 9.0;
            let mut evidence: Vec<f32> = (0..36)
                .map(|at| around(at, 6, 6).map(|cell| single[cell]).sum::<f32>() / 9.0)
                .collect();
            mask.apply(&single, &mut evidence);
            evidence
        };
        assert!(apply(14).iter().all(|evidence| *evidence == 0.0));
        let inside = apply(15);
        let seen: Vec<usize> = (0..36).filter(|at| inside[*at] > 0.9).collect();
        assert_eq!(seen, [9, 10, 15, 16, 21, 22]);
    }

    #[test]
    fn polygons_that_are_none_do_no_harm() {
        let odd = [f32::NAN, f32::INFINITY, -1e30, 1e30];
        for x in odd {
            for y in odd {
                let mask = zones(&[&[[x, y], [0.2, 0.3]]], &[&[[y, x]], &[]]).mask(7, 3);
                assert!(mask.is_none_or(|mask| mask.counts.len() == 21));
            }
        }
        assert_eq!(zones(&[], &[&LEFT]).mask(0, 0), None);
    }
}
