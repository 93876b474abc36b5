#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_data_plane::fuzz::trace_context(data));
