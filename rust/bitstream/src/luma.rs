//! Luma as decoders hand it to whoever looks at it: rows of bytes, 0 (black) to 255; whether the range is full or limited is the stream's business.
//!
//! Decoders give pictures in bands of rows, from top to bottom, so that none of them must hold a whole picture that nobody wants
//! whole: who looks for motion averages the rows as they come.

/// A picture's luma, borrowed from whoever decoded it.
#[derive(Clone, Copy)]
pub struct LumaView<'a> {
    width: usize,
    height: usize,
    stride: usize,
    data: &'a [u8],
}

impl<'a> LumaView<'a> {
    /// A view of `height` rows of `width` bytes, each row `stride` bytes after the one before.
    ///
    /// None if the rows do not fit into `data`, overlap (`stride < width`), or there are none.
    #[must_use]
    pub fn new(width: usize, height: usize, stride: usize, data: &'a [u8]) -> Option<Self> {
        if width == 0 || height == 0 || stride < width {
            return None;
        }
        let needed = stride.checked_mul(height - 1)?.checked_add(width)?;
        (data.len() >= needed).then_some(Self {
            width,
            height,
            stride,
            data,
        })
    }

    /// Width in pixels, at least 1.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// One row of `width` bytes.
    ///
    /// # Panics
    /// If `y` is not below the height.
    #[must_use]
    pub fn row(&self, y: usize) -> &'a [u8] {
        assert!(y < self.height, "row {y} of {}", self.height);
        &self.data[y * self.stride..][..self.width]
    }

    /// All rows from top to bottom.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Self {
            width,
            height,
            stride,
            data,
        } = *self;
        (0..height).map(move |y| &data[y * stride..][..width])
    }

    /// A copy that owns its bytes, without gaps between rows.
    #[must_use]
    pub fn to_luma(&self) -> Luma {
        let mut data = Vec::with_capacity(self.width * self.height);
        self.rows().for_each(|row| data.extend_from_slice(row));
        Luma {
            width: self.width,
            height: self.height,
            data,
        }
    }
}

/// What a picture's luma is of: the stream's cropped picture, and how much smaller the luma is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Width of the stream's cropped picture in pixels, at least 1.
    pub width: usize,
    /// Its height, at least 1.
    pub height: usize,
    /// Pixels of the stream's picture, across and down, in a pixel of luma: 1, or 8 where a decoder gives means of blocks.
    pub scale: usize,
}

impl Shape {
    /// Width of the luma.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.width.div_ceil(self.scale.max(1))
    }

    /// Height of the luma.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.height.div_ceil(self.scale.max(1))
    }
}

/// Some rows of a picture.
#[derive(Clone, Copy)]
pub struct Band<'a> {
    shape: Shape,
    top: usize,
    rows: LumaView<'a>,
}

impl<'a> Band<'a> {
    /// The rows of a picture from number `top` on; None if they are not as wide as its luma, or more than it has.
    #[must_use]
    pub fn new(shape: Shape, top: usize, rows: LumaView<'a>) -> Option<Self> {
        let fits =
            rows.width() == shape.columns() && rows.height() <= shape.rows().saturating_sub(top);
        fits.then_some(Self { shape, top, rows })
    }

    /// All rows of a picture that is given in full size.
    #[must_use]
    pub fn whole(rows: LumaView<'a>) -> Self {
        let shape = Shape {
            width: rows.width(),
            height: rows.height(),
            scale: 1,
        };
        Self {
            shape,
            top: 0,
            rows,
        }
    }

    /// The picture of which it is a part.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Number of its first row; 0 begins a picture, whether or not the one before came to its end.
    #[must_use]
    pub fn top(&self) -> usize {
        self.top
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> LumaView<'a> {
        self.rows
    }

    /// With it the picture is whole.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.top + self.rows.height() == self.shape.rows()
    }
}

/// Joins bands to whole pictures.
#[derive(Debug, Default)]
pub struct Gather {
    data: Vec<u8>,
}

impl Gather {
    /// Takes a band; gives the picture when it is the last.
    pub fn push(&mut self, band: Band<'_>) -> Option<Luma> {
        let shape = band.shape;
        if band.top == 0 {
            self.data.clear();
            self.data.reserve_exact(shape.columns() * shape.rows());
        }
        band.rows
            .rows()
            .for_each(|row| self.data.extend_from_slice(row));
        if !band.is_last() {
            return None;
        }
        Some(Luma {
            width: shape.columns(),
            height: shape.rows(),
            data: std::mem::take(&mut self.data),
        })
        .filter(|luma| luma.data.len() == luma.width * luma.height)
    }
}

/// A picture's luma that owns its bytes; rows follow each other without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Luma {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `width * height` bytes.
    pub data: Vec<u8>,
}

impl Luma {
    /// The picture as a view; None if `data` is too short for its size, or a side is 0.
    #[must_use]
    pub fn view(&self) -> Option<LumaView<'_>> {
        LumaView::new(self.width, self.height, self.width, &self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_keeps_to_its_rows() {
        let data: Vec<u8> = (0..11).collect();
        let view = LumaView::new(3, 3, 4, &data).unwrap();
        assert_eq!(
            view.rows().map(<[u8]>::to_vec).collect::<Vec<_>>(),
            [[0, 1, 2], [4, 5, 6], [8, 9, 10]]
        );
        assert_eq!(view.to_luma().data, [0, 1, 2, 4, 5, 6, 8, 9, 10]);
        assert!(LumaView::new(3, 3, 4, &data[..10]).is_none());
        assert!(LumaView::new(3, 3, 2, &data).is_none());
        assert!(LumaView::new(usize::MAX, usize::MAX, usize::MAX, &data).is_none());
    }

    #[test]
    fn bands_make_a_picture_and_a_broken_one_is_forgotten() {
        let data: Vec<u8> = (0..24).collect();
        let shape = Shape {
            width: 24,
            height: 59,
            scale: 8,
        };
        assert_eq!((shape.columns(), shape.rows()), (3, 8));
        let band = |top: usize, rows: usize| {
            let view = LumaView::new(3, rows, 3, &data[3 * top..]).unwrap();
            Band::new(shape, top, view).unwrap()
        };
        let mut gather = Gather::default();
        assert!(gather.push(band(0, 5)).is_none());
        for (top, rows) in [(0, 3), (3, 4)] {
            assert!(gather.push(band(top, rows)).is_none());
        }
        let luma = gather.push(band(7, 1)).unwrap();
        assert_eq!((luma.width, luma.height), (3, 8));
        assert_eq!(luma.data, data);
        let view = LumaView::new(3, 8, 3, &data).unwrap();
        assert!(Band::new(shape, 1, view).is_none());
        assert!(Band::new(shape, usize::MAX, view).is_none());
        assert!(Band::whole(view).is_last());
    }
}
