//! Generates the messages and the service of the gRPC server that tests call; needs no protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = "echo.proto";
    println!("cargo::rerun-if-changed=proto/{file}");
    tonic_prost_build::configure().compile_fds(protox::compile([file], ["proto"])?)?;
    Ok(())
}
