//! Plays the inputs which fuzzers have found interesting, or which have once broken something.

use baton_sim::fuzz::TARGETS;
use std::fs;
use std::path::Path;

#[test]
fn corpora_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (target, play) in TARGETS {
        let folder = corpus.join(target);
        let mut count = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            play(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "{} is empty", folder.display());
    }
}
