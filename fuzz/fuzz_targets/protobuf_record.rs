#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rowtide::fuzz::run("protobuf_record", bytes));
