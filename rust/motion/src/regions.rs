//! From marked cells to regions: connected components with hysteresis.

/// A box of cells with what was found in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Component {
    /// Left, top, right and bottom cell; right and bottom are outside.
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) right: usize,
    pub(crate) bottom: usize,
    /// Cells above the lower threshold.
    pub(crate) area: usize,
    /// Cells above the higher one.
    pub(crate) strong: usize,
    /// Sum over its cells of evidence in units of the threshold, each at most 8.
    pub(crate) weight: f32,
}

impl Component {
    /// Whether the two boxes touch when the first is grown by `reach` cells on each side.
    pub(crate) fn near(&self, other: &Self, reach: usize) -> bool {
        self.left < other.right + reach
            && other.left < self.right + reach
            && self.top < other.bottom + reach
            && other.top < self.bottom + reach
    }

    /// The box that holds both; areas and weights are added.
    pub(crate) fn joined(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
            area: self.area + other.area,
            strong: self.strong + other.strong,
            weight: self.weight + other.weight,
        }
    }
}

/// Finds components of marked cells; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    todo: Vec<usize>,
    seen: Vec<bool>,
}

impl Finder {
    /// Components of cells whose `evidence` is 1 or more (in units of the lower threshold), joined over gaps of one cell.
    ///
    /// Of these, the ones that hold at least `strong` cells of evidence `high` or more.
    pub(crate) fn find(
        &mut self,
        evidence: &[f32],
        width: usize,
        high: f32,
        strong: usize,
    ) -> Vec<Component> {
        let height = evidence.len() / width.max(1);
        self.seen.clear();
        self.seen.resize(evidence.len(), false);
        let mut found = Vec::new();
        for start in 0..evidence.len() {
            if self.seen[start] || evidence[start] < high {
                continue;
            }
            let component = self.grow(evidence, width, height, start, high);
            if component.strong >= strong {
                found.push(component);
            }
        }
        found
    }

    fn grow(
        &mut self,
        evidence: &[f32],
        width: usize,
        height: usize,
        start: usize,
        high: f32,
    ) -> Component {
        let (x, y) = (start % width, start / width);
        let mut grown = Component {
            left: x,
            top: y,
            right: x + 1,
            bottom: y + 1,
            area: 0,
            strong: 0,
            weight: 0.0,
        };
        self.seen[start] = true;
        self.todo.push(start);
        while let Some(cell) = self.todo.pop() {
            let (x, y) = (cell % width, cell / width);
            grown.left = grown.left.min(x);
            grown.right = grown.right.max(x + 1);
            grown.top = grown.top.min(y);
            grown.bottom = grown.bottom.max(y + 1);
            grown.area += 1;
            grown.strong += usize::from(evidence[cell] >= high);
            grown.weight += evidence[cell].min(8.0);
            for near_y in y.saturating_sub(2)..height.min(y + 3) {
                for near_x in x.saturating_sub(2)..width.min(x + 3) {
                    let near = near_y * width + near_x;
                    if !self.seen[near] && evidence[near] >= 1.0 {
                        self.seen[near] = true;
                        self.todo.push(near);
                    }
                }
            }
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_need_strong_cells_and_take_weak_ones_with_them() {
        #[rustfmt::skip]
        let evidence = [
            0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0,
            0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.5,
        ];
        let found = Finder::default().find(&evidence, 8, 2.0, 2);
        assert_eq!(found.len(), 1);
        let one = found[0];
        assert_eq!(
            (
                one.left, one.top, one.right, one.bottom, one.area, one.strong
            ),
            (1, 0, 4, 3, 4, 2)
        );
        assert!(Finder::default().find(&evidence, 8, 2.0, 3).is_empty());
        assert!(Finder::default().find(&[], 1, 2.0, 1).is_empty());
    }
}
