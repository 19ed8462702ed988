//! The formats of packs as functions of any bytes, for [`crate::fuzz`].

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::store::Time;

use super::codec::{self, Frame};
use super::geometry::{FOOTER_LEN, Geometry};
use super::index::Index;
use super::manifest;
use super::page::{PAGE_LEN, Page};

/// A MANIFEST, also as if its last line were right.
pub fn manifest(bytes: &[u8]) {
    let sum = format!("sum {:016x}\n", xxh3_64(bytes));
    for bytes in [bytes, &[bytes, sum.as_bytes()].concat()] {
        if let Ok(packs) = manifest::decode(bytes) {
            let text = manifest::encode(&packs);
            assert_eq!(manifest::decode(text.as_bytes()).as_ref(), Ok(&packs));
        }
    }
}

/// The parts of a pack: a record, a hash page, and a footer with the index behind it.
pub fn pack(bytes: &[u8]) {
    let frame = Frame {
        id: 1,
        base: Time(0),
    };
    let mut sealed = bytes.to_vec();
    if let Some((sum, summed)) = sealed.split_first_chunk_mut() {
        *sum = xxh3_64_with_seed(summed, frame.id).to_le_bytes();
    }
    for bytes in [bytes, &sealed] {
        if let Ok((record, len)) = codec::decode(bytes, frame) {
            let mut again = Vec::new();
            codec::encode(&record, frame, &mut again);
            assert_eq!(again, bytes[..len]);
        }
    }

    let mut page = sealed;
    page.resize(PAGE_LEN, 0);
    let mut page: [u8; PAGE_LEN] = page.try_into().expect("it has that length");
    let sum = xxh3_64_with_seed(&page[8..], frame.id);
    page[..8].copy_from_slice(&sum.to_le_bytes());
    if let Ok(page) = Page::read(&page, frame.id, 0) {
        for (hash, _) in page.slots() {
            assert!(page.find(hash).count() <= page.slots().count());
        }
    }

    if let Some((footer, index)) = bytes.split_first_chunk::<FOOTER_LEN>() {
        let mut footer = *footer;
        let sum = xxh3_64(&footer[..FOOTER_LEN - 8]);
        footer[FOOTER_LEN - 8..].copy_from_slice(&sum.to_le_bytes());
        if let Ok(geometry) = Geometry::from_footer(&footer) {
            assert_eq!(geometry.to_footer(), footer);
            look_into(index, &geometry);
        }
    }
}

fn look_into(index: &[u8], geometry: &Geometry) {
    let Ok(index) = Index::new(index.to_vec(), geometry) else {
        return;
    };
    for block in 0..index.blocks() {
        _ = index.range(block);
        let key = index.key(block).to_vec();
        assert!(index.block_of(&key) < index.blocks());
    }
}
