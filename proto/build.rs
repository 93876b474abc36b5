//! Generates the messages and the service from the .proto files; needs no protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = "tidegate/v1/config_stream.proto";
    println!("cargo::rerun-if-changed={file}");
    let descriptors = protox::compile([file], ["."])?;
    tonic_prost_build::configure().bytes(".tidegate.v1.Chunk.changes").compile_fds(descriptors)?;
    Ok(())
}
