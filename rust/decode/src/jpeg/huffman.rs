//! Huffman tables (C.2, F.2.2.3), looked up by the bits that follow.

/// Bits of the lookup; longer codes are found by their length.
const LOOKUP: u32 = 11;

/// Several AC coefficients at once.
#[derive(Clone, Copy, Default)]
pub(super) struct Many {
    /// Codes and values together; 0: nothing fits into the lookup.
    pub(super) bits: u8,
    /// The last of them ends the block.
    pub(super) ends: bool,
    /// Coefficients passed over, zeros among them.
    pub(super) advance: usize,
}

/// One Huffman table.
#[derive(Clone)]
pub(super) struct Tables {
    /// Length and symbol by the next [`LOOKUP`] bits; length 0: the code is longer, or none.
    short: Vec<(u8, u8)>,
    many: Vec<Many>,
    /// For each length: the first code behind those of this length, left-aligned to 16 bits.
    limits: [u32; 17],
    /// For each length: what to add to a code to get its place among the symbols.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Tables {
    /// A table of how many codes there are of each length, and their symbols; None if they cannot be codes.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            short: vec![(0, 0); 1 << LOOKUP],
            many: vec![Many::default(); 1 << LOOKUP],
            limits: [0; 17],
            offsets: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(counts[length as usize - 1]);
            table.offsets[length as usize] = place as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(place)?;
                if code >= 1 << length {
                    return None;
                }
                if length <= LOOKUP {
                    let shift = LOOKUP - length;
                    let from = (code << shift) as usize;
                    table.short[from..from + (1 << shift)].fill((length as u8, symbol));
                }
                code += 1;
                place += 1;
            }
            table.limits[length as usize] = code << (16 - length);
            code <<= 1;
        }
        table.join();
        Some(table)
    }

    /// Fills [`Self::many`] from [`Self::short`].
    fn join(&mut self) {
        for bits in 0..1usize << LOOKUP {
            let mut many = Many::default();
            loop {
                let used = u32::from(many.bits);
                let rest = (bits << used) & ((1 << LOOKUP) - 1);
                let (length, symbol) = self.short[rest];
                let total = used + u32::from(length) + u32::from(symbol & 15);
                // What is only partly in sight may continue in any way.
                if length == 0 || total > LOOKUP {
                    break;
                }
                match symbol {
                    0 => many.ends = true,
                    0xf0 => many.advance += 16,
                    _ if symbol & 15 == 0 => break,
                    _ => many.advance += usize::from(symbol >> 4) + 1,
                }
                many.bits = total as u8;
                if many.ends || used == total {
                    break;
                }
            }
            self.many[bits] = many;
        }
    }

    /// Length and symbol of the code that a left-aligned window begins with.
    #[inline]
    pub(super) fn symbol(&self, window: u64) -> Option<(u32, u8)> {
        let (length, symbol) = self.short[(window >> (64 - LOOKUP)) as usize];
        if length > 0 {
            return Some((u32::from(length), symbol));
        }
        let next = (window >> 48) as u32;
        let length = (LOOKUP + 1..=16).find(|length| next < self.limits[*length as usize])?;
        let code = (next >> (16 - length)) as i32;
        let place = usize::try_from(code + self.offsets[length as usize]).ok()?;
        Some((length, *self.symbols.get(place)?))
    }

    /// As many AC coefficients as the next bits hold whole.
    #[inline]
    pub(super) fn many(&self, window: u64) -> Many {
        self.many[(window >> (64 - LOOKUP)) as usize]
    }
}

/// The tables that everybody uses (K.3), for cameras that send none: DC and AC of luma (0) and chroma (1).
pub(super) fn standard(ac: bool, chroma: bool) -> Option<Tables> {
    let (counts, symbols): (&[u8; 16], &[u8]) = match (ac, chroma) {
        (false, false) => (
            &[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        ),
        (false, true) => (
            &[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        ),
        (true, false) => (
            &[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
            &AC_LUMA,
        ),
        (true, true) => (
            &[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
            &AC_CHROMA,
        ),
    };
    Tables::new(counts, symbols)
}

/// Table K.5, in the order of its codes.
#[rustfmt::skip]
const AC_LUMA: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

/// Table K.6, in the order of its codes.
#[rustfmt::skip]
const AC_CHROMA: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
