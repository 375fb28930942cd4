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
    /// Whether each cell of a small picture counts, row by row; `None` where all do.
    pub(crate) fn mask(&self, width: usize, height: usize) -> Option<Vec<bool>> {
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
        counts.contains(&false).then_some(counts)
    }
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
                .map(|mask| mask.iter().filter(|cell| **cell).count())
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
            mask.map(|mask| mask.iter().position(|cell| *cell)),
            Some(Some(10))
        );
    }

    #[test]
    fn polygons_that_are_none_do_no_harm() {
        let odd = [f32::NAN, f32::INFINITY, -1e30, 1e30];
        for x in odd {
            for y in odd {
                let mask = zones(&[&[[x, y], [0.2, 0.3]]], &[&[[y, x]], &[]]).mask(7, 3);
                assert!(mask.is_none_or(|mask| mask.len() == 21));
            }
        }
        assert_eq!(zones(&[], &[&LEFT]).mask(0, 0), None);
    }
}
