#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_data_plane::fuzz::forwarded(data));
