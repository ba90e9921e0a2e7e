#![no_main]

use andon_fuzz::Target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    Target::Adapter.read(bytes);
});
