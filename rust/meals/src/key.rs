//! Keys: what a box and a hub sign with (Ed25519, RFC 8032).

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// Bytes of a secret seed and of a public key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A public key.
pub type PublicKey = [u8; KEY_BYTES];

/// A secret key. It is wiped from memory when it is dropped, and never printed.
pub struct Key(SigningKey);

impl Key {
    /// The key of a seed of 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; KEY_BYTES]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.0.verifying_key().to_bytes()
    }

    /// Signs; the same bytes always get the same signature.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(bytes).to_bytes()
    }
}

/// Whether a signature over these bytes is this key's.
#[must_use]
pub fn is_signed_by(key: &PublicKey, bytes: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| {
        key.verify_strict(bytes, &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// What people and records call a public key: the first 16 bytes of its SHA-256.
#[must_use]
pub fn fingerprint(key: &PublicKey) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(key).into();
    let mut found = [0; 16];
    found.copy_from_slice(&hash[..16]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let mut found = [0; N];
        for (at, byte) in found.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap_or_default();
        }
        found
    }

    #[test]
    fn the_second_vector_of_rfc_8032() {
        let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let signature = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        let key = Key::from_seed(&seed);
        let public: PublicKey =
            bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        assert_eq!(key.public(), public);
        assert_eq!(key.sign(&[0x72]), signature);
        assert!(is_signed_by(&public, &[0x72], &signature));
        assert!(!is_signed_by(&public, &[0x73], &signature));
        assert!(!is_signed_by(&[0xff; 32], &[0x72], &signature));
    }
}
