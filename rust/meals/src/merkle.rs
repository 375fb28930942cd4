//! The Merkle tree of RFC 6962 (section 2.1) over records: one hash for many of them, and a short path that leads from one to it.

use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash of one leaf: SHA-256 of a zero byte and the leaf's bytes.
#[must_use]
pub fn leaf(bytes: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(bytes);
    hasher.finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// One level up: neighbours in pairs, a last one without a neighbour as it is.
fn parents(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            alone => alone[0],
        })
        .collect()
}

/// The root over leaf hashes; that of no leaf is the SHA-256 of nothing.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    if leaves.is_empty() {
        return Sha256::digest([]).into();
    }
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
    }
    level[0]
}

/// The path from the leaf with this index up to the root (RFC 6962, section 2.1.1); empty for an index that is not there.
#[must_use]
pub fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    let mut found = Vec::new();
    if index >= leaves.len() {
        return found;
    }
    let (mut level, mut index) = (leaves.to_vec(), index);
    while level.len() > 1 {
        found.extend(level.get(index ^ 1));
        level = parents(&level);
        index /= 2;
    }
    found
}

/// The root that a path leads to (RFC 9162, section 2.1.3.2); `None` if it has not the length that index and count ask for.
#[must_use]
pub fn root_of_path(leaf: Hash, index: u64, count: u64, path: &[Hash]) -> Option<Hash> {
    let mut last = count.checked_sub(1).filter(|last| index <= *last)?;
    let mut index = index;
    let mut hash = leaf;
    for step in path {
        if last == 0 {
            return None;
        }
        if index % 2 == 1 || index == last {
            hash = node(step, &hash);
            while index.is_multiple_of(2) && index != 0 {
                index /= 2;
                last /= 2;
            }
        } else {
            hash = node(&hash, step);
        }
        index /= 2;
        last /= 2;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves and roots of the test that certificate transparency's own programs share.
    const LEAVES: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[
            0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
            0x6e, 0x6f,
        ],
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_roots_are_those_of_certificate_transparency() {
        let leaves: Vec<Hash> = LEAVES.iter().map(|bytes| leaf(bytes)).collect();
        for (count, wanted) in ROOTS.iter().enumerate() {
            let found: String = root(&leaves[..count])
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(&found, wanted, "{count} leaves");
        }
    }

    #[test]
    fn every_path_leads_to_the_root_and_no_other_does() {
        for count in 1..70_u8 {
            let leaves: Vec<Hash> = (0..count).map(|number| leaf(&[number])).collect();
            let wanted = Some(root(&leaves));
            for (index, own) in leaves.iter().enumerate() {
                let steps = path(&leaves, index);
                let found =
                    |index, steps: &[Hash]| root_of_path(*own, index, u64::from(count), steps);
                assert_eq!(found(index as u64, &steps), wanted, "{index} of {count}");
                assert_ne!(found(index as u64 + 1, &steps), wanted);
                assert_eq!(found(u64::from(count), &steps), None);
                let mut longer = steps.clone();
                longer.push(*own);
                assert_ne!(found(index as u64, &longer), wanted);
                if let Some((_, shorter)) = steps.split_last() {
                    assert_ne!(found(index as u64, shorter), wanted);
                    let mut other = steps.clone();
                    other[0][7] ^= 1;
                    assert_ne!(found(index as u64, &other), wanted);
                }
            }
        }
        assert!(path(&[], 0).is_empty());
    }
}
